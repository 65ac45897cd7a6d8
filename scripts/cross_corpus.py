"""The command `emofusion cross-corpus` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["cross-corpus", *sys.argv[1:]]))
