"""The one place where values become Markdown: everything on a page that is not a template goes through `escape`."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..configuration.plain_text import one_line, show_name

# HTML, Markdown, formulas, mentions, links without brackets, and what opens a heading, a list or a rule.
MARKUP = re.compile(
    r"[&<>|`\\*~$@]|\](?=[\[(:]|$)|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.|^(?:[#=]+|[-+](?!\d))", re.IGNORECASE
)


class Markdown(str):
    """Text that is Markdown already, as a table: it is not escaped."""


def escape(value: Any) -> str:
    """Return a value as Markdown that shows its text on one line, and nothing else.

    Args:
        value: The value. `Markdown` is returned as it is.
    """
    if isinstance(value, Markdown):
        return value
    return MARKUP.sub(lambda found: "".join(f"&#{ord(character)};" for character in found[0]), one_line(value))


def code(value: Any) -> Markdown:
    """Return a value as inline code; one with a backtick or a bar, which would end it, as escaped text."""
    text = show_name(value)
    return Markdown(escape(text) if re.search(r"[`|]", text) else f"`{text}`")


def literal(value: Any) -> Markdown:
    """Return a string as Python source of ASCII characters, in double quotes."""
    text = str(value).encode("unicode_escape").decode("ascii")
    return Markdown('"{}"'.format(re.sub("[\"'`]", lambda quotes: f"\\x{ord(quotes[0]):x}", text)))


def bibtex(value: Any) -> Markdown:
    """Return a value for a field of a BibTeX entry in a block of code."""
    return Markdown(re.sub(r"[{}\\`]", "", one_line(value)))


def bibtex_key(value: Any) -> Markdown:
    """Return the key of a BibTeX entry."""
    return Markdown(re.sub(r"[^\w.:-]", "", str(value), flags=re.ASCII))


def destination(name: str) -> Markdown:
    """Return the name of a file as the destination of a link."""
    return Markdown(quote(name, safe=""))


def format_table(corner: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, str]]) -> Markdown:
    """Return a Markdown table, empty if it has no columns.

    Args:
        corner: Heading of the names of the rows.
        columns: Headings by key. Columns without a cell are left out.
        rows: Cells by name of the row and key.
    """
    filled = [key for key in columns if any(key in row for row in rows.values())]
    if not filled:
        return Markdown("")
    head = [_format_name(corner), *(_format_name(columns[key]) for key in filled)]
    rule = ["---"] + ["---:"] * len(filled)
    body = [[_format_name(name), *(escape(row.get(key, "")) for key in filled)] for name, row in rows.items()]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *body]))


def _format_name(name: str) -> str:
    return name if isinstance(name, Markdown) else escape(show_name(name))
