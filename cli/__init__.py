"""The command `emofusion`, a file for each of its subcommands."""
