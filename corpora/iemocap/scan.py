"""Scan a copy of IEMOCAP: its turns as rows, and the problems with them."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from ..dialogues import turn_of
from ..records import Scan
from .release import IemocapRelease, ReadOptions, find_sessions
from .turns import Turn

EMOTIONS = {
    "ang": "angry", "hap": "happy", "exc": "excited", "neu": "neutral", "sad": "sad", "fru": "frustrated",
    "fea": "fearful", "sur": "surprised", "dis": "disgusted", "oth": "other", "xxx": "no majority",
}  # fmt: skip
# Option `classes` -> the label of each code; class numbers follow the order of the labels.
CLASSES = {
    4: {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"},
    6: {code: EMOTIONS[code] for code in ("neu", "fru", "ang", "sad", "exc", "hap")},
    "all": EMOTIONS,
}


@dataclass(frozen=True, kw_only=True)
class IemocapScanOptions(ReadOptions):
    """Options that determine a prepared IEMOCAP."""

    classes: int | str = field(
        default=4,
        metadata={
            "help": "4 (angry, happy, neutral, sad; excited counts as happy), 6 (neutral, frustrated, angry, sad, excited, "
            "happy) or all."
        },
    )
    keep_others: bool = field(
        default=False,
        metadata={
            "help": "Keep turns of other emotions and without a majority, without a label: their valence, arousal and "
            "dominance are rated too."
        },
    )

    def __post_init__(self):
        super().__post_init__()
        if self.classes not in CLASSES:
            raise ValueError(f"classes must be 4, 6 or 'all', not {self.classes!r}.")
        if self.keep_others and self.classes == "all":
            raise ValueError(
                "keep_others is given, but classes is 'all', which leaves no emotion out; give one of them."
            )


def scan(root: str | Path | None, options: IemocapScanOptions) -> Scan:
    """Scan a copy; no recording and no video is opened.

    Turns are left out with the problems "other emotion" (not among the classes, unless these are kept), "unknown label",
    "unnumbered" (without a recording), "unreadable turn", "duplicate" and "missing audio", and all turns with "empty
    dialogue" and "missing session". The other problems concern a text, video or alignment that is None, and files that
    were not read ("broken link", "no permission").

    Args:
        root: The folder `IEMOCAP_full_release`, its parent, or any folder that contains `Session1` to `Session5`.
        options: The options of the scan.

    Raises:
        FileNotFoundError: If `root` does not exist.
        ValueError: If it is not the folder of the corpus.
    """
    labels, turns = CLASSES[options.classes], []
    release = IemocapRelease(find_sessions(root))
    rows = _rows(release, labels, options, turns)
    return Scan(release.root, list_labels(labels), rows, release.problems, release.sources(), turns)


def list_labels(label_of: Mapping[str, str]) -> list[str]:
    """Return the labels of a value of `CLASSES` in the order of their class numbers."""
    return list(dict.fromkeys(label_of.values()))


def _rows(
    release: IemocapRelease, label_of: Mapping[str, str], options: IemocapScanOptions, turns: list[dict]
) -> Iterator[dict]:
    labels, seen = list_labels(label_of), set()
    for file in tqdm(release.evaluations(), desc="Scanning IEMOCAP", unit=" dialogues", disable=None):
        for number, turn in enumerate(release.turns(file)):
            reason = _reason_to_leave_out(turn, EMOTIONS if options.keep_others else label_of, seen)
            seen.add(turn.name)
            if reason:
                kind, why = reason
                release.note(kind, f"{turn.name} is dropped: {why}.", file, turn.name, dropped=True)
                if kind != "duplicate":
                    turns.append(turn_of(release.said(file, turn, options) | {"turn": number}))
            elif (row := release.row(file, turn, options)) is None:
                turns.append(turn_of(release.said(file, turn, options) | {"turn": number}))
            else:
                soft_label = _share_votes(turn.votes, label_of, labels)
                yield row | {"turn": number, "label": label_of.get(turn.code), "soft_label": soft_label}


def _reason_to_leave_out(turn: Turn, kept: Collection[str], seen: set[str]) -> tuple[str, str] | None:
    """Return the kind of problem and the reason if a turn cannot be used, else None; `kept` are the codes that are used."""
    if not turn.is_numbered:
        return "unnumbered", "it has no number, and therefore no recording"
    if turn.name in seen:
        return "duplicate", "it is described twice, and the first description is used"
    if turn.code not in EMOTIONS:
        return "unknown label", f"its label {turn.code!r} is none of {', '.join(EMOTIONS)}"
    if turn.code not in kept:
        return "other emotion", f"{turn.code} ({EMOTIONS[turn.code]}) is not among the classes"
    return None


def _share_votes(votes: list[list[str]], label_of: Mapping[str, str], labels: list[str]) -> list[float] | None:
    """Return the distribution of the raters' votes over the classes (ours); None without a vote for any of them.

    Each rater has one vote, shared equally among the labels that the rater chose; labels outside the classes do not count.
    """
    shares = Counter()
    for codes in votes:
        for code in codes:
            if code in label_of:
                shares[label_of[code]] += 1 / len(codes)
    return [shares[label] / shares.total() for label in labels] if shares else None
