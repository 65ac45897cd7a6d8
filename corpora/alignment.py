"""Alignments: segment files of Sphinx, and syllables derived from words and phones (ours)."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path

# Suffix of the segment files of Sphinx per level.
SPHINX_SUFFIXES = {"word": ".wdseg", "syllable": ".syseg", "phone": ".phseg"}
SPHINX_FRAME = 0.01  # seconds
MOST_FRAMES = 10**9  # more than a recording can have
VARIANT = re.compile(r"\(\d+\)$")  # number of a pronunciation, as in WORD(2)

# A phone is a nucleus if its name contains one of these: the vowel letters of ARPAbet, those of English in the IPA, and
# the mark of a syllabic consonant. No consonant of either alphabet contains one.
NUCLEUS = frozenset("AEIOUaeiouæɐɑɒɔəɚɛɜɝɪʊʌᵻᵿ\N{COMBINING VERTICAL LINE BELOW}")

# Consonants that may follow the first ones of an English word (IPA). A single consonant can begin a syllable, except
# those of `NEVER_ONSETS`.
ONSETS = {
    "p": "lɹj", "b": "lɹj", "t": "ɹwj", "d": "ɹwj", "k": "lɹwj", "ɡ": "lɹwj", "f": "lɹj", "v": "j", "θ": "ɹw",
    "ʃ": "ɹ", "h": "jw", "m": "j", "n": "j", "l": "j", "s": "ptkmnlwj", "sp": "lɹj", "st": "ɹj", "sk": "lɹwj",
}  # fmt: skip
NEVER_ONSETS = frozenset({"ŋ", "NG"})

# Consonants of `ONSETS` by their names in ARPAbet, and by ASCII letters.
IPA = {name: name.lower() for name in "PBTDKFVSLWMN"}
IPA |= {"G": "ɡ", "TH": "θ", "SH": "ʃ", "HH": "h", "R": "ɹ", "Y": "j", "g": "ɡ", "r": "ɹ"}


def read_sphinx(path: str | Path, offset: float = 0.0) -> dict[str, list]:
    """Read a segment file of the Sphinx aligner: words (`.wdseg`), syllables (`.syseg`) or phones (`.phseg`).

    A row has the first and the last frame (both inclusive), a score (except for syllables) and the symbol: a word, the
    phones of a syllable, or a phone, which may be followed by its context and its position in the word.

    Args:
        path: The file.
        offset: Seconds to add to all times; negative results become 0.

    Returns:
        Lists `start`, `end` (seconds) and `symbol` of equal length. Silence and noise keep their Sphinx symbols
        (`<sil>`, `SIL`, `++LAUGHTER++`); the number of a pronunciation, as in WORD(2), is removed.

    Raises:
        ValueError: If a line is not such a row, or there is no row.
    """
    path, segments = Path(path), {"start": [], "end": [], "symbol": []}
    are_syllables = path.suffix == SPHINX_SUFFIXES["syllable"]
    for number, line in enumerate(path.read_text("latin-1").split("\n"), start=1):
        fields = line.split()
        if not fields or fields[0] in ("SFrm", "Total"):
            continue
        try:
            first, last, *rest = fields
            first, last = int(first), int(last)
            if len(rest) > 1 and rest[0].lstrip("-").isdigit():
                rest = rest[1:]
            symbol = " ".join(rest) if are_syllables else rest[0]
            if not 0 <= first <= last < MOST_FRAMES:
                raise ValueError
        except (ValueError, IndexError):
            raise ValueError(f"{path}, line {number}, is not 'first frame, last frame, score, symbol'.") from None
        segments["start"].append(_seconds(first, offset))
        segments["end"].append(_seconds(last + 1, offset))
        segments["symbol"].append(VARIANT.sub("", symbol) if symbol.endswith(")") else symbol)
    if not segments["symbol"]:
        raise ValueError(f"{path} has no segments.")
    return segments


@cache  # a corpus has many segments, but few distinct times
def _seconds(frame: int, offset: float) -> float:
    return max(0.0, round(frame * SPHINX_FRAME + offset, 6))


def add_syllables(levels: dict[str, dict[str, list] | None]) -> dict[str, dict[str, list] | None]:
    """Return the levels of an alignment, with syllables derived from words and phones if it has none; changed in place."""
    if levels["word"] and levels["phone"] and not levels["syllable"]:
        levels["syllable"] = syllables_from_phones(levels["phone"], levels["word"])
    return levels


def syllables_from_phones(phones: Mapping[str, Sequence], words: Mapping[str, Sequence]) -> dict[str, list]:
    """Group phones into syllables by the maximal-onset principle.

    Each vowel or syllabic consonant is a nucleus. Of the consonants between two nuclei of a word, the longest final
    sequence that can begin an English word is the onset of the second syllable; the others are the coda of the first.
    No syllable crosses a word boundary; a word without a nucleus ("shh") is one syllable, and phones outside all words
    are treated as words.

    Args:
        phones: Lists `start`, `end` (seconds) and `symbol` of equal length, in the order of time; symbols in ARPAbet
            or in the IPA, with or without stress.
        words: The same lists for words.

    Returns:
        The same lists for syllables; a symbol consists of the symbols of its phones, joined by spaces.
    """
    segments = list(zip(phones["start"], phones["end"], phones["symbol"], strict=True))
    syllables = {"start": [], "end": [], "symbol": []}
    for _, group in groupby(segments, lambda phone: _place(phone, words)):
        group = list(group)
        bounds = _bounds([symbol for *_, symbol in group])
        for first, last in pairwise(bounds):
            starts, ends, symbols = zip(*group[first:last], strict=True)
            syllables["start"].append(starts[0])
            syllables["end"].append(ends[-1])
            syllables["symbol"].append(" ".join(symbols))
    return syllables


def _place(phone: tuple[float, float, str], words: Mapping[str, Sequence]) -> tuple[int, bool]:
    """Return the index of the last word that begins before the middle of a phone, and whether it contains the middle.

    A phone without duration between two words belongs to the first: synthesisers place elided final consonants there.
    """
    middle = (phone[0] + phone[1]) / 2
    index = bisect_left(words["start"], middle) - 1
    return index, index >= 0 and middle <= words["end"][index]


def _bounds(symbols: list[str]) -> list[int]:
    """Return the starts of the syllables of a word, and the end of the last."""
    nuclei = [index for index, symbol in enumerate(symbols) if NUCLEUS.intersection(symbol)]
    inner = [
        next(start for start in range(before + 1, nucleus + 1) if _can_begin(symbols[start:nucleus]))
        for before, nucleus in pairwise(nuclei)
    ]
    return [0, *inner, len(symbols)]


def _can_begin(consonants: list[str]) -> bool:
    if len(consonants) < 2:
        return not NEVER_ONSETS.intersection(consonants)
    *first, last = (IPA.get(name, name) for name in consonants)
    return last in ONSETS.get("".join(first), "")
