"""Who may be in which split.

A fold names the utterances of each split: `{"train": ids, "validation": ids, "test": ids}`. Validation is always a part
of the training speakers that nothing is learned from, never a part of the test.
"""

import json
import os
import random
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict, concatenate_datasets

from .scan import choose
from .schema import SPLITS
from .words import words

Fold = dict[str, list[str]]


def leave_one_session_out(rows: Iterable[Mapping]) -> dict[str, Fold]:
    """One fold per session: that session tests, the next one validates (after the last, the first), all others train.

    Args:
        rows: With `id` and `session`.

    Returns:
        The folds by the name of the session that tests.

    Raises:
        ValueError: If there are fewer than three sessions, or a row has none.
    """
    return _rotate(_group(rows, "session"), "session")


def leave_one_speaker_out(rows: Iterable[Mapping]) -> dict[str, Fold]:
    """One fold per speaker: that speaker tests, the others of the session validate, all other sessions train.

    Args:
        rows: With `id`, `session` and `speaker`.

    Returns:
        The folds by the name of the speaker who tests.

    Raises:
        ValueError: If there is only one session, a speaker is alone in one, or a row has no session or speaker.
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
    """As many folds as wanted, of about equal size, with every speaker in one group: one tests, the next validates.

    Args:
        rows: With `id` and `speaker`.
        k: How many, at least three and at most one per speaker.

    Returns:
        The folds by their number, from "1".

    Raises:
        ValueError: If there are not that many speakers, or a row has none.
    """
    speakers = _group(rows, "speaker")
    if not 3 <= k <= len(speakers):
        raise ValueError(f"k must be from 3 to the number of speakers, which is {len(speakers)}, not {k}.")
    groups = [[] for _ in range(k)]
    for name in sorted(speakers, key=lambda name: len(speakers[name]), reverse=True):
        min(groups, key=len).extend(speakers[name])
    return _rotate({str(number): ids for number, ids in enumerate(groups, start=1)}, "group of speakers")


def split_by_speaker(corpus: Mapping[str, Dataset], k: int, fold: int) -> DatasetDict:
    """Split a corpus anew, into a fold of `k_fold_by_speaker`.

    Args:
        corpus: Its splits of before, or all of it as one.
        k: As in `k_fold_by_speaker`.
        fold: Which fold, from 1.

    Raises:
        ValueError: If there are not that many folds or speakers, or a row has no speaker.
    """
    rows = concatenate_datasets(list(corpus.values()))
    folds = k_fold_by_speaker(rows, k)
    if str(fold) not in folds:
        raise ValueError(f"fold must be from 1 to {k}, not {fold!r}.")
    return DatasetDict({split: choose(rows, folds[str(fold)][split]) for split in SPLITS})


def list_speaker_folds(speaker_folds: int | None) -> list[dict]:
    """The options that choose each fold of a corpus that is split anew; one without any where it keeps its splits."""
    return [{}] if speaker_folds is None else [{"fold": number} for number in range(1, speaker_folds + 1)]


def describe_speaker_fold(speaker_folds: int, fold: int) -> str:
    """The sentence on the protocol of a corpus that is split anew."""
    return (
        f"{speaker_folds} folds by speaker, fold {fold}: one group of speakers tests, the next validates, and the others "
        "train."
    )


def describe_fold_file(fold_file: str | Path, fold: int) -> str:
    """The sentence on the protocol of a corpus that is split by a file."""
    return f"The splits are those of fold {fold} in {Path(fold_file).name}."


def carve_validation(rows: Iterable[Mapping], share: float = 0.1, seed: int = 0) -> tuple[list[str], list[str]]:
    """Take speakers out of the training part until they make up a share of it.

    Args:
        rows: Of the training part, with `id` and `speaker`.
        share: What validation has of the rows at least, between 0 and 1.
        seed: Which speakers are taken is drawn from it.

    Returns:
        The ids that still train, and those that validate.

    Raises:
        ValueError: If nobody is left to train on, `share` is out of range, or a row has no speaker.
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
        raise ValueError(f"A share of {share} takes all {len(speakers)} speakers: nobody is left to train on.")
    return [name for speaker in sorted(order) for name in speakers[speaker]], validation


