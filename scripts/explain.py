"""The command `emofusion explain` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["explain", *sys.argv[1:]]))
