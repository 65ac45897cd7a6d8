"""Apply folds to a corpus, check its splits, and read and write folds as JSON files."""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .atomic_write import write_json
from .protocols import Fold, k_fold_by_speaker
from .records import Prepared, name_unread
from .schema import SPLITS
from .words import words

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def select_ids(rows: "Dataset", ids: Iterable[str]) -> "Dataset":
    """Return the rows with these ids, in this order and without copying data; unknown ids are skipped."""
    places = {name: place for place, name in enumerate(rows["id"][:])}
    return rows.select([places[name] for name in ids if name in places])


def split_by_speaker(corpus: Mapping[str, "Dataset"], k: int, fold: int) -> "DatasetDict":
    """Replace the splits of a corpus by those of a fold of `k_fold_by_speaker`.

    Args:
        corpus: The former splits.
        k: As in `k_fold_by_speaker`.
        fold: Number of the fold, from 1.

    Raises:
        ValueError: If there are fewer folds or speakers, or a row has no speaker.
    """
    from datasets import DatasetDict, concatenate_datasets

    rows = concatenate_datasets(list(corpus.values()))
    folds = k_fold_by_speaker(rows, k)
    if str(fold) not in folds:
        raise ValueError(f"fold must be from 1 to {k}, not {fold!r}.")
    return DatasetDict({split: select_ids(rows, folds[str(fold)][split]) for split in SPLITS})


def split_by_ids(
    corpus: Mapping[str, "Dataset"], fold: Fold, name: str, explained: Iterable[str | None] = ()
) -> "DatasetDict":
    """Replace the splits of a corpus by those of a fold; warn about ids that are only in the corpus or only in the fold.

    Args:
        corpus: The former splits.
        fold: The ids of each split.
        name: Name of the fold in warnings.
        explained: Ids that may be missing without a warning, because a problem of the corpus explains it.
    """
    from datasets import DatasetDict, concatenate_datasets

    rows = concatenate_datasets(list(corpus.values()))
    found, wanted = set(rows["id"][:]), {name for ids in fold.values() for name in ids}
    unused, absent = sorted(found - wanted), sorted(wanted - found - set(explained))
    for names, what in ((unused, "utterances are in none of its splits"), (absent, "of its utterances do not exist")):
        if names:
            warnings.warn(f"{name}: {len(names)} {what}, for example {names[0]}.", stacklevel=4)
    return DatasetDict({split: select_ids(rows, fold[split]) for split in SPLITS})


def finish_splits(name: str, prepared: Prepared, splits: Mapping[str, "Dataset"]) -> "DatasetDict":
    """Return the splits of a prepared corpus in the order of `SPLITS`, see `warn_of_problems`.

    Args:
        name: Name of the corpus in errors and warnings.
        prepared: The corpus, with its problems.
        splits: Rows of each split.

    Raises:
        ValueError: If a split is empty.
    """
    from datasets import DatasetDict

    for split in SPLITS:
        if not len(splits.get(split, ())):
            own = [found for found in prepared.problems if not found["known"]]
            first = f" The first of {len(own)} problems: {own[0]['what']}" if own else ""
            raise ValueError(f"{name} has no usable row for the split {split!r}.{first}")
    warn_of_problems(name, prepared, stacklevel=5)
    return DatasetDict({split: splits[split] for split in SPLITS})


def warn_of_problems(name: str, prepared: Prepared, stacklevel: int = 4) -> None:
    """Warn once if this copy of a corpus has problems; columns that are not read are named.

    Args:
        name: Name of the corpus in the warning.
        prepared: The corpus.
        stacklevel: As in `warnings.warn`.
    """
    own = [found for found in prepared.problems if not found["known"]]
    if own:
        kinds = Counter(found["kind"] for found in own)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        usable = sum(map(len, prepared.splits.values()))
        file = prepared.folder / "problems.txt"
        warnings.warn(
            f"{name} has {usable} usable rows; problems: {counts}.{name_unread(own)} {file} lists them.",
            stacklevel=stacklevel,
        )


