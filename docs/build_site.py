"""Build the site: `python docs/build_site.py FOLDER`; `--linkcheck` asks every server that a page links to instead."""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

from emofusion import explain_missing_module

try:
    from sphinx.cmd.build import build_main
except ModuleNotFoundError as error:
    sys.exit(explain_missing_module(error) or str(error))
from website.checks import find_problems
from website.navigation import ROOT
from website.reference import write_reference
from website.sources import write_sources


def build(folder: Path, linkcheck: bool = False) -> list[str]:
    """Build the site, or check its links to other servers.

    Args:
        folder: Where it is written.
        linkcheck: Whether to check external links instead.

    Returns:
        The problems; warnings of Sphinx are problems too.

    Raises:
        ValueError: If a link leads to no file of the repository, or a page is in no section.
    """
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stderr(io.StringIO()) as messages:
        sources = Path(place).resolve() / "sources"
        write_sources(sources, write_reference())
        builder = "linkcheck" if linkcheck else "html"
        options = [
            "-W",
            "--keep-going",
            "-q",
            "-b",
            builder,
            "-c",
            str(ROOT / "docs"),
            "-d",
            str(Path(place, "trees")),
        ]
        status = build_main([*options, str(sources), str(folder)])
    text = messages.getvalue().replace(f"{sources}{os.sep}", "").replace(f"{ROOT}{os.sep}", "")
    if status:
        return text.splitlines() or ["Sphinx failed."]
    return [] if linkcheck else find_problems(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the site of the documentation.")
    parser.add_argument("folder", type=Path, help="folder of the site, or of the report on links")
    parser.add_argument("--linkcheck", action="store_true", help="check the links to other servers instead")
    arguments = parser.parse_args()
    try:
        problems = build(arguments.folder, arguments.linkcheck)
    except ValueError as error:
        problems = [str(error)]
    if problems:
        sys.exit("\n".join(problems))
    if not arguments.linkcheck:
        sys.stdout.write(f"Open {(arguments.folder / 'index.html').resolve().as_uri()}\n")
