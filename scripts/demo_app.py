"""The command `emofusion demo-app` as a file."""

import sys

from emofusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["demo-app", *sys.argv[1:]]))
