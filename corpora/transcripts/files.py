"""Transcripts of a prepared corpus as files.

transcripts/<model>.jsonl    one line per utterance, {"id", "key", "text"}; the last line of an id is valid; `key` changes
                             with the recording
transcripts/current          the model whose transcripts fill the column `asr_text`, that of the last complete run
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic_write import staged

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

FOLDER, CURRENT, COLUMN = "transcripts", "current", "asr_text"
NOTHING = (None, None)  # key and text of a recording that can no longer be transcribed


def add_transcripts(splits: "DatasetDict", folder: str | Path, name: str | None = None) -> "DatasetDict":
    """Fill the column `asr_text`; the other columns are not copied.

    Args:
        splits: The rows of a prepared corpus.
        folder: The prepared folder.
        name: The name of the transcripts, see `transcripts_name`; None takes those of the last complete run, if any.

    Returns:
        The rows, with None where there is no transcript; unchanged if no run is complete.

    Raises:
        FileNotFoundError: If there are no transcripts of that name.
        ValueError: If they are damaged.
    """
    from datasets import DatasetDict

    place = Path(folder, FOLDER)
    if name is None:
        if not (place / CURRENT).is_file():
            return splits
        name = (place / CURRENT).read_text("utf-8").strip()
    file = place / f"{name}.jsonl"
    if Path(name).name != name or not file.is_file():
        names = ", ".join(sorted(other.stem for other in place.glob("*.jsonl"))) or "none"
        raise FileNotFoundError(f"{place} has no transcripts {name!r}; it has {names}.")
    known = read_transcripts(file)
    return DatasetDict({split: _fill(rows, known) for split, rows in splits.items()})


def transcripts_name(model: str, revision: str | None = None, language: str | None = None) -> str:
    """Return the name of the transcripts of a model, which differs between revisions and languages."""
    if Path(model).is_dir():
        folder = Path(model).resolve()
        model = f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"
    parts = (part for part in (model, revision, language) if part is not None)
    return "--".join(re.sub(r"[^\w.-]+", "--", part) for part in parts)


def carry_transcripts(old: Path, new: Path) -> None:
    """Copy transcripts into a folder that is prepared again, where `transcribe` reuses those that are still valid.

    None of them is current in the new folder, because rows may have changed.

    Args:
        old: A prepared folder.
        new: The folder that replaces it.
    """
    for file in Path(old, FOLDER).glob("*.jsonl"):
        Path(new, FOLDER).mkdir(exist_ok=True)
        shutil.copy2(file, Path(new, FOLDER))


def recording_key(audio: Mapping | None) -> str:
    """Return a key that changes with a recording. It is a hash without the path, because transcripts may be published.

    Args:
        audio: The column `audio` of a row.

    Raises:
        OSError: If the file does not exist.
        ValueError: If the row has no recording.
    """
    if audio is None or (audio["bytes"] is None and audio["path"] is None):
        raise ValueError("It has no recording.")
    if audio["bytes"] is not None:
        source = hashlib.sha256(audio["bytes"]).hexdigest()
    else:
        state = os.stat(audio["path"])
        source = f"{audio['path']} {state.st_size} {state.st_mtime_ns}"
    return hashlib.sha256(os.fsencode(f"{source} {audio['start']} {audio['end']}")).hexdigest()[:16]


def read_transcripts(file: Path) -> dict[str, tuple[str, str]]:
    """Return key and text by id; an incomplete last line, left by a killed process, is skipped.

    Raises:
        ValueError: If a line is damaged.
    """
    known = {}
    if not file.exists():
        return known
    *lines, _ = file.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            known[found["id"]] = found["key"], found["text"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}, line {number}, is damaged: remove that line, and transcribe again.") from error
    return known


def drop_incomplete_line(file: Path) -> None:
    """Truncate a file after its last complete line."""
    if file.exists():
        complete = file.read_bytes().rpartition(b"\n")
        os.truncate(file, len(complete[0] + complete[1]))


def append_transcripts(file: Path, transcripts: Iterable[tuple[str, str | None, str | None]]) -> None:
    """Append transcripts, each as id, key and text."""
    lines = [dict(zip(("id", "key", "text"), transcript, strict=True)) for transcript in transcripts]
    with open(file, "a", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def set_current(place: Path, name: str) -> None:
    """Select the transcripts that fill `asr_text`.

    Args:
        place: The folder of transcripts.
        name: See `transcripts_name`.
    """
    with staged(place) as draft:
        (draft / CURRENT).write_text(f"{name}\n", encoding="utf-8")


def _fill(rows: "Dataset", known: Mapping) -> "Dataset":
    from datasets import Value

    texts = [known.get(name, NOTHING)[1] for name in rows["id"][:]]
    order = rows.column_names
    if COLUMN in order:
        rows = rows.remove_columns(COLUMN)
    rows = rows.add_column(COLUMN, texts, feature=Value("string"))
    return rows.select_columns([*order, *({COLUMN} - {*order})])
