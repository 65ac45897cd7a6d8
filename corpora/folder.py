"""A folder of your own recordings, in the Hub's AudioFolder convention and with columns for what else is known (ours).

`metadata.csv`, `metadata.jsonl` or `metadata.parquet` lies in the root or in `train/`, `validation/` and `test/`. Its column
`file_name` is a path from where it lies; `COLUMNS` names the others. An empty cell, null and NaN say that it is not known.
"""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from tqdm.auto import tqdm

from .alignment import SPHINX_SUFFIXES, read_sphinx, syllables_from_phones
from .folds import (
    carve_validation,
    describe_fold_file,
    describe_speaker_fold,
    list_speaker_folds,
    read_fold,
    read_folds,
    split_by_ids,
    split_by_speaker,
)
from .preparation.prepare import prepare
from .scan import Scan, choose, find_root, finish, problem, read_csv
from .schema import LEVELS, SPLITS
from .textgrid import read_textgrid

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
COLUMNS = (
    *("file_name", "text", "label", "speaker", "session", "dialogue", "turn", "split"),
    *("video_file_name", "alignment_file_name"),
)
# What the Hub also calls the splits, in the column and as folders.
SPLIT_NAMES = dict(zip(SPLITS, SPLITS, strict=True)) | dict.fromkeys(("dev", "val", "valid"), "validation")

PART = "split"  # what counts are given by


def about(
    seed: int = 0, speaker_folds: int | None = None, fold_file: str | None = None, fold: int = 1, **options
) -> dict:
    """What is to be said of the corpus where results on it are shown.

    Args:
        seed: As in `load`.
        speaker_folds: As in `load`.
        fold_file: As in `load`.
        fold: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    protocol = (
        "The splits are those of the folder's metadata; of those that it does not name, validation and test are speakers "
        f"of its training part (seed {seed})."
    )
    if fold_file is not None:
        protocol = describe_fold_file(fold_file, fold)
    elif speaker_folds is not None:
        protocol = describe_speaker_fold(speaker_folds, fold)
    return {
        "title": "a folder of recordings",
        "demonstration": False,
        "protocol": protocol,
        "speaker_independent": speaker_folds is not None,
        "license": "that of the folder's owner",
    }


def list_folds(speaker_folds: int | None = None, fold_file: str | None = None, **options) -> list[dict]:
    """The folds, as the options of `load` that choose them.

    Args:
        speaker_folds: As in `load`.
        fold_file: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    return list_speaker_folds(len(read_folds(fold_file)) if fold_file else speaker_folds)


def load(
    root: str | Path | None = None,
    labels: Sequence[str] | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    seed: int = 0,
    max_seconds: float | None = 60.0,
    speaker_folds: int | None = None,
    fold_file: str | None = None,
    fold: int = 1,
) -> DatasetDict:
    """Load your own recordings.

    A row's split is its `split`, else the folder among `SPLIT_NAMES` that it or its metadata lies in. Where no row is of
    the split test, and then where none is of validation, speakers are taken out of train for it.

    Args:
        root: Folder with the metadata.
        labels: Names of the classes in their order; None for all that occur, sorted.
        validation_share: What validation has of the training rows at least, if it is taken from them.
        test_share: The same for test.
        seed: Which speakers these are is drawn from it.
        max_seconds: Longer recordings are cut here; None never cuts.
        speaker_folds: So many folds by speaker take the place of all splits.
        fold_file: Folds as `folds.write_folds` writes them take their place.
        fold: Which of either, from 1.

    Returns:
        Splits in the schema; the id of a row is its file's path in the folder, and `start` and `end` are not known. If
        there are problems, one warning counts them.

    Raises:
        FileNotFoundError: If there is no folder `root`.
        TypeError: If `labels` is no list of different names.
        ValueError: If there is no metadata or it cannot be read, a path leaves the folder, a split is to be made without
            enough speakers, or no row of a split can be used.
    """
    if None not in (speaker_folds, fold_file):
        raise ValueError("speaker_folds makes folds and fold_file gives them: choose one.")
    given = read_fold(fold_file, fold) if fold_file else None
    prepared = prepare("folder", root, max_seconds=max_seconds, labels=labels)
    if given is not None:
        explained = {found["id"] for found in prepared.problems}
        splits = split_by_ids(prepared.splits, given, f"{fold_file}, fold {fold}", explained)
        return finish(f"The folder {root}", prepared, splits)
    if speaker_folds is not None:
        return finish(f"The folder {root}", prepared, split_by_speaker(prepared.splits, speaker_folds, fold))
    splits = dict(prepared.splits)
    for split, share in (("test", test_share), ("validation", validation_share)):
        if split not in splits and "train" in splits:
            try:
                train, taken = carve_validation(splits["train"], share, seed)
            except ValueError as error:
                raise ValueError(
                    f"The folder {root} has no split {split!r}, and it cannot be made of speakers: {error} Name the splits in "
                    "a column 'split', or the speakers in a column 'speaker'."
                ) from error
            splits |= {"train": choose(splits["train"], train), split: choose(splits["train"], taken)}
    return finish(f"The folder {root}", prepared, splits)


