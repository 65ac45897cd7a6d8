"""Commands, code and links of the Markdown pages, for tests that check them."""

import itertools
import pkgutil
import re
import shlex
import textwrap
from pathlib import Path
from typing import NamedTuple

import emofusion

ROOT = Path(emofusion.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
        language: The word after the fence.
        code: Its lines.
        line: Number of the first of them in the page.
        file: The file that it shows: the name in backticks at the end of the paragraph before it, such as "`mine.yaml`:".
    """

    language: str
    code: str
    line: int
    file: str | None


FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SHOWN_FILE = re.compile(r"`([\w./-]+\.(?:csv|json|jsonl|rttm|yaml))`:\s*$")


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for fence in FENCE.finditer(text):
        named = SHOWN_FILE.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start(3)) + 1
        found.append(Block(fence[2], textwrap.dedent(fence[3]), line, named[1] if named else None))
    return found


def code_blocks(page: Path, language: str) -> list[str]:
    return [block.code for block in blocks(page) if block.language == language]


def commands_in(code: str) -> list[list[str]]:
    """Words of each command of a `bash` block."""
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def commands(page: Path) -> list[list[str]]:
    """Words of each command in the `bash` blocks of a page."""
    return [command for code in code_blocks(page, "bash") for command in commands_in(code)]


def emofusion_arguments(command: list[str]) -> list[str] | None:
    """Arguments of `emofusion`, run directly or as a module by a launcher; None for another program."""
    if command[0] == "emofusion":
        return command[1:]
    for place, pair in enumerate(itertools.pairwise(command)):
        if pair == ("-m", "emofusion"):
            return command[place + 2 :]
    return None


def broken_links(page: Path) -> list[str]:
    """Links of a page to missing files, or to missing headings of another page."""
    broken = []
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        if target.startswith("https://"):
            continue
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    return broken


def missing_names(page: Path) -> list[str]:
    """Missing files of the repository and missing names of the package that a page mentions as code."""
    text = page.read_text("utf-8")
    missing = [
        file
        for file in re.findall(r"`([a-z_]+/[\w/]+\.(?:py|yaml|md|jinja))`", text)
        if not (ROOT / file).is_file() and (ROOT / file.split("/")[0]).is_dir()
    ]
    for name in re.findall(r"\bemofusion((?:\.[A-Za-z]\w+)+)", re.sub(r"https?://\S+", "", text)):
        try:
            pkgutil.resolve_name(f"emofusion{name}")
        except (ImportError, AttributeError):
            missing.append(f"emofusion{name}")
    return missing


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