def write_folds(path: str | Path, folds: Mapping[str, Fold]) -> None:
    """Write folds as JSON, `{fold: {split: ids}}`, whole or not at all."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(json.dumps(folds, indent=1) + "\n", encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_folds(path: str | Path) -> dict[str, Fold]:
    """Read folds as `write_folds` writes them, or as others give them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON of that form, a split has no ids, or an id is twice in a fold.
    """
    try:
        folds = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file: {error}.") from error
    if not isinstance(folds, dict) or not folds:
        raise ValueError(f"{path} must hold folds by name, {{fold: {{split: ids}}}}.")
    for name, fold in folds.items():
        if not isinstance(fold, dict) or set(fold) != set(SPLITS):
            raise ValueError(f"{path}: the fold {name!r} needs the splits {', '.join(SPLITS)} and no others.")
        for split, ids in fold.items():
            if not isinstance(ids, list) or not ids or not all(isinstance(utterance, str) for utterance in ids):
                raise ValueError(f"{path}: the split {split!r} of the fold {name!r} must be a list of ids.")
        seen = set()
        for utterance in (utterance for split in SPLITS for utterance in fold[split]):
            if utterance in seen:
                raise ValueError(f"{path}: the fold {name!r} has {utterance!r} twice.")
            seen.add(utterance)
    return folds


def read_fold(path: str | Path, fold: int) -> Fold:
    """The fold at a place of a file, from 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no folds, or not that many.
    """
    folds = list(read_folds(path).values())
    if not isinstance(fold, int) or not 1 <= fold <= len(folds):
        raise ValueError(f"fold must be from 1 to {len(folds)}, as many as {path} has, not {fold!r}.")
    return folds[fold - 1]


def split_by_ids(
    corpus: Mapping[str, Dataset], fold: Fold, name: str, explained: Iterable[str | None] = ()
) -> DatasetDict:
    """Split a corpus anew, as a fold says; a warning tells what is in only one of both.

    Args:
        corpus: Its splits of before, or all of it as one.
        fold: The ids of each split.
        name: What a warning calls the fold.
        explained: Ids that may be missing without a word, because a problem tells of them.
    """
    rows = concatenate_datasets(list(corpus.values()))
    found, wanted = set(rows["id"][:]), {name for ids in fold.values() for name in ids}
    unused, absent = sorted(found - wanted), sorted(wanted - found - set(explained))
    for names, what in ((unused, "utterances are in no split of it"), (absent, "of its utterances are not here")):
        if names:
            warnings.warn(f"{name}: {len(names)} {what}, {names[0]} for one.", stacklevel=3)
    return DatasetDict({split: choose(rows, fold[split]) for split in SPLITS})


def check_speaker_independent(corpus: DatasetDict) -> dict[str, list[str]]:
    """Prove that no speaker is heard in two splits.

    Returns:
        The speakers of each split, sorted.

    Raises:
        ValueError: If a speaker crosses, or a row without a speaker makes the proof impossible.
    """
    speakers = {}
    for split, rows in corpus.items():
        names = set(rows["speaker"][:])
        if None in names:
            raise ValueError(f"The split {split!r} has rows without a speaker, so independence cannot be shown.")
        speakers[split] = sorted(names)
    homes = {}
    for split, names in speakers.items():
        for name in names:
            homes.setdefault(name, []).append(split)
    crossing = [f"{name} ({', '.join(splits)})" for name, splits in homes.items() if len(splits) > 1]
    if crossing:
        raise ValueError(f"Speakers are heard in more than one split: {'; '.join(crossing)}.")
    return speakers


def check_splits(corpus: DatasetDict, speaker_independent: bool = False) -> None:
    """Prove that nothing that is tested is learned from, or chosen by.

    Args:
        corpus: Its splits.
        speaker_independent: Whether the protocol promises that no speaker is in two of them.

    Raises:
        ValueError: If an utterance is twice in the splits, or a promised independence does not hold.
    """
    homes = {}
    for split, rows in corpus.items():
        for name in rows["id"][:]:
            if name in homes:
                raise ValueError(
                    f"The utterance {name!r} is both in {homes[name]!r} and in {split!r}: what is tested must be in no "
                    "other split."
                    if homes[name] != split
                    else f"The utterance {name!r} is twice in {split!r}: every utterance counts once."
                )
            homes[name] = split
    if speaker_independent:
        check_speaker_independent(corpus)


def texts_seen(corpus: DatasetDict, split: str = "test") -> list[bool]:
    """Which rows of a split say what is also said in training, but for case, punctuation and spaces.

    A script that two sessions read puts the same sentences into training and test: a model of text may know them by heart.

    Args:
        corpus: With the split and "train".
        split: Whose rows are asked about.

    Returns:
        One answer per row of the split; False for rows without words.
    """
    seen = {words(text) for text in corpus["train"]["text"][:]} - {()}
    return [words(text) in seen for text in corpus[split]["text"][:]]


def describe_rows(corpus: DatasetDict, split: str = "test") -> dict[str, list[bool | None]]:
    """What may make a row easier than it looks, so that results can be told apart by it.

    Args:
        corpus: With the split and "train".
        split: Whose rows are asked about.

    Returns:
        One answer per row of the split: `text_seen` as `texts_seen` gives it, and `scripted`, whether its words were read;
        None where that is not known.
    """
    return {"text_seen": texts_seen(corpus, split), "scripted": corpus[split]["scripted"][:]}


def _group(rows: Iterable[Mapping], column: str) -> dict[str, list[str]]:
    """The ids per value of a column, by name."""
    groups = defaultdict(list)
    for row in _narrow(rows, "id", column):
        if row[column] is None:
            raise ValueError(f"The row {row['id']!r} has no {column}, so no fold can be made by it.")
        groups[row[column]].append(row["id"])
    return dict(sorted(groups.items()))


def _narrow(rows: Iterable[Mapping], *columns: str) -> Iterable[Mapping]:
    """Rows of a dataset without other columns, which are then not read; others as they are."""
    return rows.select_columns(list(columns)).to_list() if isinstance(rows, Dataset) else rows


def _rotate(groups: Mapping[str, Sequence[str]], what: str) -> dict[str, Fold]:
    """One fold per group: it tests, the next validates, all others train."""
    names = list(groups)
    if len(names) < 3:
        raise ValueError(f"Training, validation and test need a {what} each; there are {len(names)}.")
    folds = {}
    for number, test in enumerate(names):
        validation = names[(number + 1) % len(names)]
        train = [utterance for name in names if name not in (test, validation) for utterance in groups[name]]
        folds[test] = {"train": train, "validation": list(groups[validation]), "test": list(groups[test])}
    return folds
