"""IEMOCAP (Busso et al. 2008), straight from the folder that its users are licensed: ten actors in five sessions.

The corpus is licensed and not downloaded. Nothing is left out silently: `scan` tells what is wrong with a copy.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from datasets import DatasetDict
from tqdm.auto import tqdm

from ..folds import (
    describe_fold_file,
    leave_one_session_out,
    leave_one_speaker_out,
    read_fold,
    read_folds,
    split_by_ids,
)
from ..preparation.prepare import prepare
from ..scan import Scan, finish
from .release import Copy, find_sessions
from .turns import Turn

SESSIONS = tuple(f"Ses0{number}" for number in range(1, 6))
SPEAKERS = tuple(f"{session}{letter}" for session in SESSIONS for letter in "FM")

EMOTIONS = {
    "ang": "angry", "hap": "happy", "exc": "excited", "neu": "neutral", "sad": "sad", "fru": "frustrated",
    "fea": "fearful", "sur": "surprised", "dis": "disgusted", "oth": "other", "xxx": "no majority",
}  # fmt: skip
# Which codes count as which label; class numbers are in the order of the labels.
CLASSES = {
    4: {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"},
    6: {code: EMOTIONS[code] for code in ("neu", "fru", "ang", "sad", "exc", "hap")},
    "all": EMOTIONS,
}
TITLES = {
    4: "IEMOCAP with four classes (happy includes excited)",
    6: "IEMOCAP with six classes",
    "all": "IEMOCAP with all labels",
}
# Protocol -> its folds, and what each of them tests.
PROTOCOLS = {
    "leave-one-session-out": (leave_one_session_out, SESSIONS),
    "leave-one-speaker-out": (leave_one_speaker_out, SPEAKERS),
}

PART = "session"  # what counts are given by

# Published counts of a whole copy: turns in all, and per session turns of these codes.
PUBLISHED_TURNS = 10039
PUBLISHED = {
    "ang": (229, 137, 240, 327, 170),
    "hap": (135, 117, 135, 65, 143),
    "exc": (143, 210, 151, 238, 299),
    "neu": (384, 362, 320, 258, 384),
    "sad": (194, 197, 305, 143, 245),
}


def about(
    classes: int | str = 4,
    fold: int = 1,
    protocol: str = "leave-one-session-out",
    fold_file: str | None = None,
    **options,
) -> dict:
    """What is to be said of the corpus where results on it are shown.

    Args:
        classes: As in `load`.
        fold: As in `load`.
        protocol: As in `load`.
        fold_file: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    if fold_file is not None:
        sentence = describe_fold_file(fold_file, fold)
    elif (tested := _tested_part(protocol, fold)) in SESSIONS:
        sentence = (
            f"Leave-one-session-out, fold {fold} of 5: session {fold} tests, the two speakers of the next session "
            "validate, and the others train."
        )
    else:
        sentence = (
            f"Leave-one-speaker-out, fold {fold} of 10: the speaker {tested} tests, the other speaker of the same session "
            "validates, and the other sessions train."
        )
    return {
        "title": TITLES[_check_classes(classes)],
        "demonstration": False,
        "protocol": sentence,
        "speaker_independent": fold_file is None,
        "license": "for research, by agreement with the University of Southern California (SAIL)",
    }


def load(
    root: str | Path | None = None,
    classes: int | str = 4,
    fold: int = 1,
    protocol: str = "leave-one-session-out",
    fold_file: str | None = None,
    alignment_offset: float = 0.0,
    prefix_half: str = "left",
    max_seconds: float | None = 60.0,
) -> DatasetDict:
    """Load one fold of a user's copy.

    Args:
        root: The folder `IEMOCAP_full_release`, the one around it, or any that holds `Session1` to `Session5`.
        classes: 4 (angry, happy, neutral, sad; excited counts as happy), 6 (neutral, frustrated, angry, sad, excited,
            happy) or "all".
        fold: Which part tests, from 1: the session, or the speaker in the order Ses01F, Ses01M, Ses02F, ...
        protocol: "leave-one-session-out" (5 folds; the two speakers of the next session validate, after the fifth those
            of the first) or "leave-one-speaker-out" (10 folds; the session's other speaker validates).
        fold_file: Folds as `folds.write_folds` writes them, from which the one at place `fold` is taken instead.
        alignment_offset: Seconds that are added to the times of the forced alignments; some count 0.02 more than the
            files say.
        prefix_half: Half of the films that shows the actor whose letter is in the name of the dialogue: "left" or
            "right".
        max_seconds: Longer recordings are cut here; None never cuts.

    Raises:
        FileNotFoundError: If `root` does not exist.
        ValueError: If it is not the corpus, or one level off; an option is none of those above; or nothing is left to
            train on, validate or test.
    """
    given, tested = (read_fold(fold_file, fold), None) if fold_file else (None, _tested_part(protocol, fold))
    prepared = prepare(
        "iemocap",
        root,
        max_seconds=max_seconds,
        classes=classes,
        alignment_offset=alignment_offset,
        prefix_half=prefix_half,
    )
    if given is None:
        folds = PROTOCOLS[protocol][0](prepared.splits["train"])
        if tested not in folds:
            raise ValueError(f"Fold {fold} tests {tested}, of which {root} has no turn that can be used.")
        given = folds[tested]
    splits = split_by_ids(
        prepared.splits, given, f"{fold_file or protocol}, fold {fold}", {found["id"] for found in prepared.problems}
    )
    return finish("IEMOCAP", prepared, splits)


