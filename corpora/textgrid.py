"""Alignments in Praat's TextGrid, the long form and the short one (Boersma and Weenink, manual page "TextGrid file formats")."""

import re
from collections.abc import Iterator
from pathlib import Path

from .schema import LEVELS

# Praat reads strings, numbers and flags that stand free, and takes all else ("xmin =", "intervals [1]:") for comments:
# so does this, which makes the two forms one.
TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|<\w+>)(?!\S)')

# As aligners write them that give silence a name: the Montreal Forced Aligner and MAUS.
SILENCES = frozenset({"sil", "sp", "<eps>", "<p:>"})


def read_textgrid(path: str | Path) -> dict[str, dict[str, list] | None]:
    """The words, syllables and phones of a recording.

    They are the first tiers of intervals that are called so: "words", "Word" and "speaker - phones" are, "phonemes" is
    phones. Silences are left out: intervals without a text, and those with one of `SILENCES`.

    Args:
        path: A TextGrid in UTF-8, or in UTF-16 with its mark.

    Returns:
        For each of `schema.LEVELS` lists `start`, `end` (seconds) and `symbol` of equal length, or None without a tier.

    Raises:
        ValueError: If the file is no such TextGrid, its times are not in order, or it has none of the tiers.
        OSError: If it cannot be read.
    """
    tokens, levels = _tokens(Path(path)), dict.fromkeys(LEVELS)
    try:
        if not next(tokens).startswith("ooTextFile") or next(tokens) != "TextGrid":
            raise ValueError(f"{path} is not a TextGrid: it does not begin like one.")
        _, _, exists, tiers = (next(tokens) for _ in range(4))
        for _ in range(_count(path, tiers) if exists == "<exists>" else 0):
            form, name, _, _, size = (next(tokens) for _ in range(5))
            if form not in ("IntervalTier", "TextTier"):
                raise ValueError(f"{path} has a tier of the kind {form!r}, which TextGrids do not have.")
            fields = 3 if form == "IntervalTier" else 2
            entries = [tuple(next(tokens) for _ in range(fields)) for _ in range(_count(path, size))]
            level = _level(name)
            if form == "IntervalTier" and level and levels[level] is None:
                levels[level] = _segments(path, name, entries)
    except (StopIteration, RuntimeError) as error:
        raise ValueError(f"{path} is truncated: it promises more than it holds.") from error
    if not any(levels.values()):
        raise ValueError(f"{path} has no tier of words, syllables or phones.")
    return levels


def _tokens(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is neither UTF-8 nor UTF-16: save it in one of them.") from error
    for match in TOKEN.finditer(text):
        yield match[2] or match[1].replace('""', '"')


def _count(path: str | Path, token: str) -> int:
    if not (token.isdecimal() and len(token) < 10):
        raise ValueError(f"{path} is damaged: it has {token!r} where the number of its tiers or intervals should be.")
    return int(token)


def _level(tier: str) -> str | None:
    name = tier.rpartition(" - ")[2].strip().lower().removesuffix("s").replace("phoneme", "phone")
    return name if name in LEVELS else None


def _segments(path: str | Path, tier: str, entries: list[tuple[str, str, str]]) -> dict[str, list]:
    try:
        spans = [(float(start), float(end), symbol.strip()) for start, end, symbol in entries]
    except ValueError as error:
        raise ValueError(f"{path} has a tier {tier!r} whose intervals are not two times and a text.") from error
    times = [time for start, end, _ in spans for time in (start, end)]
    if times != sorted(times) or any(start >= end for start, end, _ in spans) or (times and times[0] < 0):
        raise ValueError(f"{path} has a tier {tier!r} whose times are not in order.")
    spoken = [span for span in spans if span[2] and span[2] not in SILENCES]
    return {field: [span[place] for span in spoken] for place, field in enumerate(("start", "end", "symbol"))}
