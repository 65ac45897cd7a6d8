"""Checks of the built site: links, anchors and pictures exist, and nothing is loaded from another server."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attribute of an element -> whether the browser loads its address with the page.
ADDRESSES = {"href": False, "src": True, "srcset": True, "poster": True, "data": True}
IMPORTED = re.compile(r"@import|url\(\s*[\"']?(?:https?:)?//")


class Page(HTMLParser):
    """The addresses and anchors of a page."""

    def __init__(self):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note the addresses and the anchor of an element."""
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        for name in ADDRESSES.keys() & values.keys():
            loaded = ADDRESSES[name] or tag == "link"
            (self.loaded if loaded else self.links).append(values[name] or "")


def find_problems(folder: Path) -> list[str]:
    """Return a sentence for each problem of a site.

    Args:
        folder: The site.
    """
    pages = {}
    for file in sorted(folder.rglob("*.html")):
        pages[file.resolve()] = page = Page()
        page.feed(file.read_text("utf-8"))
    problems = []
    for file, page in pages.items():
        name = file.relative_to(folder.resolve()).as_posix()
        for address in page.loaded:
            if is_external(address):
                problems.append(f"{name} loads {address} from another server.")
        for address in [*page.links, *page.loaded]:
            if not is_external(address) and not leads_somewhere(file, address, pages):
                problems.append(f"{name}: {address} leads nowhere.")
    for style in sorted(folder.rglob("*.css")):
        if IMPORTED.search(style.read_text("utf-8")):
            problems.append(f"{style.relative_to(folder)} loads something from another server.")
    return problems


def is_external(address: str) -> bool:
    """Return whether an address is on another server."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "mailto")


def leads_somewhere(file: Path, address: str, pages: dict[Path, Page]) -> bool:
    """Return whether a local address leads to a file, and to an anchor that it has."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return True
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target in pages:
        return not parts.fragment or unquote(parts.fragment) in pages[target].anchors
    return target.is_file()
