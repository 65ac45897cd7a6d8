"""Tables of scores: a row for each utterance or window, written as CSV, JSON lines or Parquet."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from ..corpora.atomic_write import check_file, staged
from .recording import Recording

TABLES = (".csv", ".jsonl", ".parquet")
BEFORE = ("recording", "dialogue", "turn", "start", "end", "speaker", "channel", "text", "label", "score")
OF_ANSWERS = ("start", "end", "speaker", "channel", "text", "error")  # columns that an answer may have
AFTER = ("silent", "error")
NUMBERS = ("start", "end", "score")
BLOCK = 10_000  # rows that are in memory at a time


def name_columns(config: PreTrainedConfig) -> dict[str, dict[str, str]]:
    """Return the columns for the outputs of a model: `classes` and `dimensions`, each from its name to its column.

    A name that is another column's gets an addition, such as `text_probability` or `score_value`.

    Args:
        config: The configuration of the model.
    """
    classes = [] if config.is_regression else [config.id2label[number] for number in sorted(config.id2label)]
    taken, columns = {*BEFORE, *AFTER}, {"classes": {}, "dimensions": {}}
    for kind, names, addition in (("classes", classes, "probability"), ("dimensions", config.dimensions, "value")):
        for name in names or ():
            column = name
            while column in taken:
                column = f"{column}_{addition}"
            taken.add(column)
            columns[kind][name] = column
    return columns


def order_columns(columns: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return all columns of a table in order.

    Args:
        columns: The columns for the outputs, see `name_columns`.
    """
    return [*BEFORE, *columns["classes"].values(), *columns["dimensions"].values(), *AFTER]


def build_row(
    recording: Recording, answer: Mapping[str, Any], columns: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the row of an utterance or window, without the columns that are empty.

    Args:
        recording: The recording.
        answer: The answer of the pipeline with its text, or the row of a window; with `start` and `end` if they are known.
            Or `error`.
        columns: The columns for the outputs, see `name_columns`.
    """
    row = {"recording": recording.name} | {
        name: getattr(recording, name) for name in ("dialogue", "turn", "speaker", "text")
    }
    row |= {name: answer[name] for name in OF_ANSWERS if answer.get(name) is not None}
    entries = [*answer.get("scores", ()), *answer.get("dimensions", ())]
    classes = [entry for entry in entries if "scale" not in entry]
    row |= {columns["classes"][entry["label"]]: entry["score"] for entry in classes}
    row |= {columns["dimensions"][entry["label"]]: entry["score"] for entry in entries if "scale" in entry}
    if classes:
        best = max(classes, key=lambda entry: entry["score"])
        row |= {"label": best["label"], "score": best["score"]}
    if entries:
        row["silent"] = bool(answer.get("silent", entries[0].get("silent", False)))
    return {name: value for name, value in row.items() if value is not None}


def restore_answer(
    row: Mapping[str, Any], columns: Mapping[str, Mapping[str, str]], scale: Sequence[float] | None
) -> dict[str, Any]:
    """Return the row of the pipeline that a row of a table was built from.

    Args:
        row: A row, see `build_row`.
        columns: The columns for the outputs, see `name_columns`.
        scale: The lowest and highest value of the dimensions.
    """
    names = ("start", "end", "speaker", "channel", "text", "silent", "error")
    answer = {name: row[name] for name in names if row.get(name) is not None}
    entries = {
        kind: [{"label": label, "score": row[column]} for label, column in columns[kind].items() if column in row]
        for kind in columns
    }
    dimensions = [{**entry, "scale": list(scale)} for entry in entries["dimensions"]]
    if entries["classes"]:
        answer["scores"] = sorted(entries["classes"], key=lambda entry: -entry["score"])
        answer |= {"dimensions": dimensions} if dimensions else {}
    elif dimensions:
        answer["scores"] = dimensions
    return answer


def check_table(path: str | os.PathLike) -> None:
    """Check that a table can be written, before the work whose result it will hold.

    Args:
        path: The file.

    Raises:
        ImportError: If it is Parquet, and pyarrow is not installed.
        OSError: If its folder does not exist or cannot be written to, or it is no plain file.
        ValueError: If its name ends in none of `TABLES`.
    """
    if Path(path).suffix.lower() not in TABLES:
        raise ValueError(f"{path} must end in {', '.join(TABLES[:-1])} or {TABLES[-1]}: the end selects the format.")
    if Path(path).suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"{path} is Parquet, which needs pyarrow: install it with pip install 'emofusion[train]', or write .csv or "
                ".jsonl."
            ) from error
    check_file(path)


def write_table(path: str | os.PathLike, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table atomically. Columns that a row lacks are empty.

    Args:
        path: The file; the end of its name selects the format.
        columns: The columns, see `order_columns`.
        rows: The rows; they may come one by one.
    """
    path = Path(path)
    write = {".csv": _write_csv, ".jsonl": _write_json_lines, ".parquet": _write_parquet}[path.suffix.lower()]
    with staged(path.parent) as staging, write(staging / path.name, columns) as add:
        for row in rows:
            add({column: row.get(column) for column in columns})


@contextmanager
def _write_csv(path: Path, columns: list[str]) -> Iterator[Callable[[dict], None]]:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        yield lambda row: writer.writerow(
            [str(value).lower() if isinstance(value, bool) else value for value in row.values()]
        )


@contextmanager
def _write_json_lines(path: Path, columns: list[str]) -> Iterator[Callable[[dict], None]]:
    with open(path, "w", encoding="utf-8") as file:
        yield lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def _write_parquet(path: Path, columns: list[str]) -> Iterator[Callable[[dict], None]]:
    import pyarrow
    from pyarrow import parquet

    text = (*BEFORE, "error")
    kinds = {name: pyarrow.string() for name in text if name not in NUMBERS}
    kinds |= {"silent": pyarrow.bool_(), "turn": pyarrow.int64(), "channel": pyarrow.int64()}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in columns])
    block = []
    with parquet.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(block, schema))
            block.clear()

        def add(row: dict) -> None:
            block.append(row)
            if len(block) == BLOCK:
                flush()

        yield add
        flush()
