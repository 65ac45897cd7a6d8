"""Text from data or from a user as one line of a picture, a card or a console."""

import re

# Control characters, line and paragraph separators, those that change the direction of other text, and lone surrogates.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
EMPTY = "(empty)"


def one_line(text: object, limit: int | None = None) -> str:
    """Return text on one line, without control characters.

    Args:
        text: The text, or another value.
        limit: Number of characters to which it is shortened; None for none.
    """
    line = " ".join(UNPRINTABLE.sub(" ", str(text)).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def show_name(name: object, limit: int | None = None) -> str:
    """Return a name on one line, `(empty)` for one of which nothing would be seen; arguments as of `one_line`."""
    return one_line(name, limit) or EMPTY
