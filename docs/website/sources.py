"""The pages as Sphinx reads them: copies of the repository's pages whose links lead to other pages or to the repository."""

import os
import re
import shutil
from pathlib import Path, PurePosixPath

from .navigation import HOME, REPOSITORY, ROOT, arrange, find_pages

# Code, which has no links, or the target of a link or of a picture.
CODE_OR_TARGET = re.compile(r"^(```+).*?^\1 *$|`[^`\n]+`|\]\(([^)\s]+)\)", re.MULTILINE | re.DOTALL)
PICTURES = (".svg", ".png")


def write_sources(folder: Path, reference: dict[str, str]) -> None:
    """Write all pages and pictures of the site.

    Args:
        folder: Where they are written, in the order of the repository.
        reference: Text of each generated page, by its path.

    Raises:
        ValueError: If a link leads to no file, or a page is in no section.
    """
    pages = find_pages()
    sections = arrange([*pages, *reference])
    texts = reference | {page: translate_links(page, (ROOT / page).read_text("utf-8"), {*pages}) for page in pages}
    texts[HOME] += "\n" + "\n".join(format_section(*section) for section in sections.items())
    for page, text in texts.items():
        file = folder / site_path(page)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    for picture in (ROOT / "docs").rglob("*"):
        if picture.suffix in PICTURES:
            shutil.copy(picture, folder / picture.relative_to(ROOT))


def site_path(page: str) -> str:
    """Return the path of a page in the site: a README is the index of its folder."""
    return re.sub(r"README\.md$", "index.md", page)


def format_section(section: str, pages: list[str]) -> str:
    """Return the table of contents of a section, which the sidebar shows."""
    names = [site_path(page).rpartition(".")[0] for page in pages]
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {section}", "", *names, "```", ""])


def translate_links(page: str, text: str, pages: set[str]) -> str:
    """Return the text of a page with links that work in the site.

    Args:
        page: The page.
        text: Its Markdown.
        pages: All pages of the repository that the site has.

    Raises:
        ValueError: If a link leads to no file.
    """

    def translate(match: re.Match) -> str:
        target = match[2]
        if target is None or re.match(r"#|[a-z]+:", target):
            return match[0]
        name, _, anchor = target.partition("#")
        path = os.path.normpath(PurePosixPath(page).parent / name)
        file = ROOT / path
        if not file.exists() or not file.resolve().is_relative_to(ROOT):
            raise ValueError(f"{page}: the link to {target} leads to no file of the repository.")
        if path in pages:
            new = os.path.relpath(site_path(path), PurePosixPath(page).parent)
        elif file.suffix in PICTURES:
            new = name
        else:
            new = f"{REPOSITORY}/{'tree' if file.is_dir() else 'blob'}/main/{path}"
        return f"]({new}{'#' if anchor else ''}{anchor})"

    return CODE_OR_TARGET.sub(translate, text)