def check_splits(corpus: "DatasetDict", speaker_independent: bool = False) -> None:
    """Check the splits before training: they have labels, no utterance occurs twice, and speakers are apart on request.

    Args:
        corpus: The splits.
        speaker_independent: Whether the protocol guarantees that no speaker is in two splits.

    Raises:
        ValueError: If a split has no label, an utterance occurs twice, or a guaranteed speaker independence does not hold.
    """
    homes = {}
    for split, rows in corpus.items():
        _check_labelled(split, rows)
        for name in rows["id"][:]:
            if name in homes:
                raise ValueError(
                    f"The utterance {name!r} is both in {homes[name]!r} and in {split!r}: keep it in one split only."
                    if homes[name] != split
                    else f"The utterance {name!r} is twice in {split!r}: remove one of the two rows."
                )
            homes[name] = split
    if speaker_independent:
        check_speaker_independent(corpus)


def _check_labelled(split: str, rows: "Dataset") -> None:
    """Raise a `ValueError` if no row of a split has a label, raters' votes or dimensions."""
    columns = [column for column in ("label", "soft_label", "vad") if column in rows.column_names]
    if columns and len(rows) and all(value is None for column in columns for value in rows[column][:]):
        raise ValueError(
            f"No utterance of the split {split!r} has a label, which training needs: add a column 'label' to the metadata."
        )


def check_speaker_independent(corpus: "DatasetDict") -> dict[str, list[str]]:
    """Check that no speaker is in two splits.

    Returns:
        The speakers of each split, sorted.

    Raises:
        ValueError: If a speaker is in two splits, or a row has no speaker.
    """
    speakers = {}
    for split, rows in corpus.items():
        names = set(rows["speaker"][:])
        if None in names:
            raise ValueError(
                f"The split {split!r} has rows without a speaker, so speaker independence cannot be checked."
            )
        speakers[split] = sorted(names)
    homes = {}
    for split, names in speakers.items():
        for name in names:
            homes.setdefault(name, []).append(split)
    crossing = [f"{name} ({', '.join(splits)})" for name, splits in homes.items() if len(splits) > 1]
    if crossing:
        raise ValueError(f"Speakers occur in more than one split: {'; '.join(crossing)}.")
    return speakers


def texts_seen(corpus: "DatasetDict", split: str = "test") -> list[bool]:
    """Return for each row of a split whether its text also occurs in training, ignoring case, punctuation and spaces.

    If two sessions read the same script, its sentences are in training and test, and a text model may have memorised them.

    Args:
        corpus: The splits, "train" among them.
        split: The split to check.

    Returns:
        One value per row of the split; False for rows without words.
    """
    seen = {words(text) for text in corpus["train"]["text"][:]} - {()}
    return [words(text) in seen for text in corpus[split]["text"][:]]


def describe_rows(corpus: "DatasetDict", split: str = "test") -> dict[str, list[bool | None]]:
    """Return properties that can make rows of a split easier, for the breakdown of results.

    Args:
        corpus: The splits, "train" among them.
        split: The split to describe.

    Returns:
        One value per row of the split: `text_seen`, see `texts_seen`, and `scripted`, whether the words were read; None
        where unknown.
    """
    return {"text_seen": texts_seen(corpus, split), "scripted": corpus[split]["scripted"][:]}


def digest_ids(ids: Iterable[str]) -> str:
    """Return the SHA-256 of the sorted ids: equal for equal sets of utterances, and without naming one."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def write_folds(path: str | Path, folds: Mapping[str, Fold]) -> None:
    """Write folds as JSON, `{fold: {split: ids}}`, atomically."""
    write_json(path, folds)


def read_folds(path: str | Path) -> dict[str, Fold]:
    """Read folds from a file in the form that `write_folds` writes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON of that form, a split has no ids, or an id occurs twice in a fold.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}: write one with `emofusion prepare ... --folds`.")
    try:
        folds = json.loads(Path(path).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}.") from error
    if not isinstance(folds, dict) or not folds:
        raise ValueError(f"{path} must hold folds by name, {{fold: {{split: ids}}}}.")
    for name, fold in folds.items():
        _check_fold(path, name, fold)
    return folds


def _check_fold(path: str | Path, name: str, fold: Fold) -> None:
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


def read_fold(path: str | Path, fold: int) -> Fold:
    """Return one fold of a file by its position, from 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is invalid, or has fewer folds.
    """
    folds = list(read_folds(path).values())
    if not isinstance(fold, int) or not 1 <= fold <= len(folds):
        raise ValueError(f"fold must be from 1 to {len(folds)}, the number of folds in {path}, not {fold!r}.")
    return folds[fold - 1]


def describe_fold_file(fold_file: str | Path, fold: int) -> str:
    """Return the sentence that describes the protocol of a corpus that a fold file splits."""
    return f"The splits are those of fold {fold} in {Path(fold_file).name}."
