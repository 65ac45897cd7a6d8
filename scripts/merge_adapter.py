"""The command `emofusion merge-adapter` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["merge-adapter", *sys.argv[1:]]))
