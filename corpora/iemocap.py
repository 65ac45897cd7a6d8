"""IEMOCAP (Busso et al. 2008), straight from the folder that its users are licensed: ten actors in five sessions.

The corpus is licensed and not downloaded. Nothing is left out silently: `scan` tells what is wrong with a copy.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from datasets import DatasetDict

from .disk import build_corpus, problem
from .folds import leave_one_session_out, leave_one_speaker_out, read_folds
from .iemocap_copy import SESSION_FOLDERS, Copy, find_sessions
from .iemocap_turns import Turn
from .schema import SPLITS

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

# Published counts of a whole copy: turns in all, and per session turns of these codes.
PUBLISHED_TURNS = 10039
PUBLISHED = {
    "ang": (229, 137, 240, 327, 170),
    "hap": (135, 117, 135, 65, 143),
    "exc": (143, 210, 151, 238, 299),
    "neu": (384, 362, 320, 258, 384),
    "sad": (194, 197, 305, 143, 245),
}
# What is found in every copy, and no reason for a warning.
EXPECTED = frozenset({"other emotion", "unnumbered", "published without words"})


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
        sentence = f"The splits are those of fold {fold} in {Path(fold_file).name}."
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

    Raises:
        FileNotFoundError: If `root` does not exist.
        ValueError: If it is not the corpus, or one level off; an option is none of those above; or nothing is left to
            train on, validate or test.
    """
    folds = None if fold_file is None else read_folds(fold_file)
    tested = _tested_part(protocol, fold, folds)
    rows, problems = scan(root, classes, alignment_offset, prefix_half)
    if not rows:
        first = problems[0]
        raise ValueError(f"{root} has no turn that can be used; first problem: {first['file']}: {first['what']}")
    folds = folds or PROTOCOLS[protocol][0](rows)
    if tested not in folds:
        raise ValueError(f"Fold {fold} tests {tested}, of which {root} has no turn that can be used.")
    problems += _compare_with_fold(rows, folds[tested], {found["id"] for found in problems})
    unexpected = [found for found in problems if found["kind"] not in EXPECTED]
    by_id = {row["id"]: row for row in rows}
    chosen = [by_id[name] | {"split": split} for split in SPLITS for name in folds[tested][split] if name in by_id]
    labels = list(dict.fromkeys(CLASSES[classes].values()))
    return build_corpus("IEMOCAP", chosen, labels, unexpected, "emofusion.corpora.iemocap.scan")


def scan(
    root: str | Path | None = None, classes: int | str = 4, alignment_offset: float = 0.0, prefix_half: str = "left"
) -> tuple[list[dict], list[dict]]:
    """Read a copy, and say what is wrong with it.

    Args:
        root: As in `load`.
        classes: As in `load`.
        alignment_offset: As in `load`.
        prefix_half: As in `load`.

    Returns:
        Rows of the schema, the label by its name; and problems, as `disk.problem` gives them. Left out are turns of the
        kinds "other emotion" (not among the classes), "unknown label", "unnumbered" (without a recording), "unreadable
        turn", "duplicate" and "missing audio", and all of an "empty dialogue" or "missing session". The other kinds tell
        of a text, film or alignment that is None or doubtful, and of files that were not read ("link out of the copy",
        "no permission").

    Raises:
        FileNotFoundError: If `root` does not exist.
        ValueError: If it is not the corpus, or one level off, or an option is none of those in `load`.
    """
    names = CLASSES[_check_classes(classes)]
    if prefix_half not in ("left", "right"):
        raise ValueError(f"prefix_half must be 'left' or 'right', not {prefix_half!r}.")
    copy, rows, seen = Copy(find_sessions(root)), [], set()
    for session in SESSION_FOLDERS:
        for file, turns in copy.dialogues(session):
            for number, turn in enumerate(turns):
                reason = _reason_to_leave_out(turn, names, seen)
                seen.add(turn.name)
                if reason:
                    copy.note(*reason, file=file, turn=turn.name)
                elif row := copy.row(session, turn, alignment_offset, prefix_half):
                    rows.append(row | {"turn": number, "label": names[turn.code]})
    return rows, copy.problems


