"""The command `emofusion serve` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
