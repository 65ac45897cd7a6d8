"""Read alignments from TextGrid files of Praat, long and short (Boersma and Weenink, "TextGrid file formats")."""

import re
from pathlib import Path

from .schema import LEVELS

# Praat reads free-standing strings, numbers and flags, and treats everything else ("xmin =", "intervals [1]:", and a line
# from "!" on) as comments. The long and the short form therefore have the same tokens.
TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|<\w+>)(?!\S)|(?<!\S)![^\r\n]*',
)
TIERS = ("IntervalTier", "TextTier")
TOLERANCE = 1e-3  # seconds by which times may be out of order: rounding, and far less than a frame

# Symbols for silence in the output of aligners: the Montreal Forced Aligner and MAUS.
SILENCES = frozenset({"sil", "sp", "<eps>", "<p:>"})


def read_textgrid(path: str | Path) -> dict[str, dict[str, list] | None]:
    """Read the words, syllables and phones of a recording.

    They are the first interval tiers with a matching name: "words", "Word", "speaker - phones", "phonemes" and similar.
    Silences are skipped: intervals without a text, or with one of `SILENCES`.

    Intervals may overlap by up to `TOLERANCE`, which the second one loses, and may have no duration.

    Args:
        path: A TextGrid in UTF-8 or UTF-16.

    Returns:
        For each of `schema.LEVELS` the lists `start`, `end` (seconds) and `symbol` of equal length, or None if it has no
        tier.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a valid TextGrid, it has more or fewer tiers or intervals than it declares, its times are
            not in order, or it has none of these tiers.
    """
    tokens, levels = _Tokens(Path(path)), dict.fromkeys(LEVELS)
    if not tokens.text().startswith("ooTextFile") or tokens.text() != "TextGrid":
        raise ValueError(f"{path} is not a TextGrid: it has another header.")
    tokens.skip(2)
    tiers = tokens.count("tiers") if tokens.value() == "<exists>" else 0
    for _ in range(tiers):
        if (form := tokens.text()) not in TIERS:
            raise ValueError(f"{path} has a tier of the kind {form!r}, which a TextGrid cannot have.")
        name = tokens.text()
        tokens.skip(2)
        times = 2 if form == "IntervalTier" else 1
        size = tokens.count(f"intervals in the tier {name!r}")
        entries = [(*(tokens.time(name) for _ in range(times)), tokens.text(name)) for _ in range(size)]
        tokens.check_next_tier(name, size)
        level = _level(name)
        if form == "IntervalTier" and level and levels[level] is None:
            levels[level] = _segments(path, name, entries)
    tokens.check_end(tiers)
    if not any(levels.values()):
        raise ValueError(f"{path} has no tier of words, syllables or phones.")
    return levels


class _Tokens:
    """The tokens of a TextGrid, read one after the other.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self.path = path
        matches = (match for match in TOKEN.finditer(_decode(path)) if match.group(1, 2) != (None, None))
        # Each token as its value, and whether it is a string.
        self._tokens = [(match[2] or match[1].replace('""', '"'), match[2] is None) for match in matches]
        self._place = 0

    def value(self) -> str:
        """Return the next token."""
        return self._next()[0]

    def skip(self, number: int) -> None:
        """Skip tokens."""
        for _ in range(number):
            self._next()

    def text(self, tier: str | None = None) -> str:
        """Return the next token, a string; `tier` is the tier that it belongs to."""
        value, is_text = self._next()
        if not is_text:
            where = "" if tier is None else f" in the tier {tier!r}"
            raise ValueError(f"{self.path} is damaged: it has {value} where a text should be{where}.")
        return value

    def time(self, tier: str) -> float:
        """Return the next token, a time of the tier."""
        value, is_text = self._next()
        try:
            if not is_text:
                return float(value)
        except ValueError:  # a flag
            pass
        raise ValueError(
            f"{self.path} has a tier {tier!r} whose intervals are not two times and a text, or that has fewer intervals "
            "than it declares."
        )

    def count(self, things: str) -> int:
        """Return the next token, a number of tiers or intervals."""
        value, is_text = self._next()
        if is_text or not value.isdecimal() or len(value) > 9:
            raise ValueError(f"{self.path} is damaged: it has {value!r} where the number of its {things} should be.")
        return int(value)

    def check_next_tier(self, name: str, size: int) -> None:
        """Check that all intervals of a tier have been read: nothing, or the next tier, follows."""
        following = self._tokens[self._place : self._place + 1]
        if following and not following[0][1]:
            raise ValueError(f"{self.path} has a tier {name!r} with more intervals than the {size} that it declares.")

    def check_end(self, tiers: int) -> None:
        """Check that all tiers have been read."""
        if self._place < len(self._tokens):
            raise ValueError(f"{self.path} has more tiers than the {tiers} that it declares.")

    def _next(self) -> tuple[str, bool]:
        if self._place == len(self._tokens):
            raise ValueError(f"{self.path} is truncated: it declares more tiers or intervals than it has.")
        self._place += 1
        return self._tokens[self._place - 1]


def _decode(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith(b"ooBinaryFile"):
        raise ValueError(f"{path} is a binary TextGrid: save it as a text file in Praat.")
    encoding = "utf-8-sig"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif 0 in content[:2]:  # UTF-16 without its mark: a TextGrid begins with an ASCII character
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is neither UTF-8 nor UTF-16: save it in one of them.") from error


def _level(tier: str) -> str | None:
    name = tier.rpartition(" - ")[2].strip().lower().removesuffix("s").replace("phoneme", "phone")
    return name if name in LEVELS else None


def _segments(path: str | Path, tier: str, entries: list[tuple[float, float, str]]) -> dict[str, list]:
    segments, last = {"start": [], "end": [], "symbol": []}, 0.0
    for start, end, symbol in entries:
        if start < last - TOLERANCE or end < start - TOLERANCE:
            raise ValueError(f"{path} has a tier {tier!r} whose times are not in order.")
        start = max(start, last)
        last = max(start, end)
        if symbol.strip() and symbol.strip() not in SILENCES:
            for field, value in zip(segments, (start, last, symbol.strip()), strict=True):
                segments[field].append(value)
    return segments
