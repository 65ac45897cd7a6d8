"""The command `emofusion memory` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["memory", *sys.argv[1:]]))
