"""The command `emofusion cross-validate` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["cross-validate", *sys.argv[1:]]))