def soft_labels(root: str | Path | None = None, classes: int | str = 4) -> dict[str, list[float]]:
    """How the raters' votes are shared among the classes (ours).

    A rater has one vote, shared equally among the labels that he or she gave; what is not among the classes is not
    counted. Actors who rated themselves are no raters.

    Args:
        root: As in `load`.
        classes: As in `load`.

    Returns:
        Per id, the shares in the order of the class numbers, which sum to 1; turns without a vote for any class are left
        out.
    """
    names, copy = CLASSES[_check_classes(classes)], Copy(find_sessions(root))
    labels, shares = list(dict.fromkeys(names.values())), {}
    for turn in (turn for session in SESSION_FOLDERS for _, turns in copy.dialogues(session) for turn in turns):
        votes = Counter()
        for codes in turn.votes:
            for code in codes:
                if code in names:
                    votes[names[code]] += 1 / len(codes)
        if votes and turn.is_numbered:
            shares.setdefault(turn.name, [votes[label] / sum(votes.values()) for label in labels])
    return shares


def compare_counts(rows: Iterable[Mapping], classes: int | str = 4) -> list[dict]:
    """Compare a copy with the published counts.

    Args:
        rows: Of `scan` with these classes.
        classes: As in `load`.

    Returns:
        What differs, with `session`, `label` (both None for all turns), `published` and `found`. Only labels whose
        counts per session were published are compared, and the number of all turns if all labels are there.
    """
    published, found = Counter(), Counter()
    for code in PUBLISHED.keys() & CLASSES[classes].keys():
        for session, count in zip(SESSIONS, PUBLISHED[code], strict=True):
            published[session, CLASSES[classes][code]] += count
    for row in rows:
        found[row["session"], row["label"]] += 1
    if classes == "all":
        published[None, None], found[None, None] = PUBLISHED_TURNS, found.total()
    return [
        {"session": session, "label": label, "published": count, "found": found[session, label]}
        for (session, label), count in sorted(published.items(), key=str)
        if found[session, label] != count
    ]


def _tested_part(protocol: str, fold: int, folds: Mapping | None = None) -> str:
    """The name of the fold at a place, of those in a file or of the protocol's."""
    if folds is None and protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}.")
    names = PROTOCOLS[protocol][1] if folds is None else list(folds)
    if not isinstance(fold, int) or not 1 <= fold <= len(names):
        raise ValueError(f"fold must be from 1 to {len(names)}, not {fold!r}.")
    return names[fold - 1]


def _check_classes(classes: int | str) -> int | str:
    if classes not in CLASSES:
        raise ValueError(f"classes must be 4, 6 or 'all', not {classes!r}.")
    return classes


def _reason_to_leave_out(turn: Turn, names: Mapping[str, str], seen: set[str]) -> tuple[str, str] | None:
    """Kind and sentence, where a turn is not to be used."""
    if not turn.is_numbered:
        return "unnumbered", "The turn has no number, and so no recording."
    if turn.name in seen:
        return "duplicate", "The turn was described before; the first description counts."
    if turn.code not in EMOTIONS:
        return "unknown label", f"{turn.code!r} is none of the corpus's labels {', '.join(EMOTIONS)}."
    if turn.code not in names:
        return "other emotion", f"{turn.code} ({EMOTIONS[turn.code]}) is not among the classes."
    return None


def _compare_with_fold(rows: list[dict], fold: Mapping[str, list[str]], explained: set[str | None]) -> list[dict]:
    """As problems, rows that are in no split, and ids of a split that the copy lacks without a reason."""
    found, wanted = {row["id"] for row in rows}, {name for ids in fold.values() for name in ids}
    unused, absent = sorted(found - wanted), sorted(wanted - found - explained)
    return [
        *(problem("not in the fold", "The turn is in no split of the fold file.", name=name) for name in unused),
        *(problem("not in the copy", "The fold file names a turn that is not here.", name=name) for name in absent),
    ]
