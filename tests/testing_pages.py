"""Commands, code and links of the Markdown pages, for tests that check them."""

import itertools
import pkgutil
import re
import shlex
from pathlib import Path

import emofusion

ROOT = Path(emofusion.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Words of each command in the `bash` blocks of a page."""
    lines = "".join(code_blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


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
