"""Find and read the metadata files of a folder of recordings: CSV, JSON lines or Parquet."""

import json
import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...configuration.dimensions import DIMENSIONS
from ..corpus_files import check_columns, read_csv, suggest_column
from ..schema import SPLITS

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
COLUMNS = (
    *("file_name", "text", "label", "speaker", "gender", "session", "dialogue", "turn", "split"),
    *("video_file_name", "alignment_file_name", *DIMENSIONS),
)
# Other names of these columns on the Hub.
ALIASES = {"transcription": "text", "sentence": "text", "emotion": "label", "speaker_id": "speaker"}
# Names of splits in the column and of folders -> ours; the Hub accepts the same.
SPLIT_NAMES = dict(zip(SPLITS, SPLITS, strict=True)) | dict.fromkeys(("dev", "val", "valid"), "validation")


def has_tables(folder: Path) -> bool:
    """Return whether a folder contains metadata, itself or in the folder of a split."""
    return any(_tables_in(place) for place in (folder, *(folder / name for name in SPLIT_NAMES)))


def _tables_in(folder: Path) -> list[Path]:
    return [folder / table for table in TABLES if (folder / table).is_file()]


def find_tables(root: Path) -> Iterator[Path]:
    """Yield the metadata file of the root, or that of each split's folder.

    Raises:
        ValueError: If two metadata files describe the same folder.
    """
    above, below = _tables_in(root), [_tables_in(root / name) for name in SPLIT_NAMES]
    for tables in [sum(below, above)] if above else below:
        if len(tables) > 1:
            raise ValueError(f"{tables[0]} and {tables[1]} both describe the folder: keep one of them.")
        yield from tables


def read_table(path: Path, unread: dict[str, Path] | None = None) -> Iterator[dict[str, str | None]]:
    """Yield the rows of a metadata file, each with all of `COLUMNS`; None where a value is unknown.

    Args:
        path: The file.
        unread: Mapping to extend with the columns that are not read, and the first file of each; complete when all rows
            have been read.

    Raises:
        ValueError: If the file cannot be read, has no column `file_name`, or has two columns with the same meaning.
    """
    columns = {}  # meaning -> column
    for row in read_cells(path, COLUMNS[:1], lambda column: ALIASES.get(column, column) in COLUMNS):
        for column in row:
            meaning = ALIASES.get(column, column)
            if meaning not in COLUMNS:
                if unread is not None and column:  # the index that pandas writes has no name
                    unread.setdefault(column, path)
            elif columns.setdefault(meaning, column) != column:
                raise ValueError(
                    f"{path} has two columns for the {meaning}, {columns[meaning]!r} and {column!r}: remove one of them, "
                    "or give it another name."
                )
        yield {meaning: as_text(row.get(columns.get(meaning))) for meaning in COLUMNS}


def describe_unread(unread: Iterable[str], read: Container[str]) -> str:
    """Return the names of columns that are not read, each with the similar name of a column that is read.

    Args:
        unread: Columns that are not read.
        read: Columns of `COLUMNS` that have values, which are not suggested.
    """
    free = [column for column in (*COLUMNS, *ALIASES) if ALIASES.get(column, column) not in read]
    hints = {column: suggest_column(column, free) for column in unread}
    return ", ".join(
        f"{column!r} (did you mean {hint!r}?)" if hint else repr(column) for column, hint in hints.items()
    )


def read_cells(path: Path, required: Sequence[str], is_read: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table with all columns that the file has.

    Args:
        path: A file of CSV, JSON lines or, with any other name, Parquet.
        required: Columns that it must have.
        is_read: Function that returns whether a column is used; others may have the value None.

    Raises:
        ValueError: If the file cannot be read, or lacks a column.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        yield from read_csv(path, required)
    elif suffix == ".jsonl":
        yield from _read_json_lines(path, required)
    else:
        yield from _read_parquet(path, required, is_read)


def _read_json_lines(path: Path, required: Sequence[str]) -> Iterator[dict[str, Any]]:
    columns = {}
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = _read_json(line, f"{path}, line {number},")
                    columns |= dict.fromkeys(row)
                    yield row
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: save it in that encoding.") from error
    check_columns(path, list(columns), required)


def _read_json(line: str, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}.") from error
    if not isinstance(row, _Pairs):
        raise ValueError(f"{name} is not a mapping of columns to values.")
    check_columns(name, [column for column, _ in row])
    return dict(row)


class _Pairs(list):
    """The pairs of a mapping in JSON, whose keys may occur twice."""


def _read_parquet(path: Path, required: Sequence[str], is_read: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:
            table = parquet.ParquetFile(file)
            columns = table.schema_arrow.names
            check_columns(path, columns, required)
            others = dict.fromkeys(column for column in columns if not is_read(column))
            for batch in table.iter_batches(1000, columns=[column for column in columns if column not in others]):
                yield from (row | others for row in batch.to_pylist())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or _first_line(error)}.") from error
    except (pyarrow.ArrowException, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a Parquet file: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it is damaged"])[0].rstrip(".")


def as_text(value: Any) -> str | None:
    """Return a cell as text. Whole numbers lose the ".0" of columns in which some values are unknown.

    Halves of characters, which JSON can hold, become question marks: no file can.

    Args:
        value: The value of the cell.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).encode(errors="replace").decode().strip() or None
