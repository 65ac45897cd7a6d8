"""Read alignments from TextGrid files of Praat, long and short (Boersma and Weenink, "TextGrid file formats")."""

import re
from collections.abc import Iterator
from pathlib import Path

from .schema import LEVELS

# Praat reads free-standing strings, numbers and flags, and treats everything else ("xmin =", "intervals [1]:") as
# comments. The long and the short form therefore have the same tokens.
TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|<\w+>)(?!\S)')

# Symbols for silence in the output of aligners: the Montreal Forced Aligner and MAUS.
SILENCES = frozenset({"sil", "sp", "<eps>", "<p:>"})


def read_textgrid(path: str | Path) -> dict[str, dict[str, list] | None]:
    """Read the words, syllables and phones of a recording.

    They are the first interval tiers with a matching name: "words", "Word", "speaker - phones", "phonemes" and similar.
    Silences are skipped: intervals without a text, or with one of `SILENCES`.

    Args:
        path: A TextGrid in UTF-8, or in UTF-16 with a byte order mark.

    Returns:
        For each of `schema.LEVELS` the lists `start`, `end` (seconds) and `symbol` of equal length, or None if it has no
        tier.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a valid TextGrid, its times are not in order, or it has none of these tiers.
    """
    tokens, levels = _tokens(Path(path)), dict.fromkeys(LEVELS)
    try:
        if not next(tokens).startswith("ooTextFile") or next(tokens) != "TextGrid":
            raise ValueError(f"{path} is not a TextGrid: it has another header.")
        _, _, exists, tiers = (next(tokens) for _ in range(4))
        for _ in range(_count(path, tiers) if exists == "<exists>" else 0):
            form, name, _, _, size = (next(tokens) for _ in range(5))
            if form not in ("IntervalTier", "TextTier"):
                raise ValueError(f"{path} has a tier of the kind {form!r}, which a TextGrid cannot have.")
            fields = 3 if form == "IntervalTier" else 2
            entries = [tuple(next(tokens) for _ in range(fields)) for _ in range(_count(path, size))]
            level = _level(name)
            if form == "IntervalTier" and level and levels[level] is None:
                levels[level] = _segments(path, name, entries)
    except (StopIteration, RuntimeError) as error:
        raise ValueError(f"{path} is truncated: it declares more tiers or intervals than it has.") from error
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
