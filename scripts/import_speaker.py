"""The command `emofusion import-speaker` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["import-speaker", *sys.argv[1:]]))