def scan(root: str | Path | None = None, labels: Sequence[str] | None = None) -> Scan:
    """Read a folder's metadata; recordings and films are not opened.

    Rows without a recording, label or known split are left out; without its film, alignment or turn a row is used. Where
    the metadata tells no split at all, no row has the key `split`.

    Args:
        root: As in `load`.
        labels: As in `load`.

    Raises:
        FileNotFoundError: If there is no folder `root`.
        TypeError: If `labels` is no list of different names.
        ValueError: If there is no metadata or it cannot be read, or a path leaves the folder.
    """
    if labels is not None:
        in_order = isinstance(labels, Sequence) and not isinstance(labels, str)
        if not in_order or not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
            raise TypeError(f"labels must be a list of different names in their order (in quotes), not {labels!r}.")
    root = find_root("your corpus", root, _has_tables, "metadata.csv, metadata.jsonl or metadata.parquet").resolve()
    total, has_splits, found = 0, False, set()
    for row in _read_rows(root, []):
        row.check_paths()
        total += 1
        has_splits |= row.tells_split()
        found.add(row.cells["label"])
    labels, problems = sorted(found - {None}) if labels is None else list(labels), []
    return Scan(root, labels, _usable_rows(root, labels, has_splits, total, problems), problems, [root])


def published(**options) -> dict[str, dict[str, int]]:
    """Nothing was published of your own folder."""
    return {}


def _usable_rows(
    root: Path, labels: Sequence[str], has_splits: bool, total: int, problems: list[dict]
) -> Iterator[dict]:
    seen = set()
    for row in tqdm(_read_rows(root, problems), desc=f"Looking through {root.name}", total=total, disable=None):
        if reason := row.reason_to_leave_out(labels, seen, has_splits):
            row.note(*reason, dropped=True)
        else:
            seen.add(row.name)
            yield row.complete() | ({"split": row.split()} if has_splits else {})


def _read_rows(root: Path, problems: list[dict]) -> Iterator["_Row"]:
    for table in _find_tables(root):
        for number, cells in enumerate(_read_table(table), 1):
            yield _Row(root, table, number, cells, problems)


