"""Text for one line of an error, a card, a picture or a console, made from any value."""

import difflib
import re
import reprlib
from collections.abc import Collection, Iterable, Sequence

# Control characters, line and paragraph separators, those that change the direction of other text, and lone surrogates.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
EMPTY = "(empty)"
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80
MOST_NAMES = 3  # of more, a message shows the first


def one_line(text: object, limit: int | None = None) -> str:
    """Return text on one line, with control characters as escapes.

    Args:
        text: The text, or another value.
        limit: Number of characters to which it is shortened; None for none.
    """
    line = UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], " ".join(str(text).split()))
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def is_url(text: str) -> bool:
    """Return whether a text begins as an http or https URL."""
    return text.lower().startswith(("http://", "https://"))


def show_dtype(dtype: object) -> str:
    """Return the name of a dtype of torch, such as `bfloat16`."""
    return str(dtype).removeprefix("torch.")


def show_name(name: object, limit: int | None = None) -> str:
    """Return a name on one line, `(empty)` for one of blanks alone; arguments as of `one_line`."""
    return one_line(name, limit) or EMPTY


def show_value(value: object) -> str:
    """Return a short form of a value for an error, on one line."""
    return one_line(_repr.repr(value))


def show_some(names: Iterable[object]) -> str:
    """Return the first of some names in alphabetical order, with an ellipsis if there are more."""
    names = sorted(map(one_line, names))
    return ", ".join(names[:MOST_NAMES] + ["..."] * (len(names) > MOST_NAMES))


def join_words(items: Sequence[str], last: str = "and") -> str:
    """Join words as in a sentence: `a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def reason_of(error: BaseException, limit: int = 300) -> str:
    """Return the message of an error as a part of a sentence: on one line, without a full stop.

    Args:
        error: The error. One without a message gives the name of its class.
        limit: Number of characters to which the message is shortened.
    """
    return one_line(error, limit).rstrip(". ") or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an error, the name of its class if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a suggestion in parentheses, to append to a message; empty if no known name is close."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def format_size(size: float) -> str:
    """Return a number of bytes with its unit: `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_seconds(seconds: float) -> str:
    """Return a duration in words: `8.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
