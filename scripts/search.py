"""The command `emofusion search` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["search", *sys.argv[1:]]))