class _Row:
    """A row of the metadata, on its way to the schema."""

    def __init__(self, root: Path, table: Path, number: int, cells: dict, problems: list):
        self.root, self.table, self.problems = root, table, problems
        self.place = f"{table.relative_to(root)}, row {number}"
        self.cells = {column: _as_text(cells.get(column)) for column in COLUMNS}
        self.path = self.file("file_name")
        self.name = None if self.path is None else self.path.relative_to(root).as_posix()

    def note(self, kind: str, what: str, dropped: bool = False) -> None:
        file = self.table.relative_to(self.root).as_posix()
        self.problems.append(problem(kind, f"{self.place}, {what}", file, self.name, dropped))

    def check_paths(self) -> None:
        """Raise a `ValueError` if one leaves the folder."""
        for column in ("video_file_name", "alignment_file_name"):
            self.file(column)

    def file(self, column: str, suffix: str | None = None) -> Path | None:
        """The file that a cell names, or its neighbour with another suffix.

        Raises:
            ValueError: If it is outside the folder.
        """
        if (name := self.cells[column]) is None:
            return None
        try:
            path = Path(name) if suffix is None else Path(name).with_suffix(suffix)
            target = (self.table.parent / path).resolve()
        except (OSError, RuntimeError, ValueError):  # a null byte, or links in a circle
            target = None
        if target is None or path.is_absolute() or not target.is_relative_to(self.root) or target == self.root:
            raise ValueError(
                f"{self.table}, {self.place.rpartition(', ')[2]}: the {column} {name!r} leads out of the folder; copy the "
                "file into it and give its path from there."
            )
        return target

    def reason_to_leave_out(self, labels: Sequence[str], seen: set[str], has_splits: bool) -> tuple[str, str] | None:
        """Kind and sentence, where there is nothing to hear or to learn."""
        label, split = self.cells["label"], self.cells["split"]
        if self.name is None:
            return "missing", "is dropped: its file_name is empty."
        if self.name in seen:
            return "duplicate", f"is dropped: {self.name} is there already."
        if label is None:
            return "unknown label", "is dropped: it has no label."
        if label not in labels:
            return "unknown label", f"is dropped: its label {label!r} is none of {', '.join(labels)}."
        if has_splits and self.split() is None:
            told = "is not told" if split is None else f"{split!r} is none of {', '.join(SPLIT_NAMES)}"
            return "unknown split", f"is dropped: its split {told}."
        if not os.path.isfile(self.path):
            return "missing", f"is dropped: there is no file {self.name}."
        if not os.access(self.path, os.R_OK):
            return "no permission", f"is dropped: {self.name} may not be read."
        return None

    def complete(self) -> dict:
        """The row in the schema, with its split."""
        texts = {column: self.cells[column] for column in ("text", "label", "speaker", "session", "dialogue")}
        return texts | {
            "id": self.name,
            "audio": {"path": str(self.path)},
            "turn": self.turn(),
            "video": self.video(),
            "alignment": self.alignment(),
        }

    def tells_split(self) -> bool:
        return self.cells["split"] is not None or self.split() is not None

    def split(self) -> str | None:
        if split := self.cells["split"]:
            return SPLIT_NAMES.get(split.lower())
        way = self.path if self.table.parent == self.root else self.table
        return way and SPLIT_NAMES.get(way.relative_to(self.root).parts[0])

    def turn(self) -> int | None:
        turn = self.cells["turn"]
        if turn is not None and not (turn.isascii() and turn.isdigit() and len(turn) < 10):
            self.note("unreadable", f"keeps no turn: {turn!r} is not a whole number from 0.")
            return None
        return None if turn is None else int(turn)

    def video(self) -> dict | None:
        if (path := self.file("video_file_name")) is None:
            return None
        if not os.path.isfile(path):
            self.note("missing", f"keeps no video: there is no file {path}.")
            return None
        return {"path": str(path)}

    def alignment(self) -> dict | None:
        if (path := self.file("alignment_file_name")) is None:
            return None
        try:
            levels = read_textgrid(path) if path.suffix.lower() == ".textgrid" else self.sphinx(path)
        except OSError as error:
            self.note("missing", f"keeps no alignment: {path} cannot be read, {error.strerror}.")
            return None
        except ValueError as error:
            self.note("unreadable", f"keeps no alignment: {error}")
            return None
        if levels["word"] and levels["phone"] and not levels["syllable"]:
            levels["syllable"] = syllables_from_phones(levels["phone"], levels["word"])
        return levels

    def sphinx(self, path: Path) -> dict:
        """The segments of a Sphinx file and of its neighbours, which have the other levels."""
        if path.suffix not in SPHINX_SUFFIXES.values():
            raise ValueError(f"{path} is neither a TextGrid nor one of {', '.join(SPHINX_SUFFIXES.values())}.")
        files = {level: self.file("alignment_file_name", SPHINX_SUFFIXES[level]) for level in LEVELS}
        return {level: read_sphinx(file) if file == path or file.exists() else None for level, file in files.items()}


def _has_tables(folder: Path) -> bool:
    return any(_tables_in(place) for place in (folder, *(folder / name for name in SPLIT_NAMES)))


def _tables_in(folder: Path) -> list[Path]:
    return [folder / table for table in TABLES if (folder / table).is_file()]


def _find_tables(root: Path) -> Iterator[Path]:
    """The metadata of the root, or of each split's folder."""
    above, below = _tables_in(root), [_tables_in(root / name) for name in SPLIT_NAMES]
    for tables in [sum(below, above)] if above else below:
        if len(tables) > 1:
            raise ValueError(f"{tables[0]} and {tables[1]} both describe the folder: keep one of them.")
        yield from tables


def _read_table(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a metadata file, one by one."""
    if path.suffix == ".csv":
        yield from read_csv(path, COLUMNS[:1])
        return
    has_files = False
    for row in _read_json_lines(path) if path.suffix == ".jsonl" else _read_parquet(path):
        has_files |= "file_name" in row
        yield row
    if not has_files:
        raise ValueError(f"{path} has no column 'file_name'.")


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _read_json(line, f"{path}, line {number},")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: save it in that encoding.") from error


def _read_json(line: str, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise ValueError(f"{name} is not a mapping of columns to values.")
    return row


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:
            table = parquet.ParquetFile(file)
            columns = [name for name in table.schema_arrow.names if name in COLUMNS]
            for batch in table.iter_batches(1000, columns=columns):
                yield from batch.to_pylist()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}.") from error
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} is not a Parquet file: {error}.") from error


def _as_text(value: Any) -> str | None:
    """A cell as text. Numbers that a table keeps as floats, because some are unknown, are whole again."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
