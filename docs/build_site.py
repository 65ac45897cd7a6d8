"""Build the site: `python docs/build_site.py FOLDER`; `--linkcheck` asks every server that a page links to instead."""

import argparse
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main
from website.checks import find_problems
from website.reference import write_reference
from website.sources import write_sources

CONFIGURATION = Path(__file__).parent


def build(folder: Path, linkcheck: bool = False) -> int:
    """Build the site, or check its links to other servers; warnings are errors.

    Args:
        folder: Where it is written.
        linkcheck: Whether to check external links instead.

    Returns:
        The exit status.
    """
    with tempfile.TemporaryDirectory() as place:
        sources = Path(place, "sources")
        write_sources(sources, write_reference())
        builder = "linkcheck" if linkcheck else "html"
        options = [
            "-W",
            "--keep-going",
            "-q",
            "-b",
            builder,
            "-c",
            str(CONFIGURATION),
            "-d",
            str(Path(place, "trees")),
        ]
        status = build_main([*options, str(sources), str(folder)])
    problems = [] if status or linkcheck else find_problems(folder)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return status or bool(problems)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the site of the documentation.")
    parser.add_argument("folder", type=Path, help="folder of the site")
    parser.add_argument("--linkcheck", action="store_true", help="check the links to other servers instead")
    arguments = parser.parse_args()
    if status := build(arguments.folder, arguments.linkcheck):
        sys.exit(status)
    sys.stdout.write(f"Open {(arguments.folder / 'index.html').resolve().as_uri()}\n")
