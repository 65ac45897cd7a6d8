"""The command `emofusion compare` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
