"""Find and read the metadata files of a folder of recordings: CSV, JSON lines or Parquet."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..corpus_files import read_csv
from ..schema import SPLITS

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
COLUMNS = (
    *("file_name", "text", "label", "speaker", "session", "dialogue", "turn", "split"),
    *("video_file_name", "alignment_file_name"),
)
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


def read_table(path: Path) -> Iterator[dict[str, str | None]]:
    """Yield the rows of a metadata file, each with all of `COLUMNS`; None where a value is unknown.

    Raises:
        ValueError: If the file cannot be read or has no column `file_name`.
    """
    for row in _read_cells(path):
        yield {column: _as_text(row.get(column)) for column in COLUMNS}


def _read_cells(path: Path) -> Iterator[dict[str, Any]]:
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
    """Return a cell as text. Whole numbers lose the ".0" of columns in which some values are unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
