"""Protocols that divide a corpus into folds by session or speaker.

A fold names the utterances of each split: `{"train": ids, "validation": ids, "test": ids}`. The validation split is taken
from the training speakers, never from the test split.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

Fold = dict[str, list[str]]
VALIDATIONS = ("session", "speakers")  # of `leave_one_session_out`
MAX_FOLDS = 10_000  # folds are listed before the speakers are counted


def leave_one_session_out(rows: Iterable[Mapping], validation: str = "session") -> dict[str, Fold]:
    """Return one fold per session: the session is the test split, and speakers of the next ones are the validation split.

    After the last session comes the first.

    Args:
        rows: Rows with `id`, `session` and, with "speakers", `speaker`.
        validation: "session" for all speakers of the next session, or "speakers" for two speakers inside the training
            sessions: the first of the next session and the last of the one after it, in the order of their names. The
            others of these two sessions then train.

    Returns:
        The folds by the name of the test session.

    Raises:
        ValueError: If there are fewer than three sessions, a session has too few speakers, or a row has no session or
            speaker.
    """
    if validation == "session":
        return _rotate(_group(rows, "session"), "session")
    rows = list(_narrow(rows, "id", "session", "speaker"))
    speakers, home = _group(rows, "speaker"), {row["speaker"]: row["session"] for row in rows}
    sessions = {session: [name for name in speakers if home[name] == session] for session in _group(rows, "session")}
    names, folds = list(sessions), {}
    if len(names) < 3:
        raise ValueError(f"Two sessions with validating speakers are needed beside the test, not {len(names) - 1}.")
    for number, test in enumerate(names):
        following, after = (sessions[names[(number + step) % len(names)]] for step in (1, 2))
        chosen = {"validation": [following[0], after[-1]], "test": sessions[test]}
        held_out = {name for group in chosen.values() for name in group}
        chosen["train"] = [name for name in speakers if name not in held_out]
        if not chosen["train"]:
            raise ValueError(f"Leaving out the session {test!r} leaves no speaker to train on.")
        folds[test] = {
            split: [name for speaker in chosen[split] for name in speakers[speaker]]
            for split in ("train", "validation", "test")
        }
    return folds


def leave_one_speaker_out(rows: Iterable[Mapping]) -> dict[str, Fold]:
    """Return one fold per speaker: test on the speaker, validate on the others of the session, train on other sessions.

    Args:
        rows: Rows with `id`, `session` and `speaker`.

    Returns:
        The folds by the name of the test speaker.

    Raises:
        ValueError: If there is only one session, a session has only one speaker, or a row has no session or speaker.
    """
    rows, folds = list(_narrow(rows, "id", "session", "speaker")), {}
    sessions = _group(rows, "session")
    speakers = {name: _group([row for row in rows if row["session"] == name], "speaker") for name in sessions}
    for session, groups in speakers.items():
        train = [name for other in sessions if other != session for name in sessions[other]]
        for speaker, test in groups.items():
            validation = [name for other in groups if other != speaker for name in groups[other]]
            if not train or not validation:
                raise ValueError(
                    f"Leaving out the speaker {speaker!r} needs a second speaker in the session {session!r} and a "
                    "second session."
                )
            folds[speaker] = {"train": train, "validation": validation, "test": test}
    return folds


def k_fold_by_speaker(rows: Iterable[Mapping], k: int) -> dict[str, Fold]:
    """Return `k` folds from `k` groups of speakers of about equal size: one group tests, the next one validates.

    Args:
        rows: Rows with `id` and `speaker`.
        k: Number of folds, at least three and at most one per speaker.

    Returns:
        The folds by number, from "1".

    Raises:
        ValueError: If `k` is out of range, or a row has no speaker.
    """
    speakers = _group(rows, "speaker")
    if not 3 <= k <= len(speakers):
        raise ValueError(f"k must be from 3 to {len(speakers)}, the number of speakers, not {k}.")
    groups = [[] for _ in range(k)]
    for name in sorted(speakers, key=lambda name: len(speakers[name]), reverse=True):
        min(groups, key=len).extend(speakers[name])
    return _rotate({str(number): ids for number, ids in enumerate(groups, start=1)}, "group of speakers")


def carve_validation(rows: Iterable[Mapping], share: float = 0.1, seed: int = 0) -> tuple[list[str], list[str]]:
    """Move random speakers from the training split to a new one until it has at least a share of the rows.

    Args:
        rows: Rows of the training split, with `id` and `speaker`.
        share: Minimum share of the new split, between 0 and 1.
        seed: Seed for the choice of speakers.

    Returns:
        The ids that remain in the training split, and those of the new split.

    Raises:
        ValueError: If no speaker remains to train on, `share` is out of range, or a row has no speaker.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, not {share}.")
    speakers, validation = _group(rows, "speaker"), []
    wanted = share * sum(map(len, speakers.values()))
    order = list(speakers)
    random.Random(seed).shuffle(order)
    while order and len(validation) < wanted:
        validation += speakers[order.pop()]
    if not order:
        raise ValueError(f"A share of {share} takes all {len(speakers)} speakers: none remains to train on.")
    return [name for speaker in sorted(order) for name in speakers[speaker]], validation


def check_speaker_folds(speaker_folds: int | None) -> None:
    """Raise a ValueError if a number of folds by speaker is out of range; None means no folds."""
    if speaker_folds is not None and not 3 <= speaker_folds <= MAX_FOLDS:
        raise ValueError(f"speaker_folds must be from 3 to {MAX_FOLDS:,}, not {speaker_folds!r}.")


def list_speaker_folds(speaker_folds: int | None) -> list[dict]:
    """Return the options that select each fold by speaker; one fold without options if `speaker_folds` is None."""
    return [{}] if speaker_folds is None else [{"fold": number} for number in range(1, speaker_folds + 1)]


def describe_speaker_fold(speaker_folds: int, fold: int) -> str:
    """Return the sentence that describes a fold of `k_fold_by_speaker`."""
    return (
        f"{speaker_folds} folds by speaker, fold {fold}: one group of speakers is the test split, the next the validation "
        "split, and the others the training split."
    )


def _group(rows: Iterable[Mapping], column: str) -> dict[str, list[str]]:
    """Return the ids per value of a column, sorted by value."""
    groups = defaultdict(list)
    for row in _narrow(rows, "id", column):
        if row[column] is None:
            raise ValueError(f"The row {row['id']!r} has no {column}, so no fold can be made by it.")
        groups[row[column]].append(row["id"])
    return dict(sorted(groups.items()))


def _narrow(rows: Iterable[Mapping], *columns: str) -> Iterable[Mapping]:
    """Return the rows of a `Dataset` with these columns only, so that no other is read; return other rows unchanged."""
    return rows.select_columns(list(columns)).to_list() if hasattr(rows, "select_columns") else rows


def _rotate(groups: Mapping[str, Sequence[str]], what: str) -> dict[str, Fold]:
    """Return one fold per group: the group is the test split, the next one validation, and the others training."""
    names = list(groups)
    if len(names) < 3:
        raise ValueError(f"Training, validation and test need one {what} each, but there are only {len(names)}.")
    folds = {}
    for number, test in enumerate(names):
        validation = names[(number + 1) % len(names)]
        train = [utterance for name in names if name not in (test, validation) for utterance in groups[name]]
        folds[test] = {"train": train, "validation": list(groups[validation]), "test": list(groups[test])}
    return folds