def list_folds(protocol: str = "leave-one-session-out", fold_file: str | None = None, **options) -> list[dict]:
    """The folds of a protocol or a file, as the options of `load` that choose them.

    Args:
        protocol: As in `load`.
        fold_file: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    if fold_file is None:
        _tested_part(protocol, 1)
    folds = PROTOCOLS[protocol][1] if fold_file is None else read_folds(fold_file)
    return [{"fold": number} for number in range(1, len(folds) + 1)]


def scan(
    root: str | Path | None = None, classes: int | str = 4, alignment_offset: float = 0.0, prefix_half: str = "left"
) -> Scan:
    """Read a copy, and say what is wrong with it; recordings and films are not opened.

    Left out are turns of the kinds "other emotion" (not among the classes), "unknown label", "unnumbered" (without a
    recording), "unreadable turn", "duplicate" and "missing audio", and all of an "empty dialogue" or "missing session".
    The other kinds tell of a text, film or alignment that is None, and of files that were not read ("link out of the
    copy", "no permission").

    Args:
        root: As in `load`.
        classes: As in `load`.
        alignment_offset: As in `load`.
        prefix_half: As in `load`.

    Raises:
        FileNotFoundError: If `root` does not exist.
        ValueError: If it is not the corpus, or one level off, or an option is none of those in `load`.
    """
    names = CLASSES[_check_classes(classes)]
    if prefix_half not in ("left", "right"):
        raise ValueError(f"prefix_half must be 'left' or 'right', not {prefix_half!r}.")
    copy = Copy(find_sessions(root))
    rows = _rows(copy, names, alignment_offset, prefix_half)
    return Scan(copy.root, _labels(names), rows, copy.problems, copy.sources())


def published(classes: int | str = 4, **options) -> dict[str, dict[str, int]]:
    """How many turns of a label a whole copy has in each session, of the labels for which that was published.

    Args:
        classes: As in `load`; of all labels, the total is published too, as "all".
        options: Others of `load`, which change nothing here.
    """
    names = CLASSES[_check_classes(classes)]
    counts = {session: Counter() for session in SESSIONS}
    for code, label in names.items():
        for session, count in zip(SESSIONS, PUBLISHED.get(code, ()), strict=code in PUBLISHED):
            counts[session][label] += count
    total = {"all": {"all": PUBLISHED_TURNS}} if classes == "all" else {}
    return {session: dict(labels) for session, labels in counts.items()} | total


def _rows(copy: Copy, names: Mapping[str, str], alignment_offset: float, prefix_half: str) -> Iterator[dict]:
    labels, seen = _labels(names), set()
    for file in tqdm(copy.evaluations(), desc="Looking through IEMOCAP", unit=" dialogues", disable=None):
        for number, turn in enumerate(copy.turns(file)):
            reason = _reason_to_leave_out(turn, names, seen)
            seen.add(turn.name)
            if reason:
                kind, why = reason
                copy.note(kind, f"{turn.name} is dropped: {why}.", file, turn.name, dropped=True)
            elif row := copy.row(file, turn, alignment_offset, prefix_half):
                soft_label = _share_votes(turn.votes, names, labels)
                yield row | {"turn": number, "label": names[turn.code], "soft_label": soft_label}


def _labels(names: Mapping[str, str]) -> list[str]:
    """The classes in the order of their numbers."""
    return list(dict.fromkeys(names.values()))


def _share_votes(votes: list[list[str]], names: Mapping[str, str], labels: list[str]) -> list[float] | None:
    """How the raters' votes are shared among the classes (ours); None if none is for any of them.

    A rater has one vote, shared equally among the labels that he or she gave; what is not among the classes is not
    counted.
    """
    shares = Counter()
    for codes in votes:
        for code in codes:
            if code in names:
                shares[names[code]] += 1 / len(codes)
    return [shares[label] / shares.total() for label in labels] if shares else None


def _tested_part(protocol: str, fold: int) -> str:
    """What the fold at a place of the protocol tests."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}.")
    names = PROTOCOLS[protocol][1]
    if not isinstance(fold, int) or not 1 <= fold <= len(names):
        raise ValueError(f"fold must be from 1 to {len(names)}, not {fold!r}.")
    return names[fold - 1]


def _check_classes(classes: int | str) -> int | str:
    if classes not in CLASSES:
        raise ValueError(f"classes must be 4, 6 or 'all', not {classes!r}.")
    return classes


def _reason_to_leave_out(turn: Turn, names: Mapping[str, str], seen: set[str]) -> tuple[str, str] | None:
    """Kind of problem and why, where a turn is not to be used."""
    if not turn.is_numbered:
        return "unnumbered", "it has no number, and so no recording"
    if turn.name in seen:
        return "duplicate", "it was described before, and the first description counts"
    if turn.code not in EMOTIONS:
        return "unknown label", f"its label {turn.code!r} is none of {', '.join(EMOTIONS)}"
    if turn.code not in names:
        return "other emotion", f"{turn.code} ({EMOTIONS[turn.code]}) is not among the classes"
    return None
