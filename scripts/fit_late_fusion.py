"""The command `emofusion fit-late-fusion` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["fit-late-fusion", *sys.argv[1:]]))
