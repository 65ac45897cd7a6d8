"""Manifests: tables that name recordings, as CSV, JSON lines or Parquet."""

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..configuration.plain_text import is_url, show_value
from ..configuration.value_checks import read_number
from ..corpora.corpus_files import inner_path
from ..corpora.folder.tables import as_text, read_cells
from .recording import Recording

COLUMNS = ("audio", "text", "video", "speaker", "start", "end", "dialogue", "turn")
# Other names of these columns; those of the metadata of a corpus are among them.
ALIASES = {
    **dict.fromkeys(("path", "file", "file_name", "recording"), "audio"),
    **dict.fromkeys(("transcript", "transcription", "sentence"), "text"),
    "video_file_name": "video",
    "speaker_id": "speaker",
    **dict.fromkeys(("dialogue_id", "conversation"), "dialogue"),
}
INPUTS = COLUMNS[:3]
TURN, TURNS = re.compile("-?[0-9]{1,19}"), range(-(2**63), 2**63)  # tables hold integers of 64 bits


def read_manifest(path: Path, root: str | os.PathLike | None = None) -> Iterator[Recording]:
    """Yield the recordings that a manifest names, one for each row.

    A path in it is relative to `root`, or absolute and in `root`: a manifest from elsewhere must not lead to other files
    of this machine. A row that cannot be used is a recording with an error.

    Args:
        path: The file, with some of `COLUMNS` or `ALIASES`, and at least one of `INPUTS`. Other columns are not read.
        root: The folder of the files that it names; None means its own.

    Raises:
        ValueError: If the manifest cannot be read, has no column of `INPUTS`, or two with the same meaning.
    """
    folder = os.path.dirname(path) if root is None else os.fspath(root)
    meanings = None
    for number, cells in enumerate(read_cells(path, (), lambda column: _meaning(column) in COLUMNS), 1):
        if meanings is None or cells.keys() - meanings.keys():  # lines of JSON may have other keys than the first
            meanings = _read_header(path, [*(meanings or {}), *cells])
        row = dict.fromkeys(COLUMNS) | {
            meanings[column]: as_text(value) for column, value in cells.items() if meanings[column] in COLUMNS
        }
        yield _read_row(row, os.fspath(path), number, folder)


def _meaning(column: str) -> str:
    return ALIASES.get(column, column)


def _read_header(path: Path, columns: list[str]) -> dict[str, str]:
    """Return the meaning of each column."""
    meanings = {column: _meaning(column) for column in columns}
    for meaning in COLUMNS:
        names = [column for column, value in meanings.items() if value == meaning]
        if len(names) > 1:
            raise ValueError(f"{path} has two columns for the {meaning}, {names[0]!r} and {names[1]!r}: remove one.")
    if not set(INPUTS) & set(meanings.values()):
        raise ValueError(
            f"{path} names no recording: it needs a column {', '.join(INPUTS[:-1])} or {INPUTS[-1]}, and has "
            f"{', '.join(map(repr, meanings)) or 'none'}."
        )
    return meanings


def _read_row(row: Mapping[str, str | None], manifest: str, number: int, folder: str) -> Recording:
    """Return the recording of a row; its name is the path of its file, and that of the row where it has no file."""
    place = f"{manifest}, row {number}"
    fields: dict[str, Any] = {name: row[name] for name in ("text", "speaker", "dialogue")}
    fields["manifest"] = manifest if row["dialogue"] is not None else None
    name = place
    try:
        for column in ("video", "audio"):
            if row[column] is not None:
                name = row[column]
                path = name = _locate(row[column], folder, column)
                fields[column] = os.path.abspath(path)
        for column in ("start", "end"):
            fields[column] = _read_seconds(row[column], column)
        fields["turn"] = _read_turn(row["turn"], row["dialogue"])
        if not any(fields.get(column) for column in INPUTS):
            raise ValueError(f"it names no {', '.join(INPUTS[:-1])} or {INPUTS[-1]}")
    except ValueError as error:
        return Recording(name, speaker=row["speaker"], error=f"{place}: {error}.", dialogue=row["dialogue"])
    return Recording(name, **fields)


def _locate(cell: str, folder: str, column: str) -> str:
    """Return the path of a file that a manifest names."""
    if is_url(cell):
        raise ValueError(f"its {column} is a URL: download the file, and name it")
    if os.path.isabs(cell) and "\0" not in cell:
        path = os.path.normpath(cell)
        inside = Path(path).is_relative_to(os.path.abspath(folder))
    else:
        inside = inner_path("", cell)
        path = os.path.join(folder, inside or "")
    if not inside:
        raise ValueError(
            f"its {column} {cell!r} leads out of the folder {folder or '.'}: give the folder that the paths are in with --root"
        )
    return path


def _read_seconds(cell: str | None, column: str) -> float | None:
    if cell is None:
        return None
    seconds = read_number(cell)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"its {column} {show_value(cell)} is not a number of seconds from 0")
    return seconds


def _read_turn(cell: str | None, dialogue: str | None) -> int | None:
    if cell is None:
        return None
    if dialogue is None:
        raise ValueError(f"it has the turn {show_value(cell)} and no dialogue")
    if not TURN.fullmatch(cell) or int(cell) not in TURNS:
        raise ValueError(f"its turn {show_value(cell)} is not a whole number of 64 bits")
    return int(cell)
