"""What a speech recogniser hears in a prepared corpus, next to what its people wrote down.

The transcripts lie in the prepared folder, so that the work of hours is never done twice:

transcripts/<model>.jsonl    a line per utterance, {"id", "key", "text"}: the latest line counts, `key` tells a recording
                             that has changed
transcripts/current          which of them fills the column `asr_text`: that of the last run that came to its end
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict, Value
from filelock import FileLock
from tqdm.auto import tqdm

from ...processing.media import load_audio
from ..atomic_write import staged
from ..preparation.inspection import SHORT
from ..scan import problem
from .recogniser import Recogniser

if TYPE_CHECKING:
    from ..preparation.prepared_folder import Prepared

FOLDER, CURRENT, COLUMN = "transcripts", "current", "asr_text"
NOTHING = (None, None)  # key and text of a recording that cannot be transcribed any more
BATCHES = 4  # that are decoded together, to put recordings of about equal length into one


def transcribe(
    prepared: "Prepared",
    model: str,
    *,
    batch_size: int = 8,
    device: str | None = None,
    revision: str | None = None,
    language: str | None = None,
) -> "Prepared":
    """Let a recogniser listen to every recording that it has not heard yet.

    Each batch is written as soon as it is done: a run that was killed goes on where it was, and one that finds everything
    there loads no model. Processes that transcribe the same folder with the same model wait for each other.

    Recognisers invent: Whisper is known to make up sentences where nobody speaks, and of clips as short as those of
    emotion corpora it may guess the wrong language if none is given. It and its like write punctuation and capitals, most
    CTC models do not.

    Args:
        prepared: The corpus; its folder keeps the transcripts.
        model: Name of a recogniser on the Hub, or its folder. Weights must be in safetensors.
        batch_size: Recordings at a time, for models where that changes no transcript (see `Recogniser.can_batch`); others
            get one at a time.
        device: As torch calls it; None is a GPU if there is one.
        revision: Branch, tag or commit of the model.
        language: What is spoken ("english", "de"), for models that know several; None lets the model guess, per clip.

    Returns:
        The corpus with the transcripts in `asr_text`: "" where nothing was heard, None where the recording could not be
        transcribed, which is one more of its `problems`. (Those are tried again next time.)

    Raises:
        ValueError: If the model cannot be used, see `Recogniser`, or the transcripts are damaged.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
    place, name = Path(prepared.folder, FOLDER), transcripts_name(model, revision, language)
    place.mkdir(exist_ok=True)
    file, problems = place / f"{name}.jsonl", []
    with FileLock(place / f".{name}.lock"):
        known = _read(file)
        waiting = _find_waiting(prepared.splits, known, problems)
        recogniser = waiting and Recogniser(model, revision=revision, device=device, language=language)
        _drop_half_a_line(file)
        if waiting:
            with tqdm(total=len(waiting), desc=f"transcribing with {model}", unit="recording") as progress:
                for batch in _batches(waiting, recogniser, batch_size, problems, progress):
                    _append(file, _recognise(recogniser, batch, problems))
                    progress.update(len(batch))
        _append(file, [(found["id"], None, None) for found in problems if known.get(found["id"], NOTHING) != NOTHING])
        with staged(place) as draft:
            (draft / CURRENT).write_text(f"{name}\n", encoding="utf-8")
    if problems:
        total = sum(map(len, prepared.splits.values()))
        warnings.warn(
            f"{len(problems)} of {total} recordings have no transcript. The first: {problems[0]['what']}", stacklevel=2
        )
    splits = add_transcripts(prepared.splits, prepared.folder, name)
    return dataclasses.replace(prepared, splits=splits, problems=[*prepared.problems, *problems])


def add_transcripts(splits: DatasetDict, folder: str | Path, name: str | None = None) -> DatasetDict:
    """Fill the column `asr_text`; the other columns are not copied.

    Args:
        splits: The rows of a prepared corpus.
        folder: Where it is.
        name: Whose transcripts, as `transcripts_name` says; None is the last that were finished, if there are any.

    Returns:
        The rows, those without a transcript with None; unchanged if nothing was ever transcribed to the end.

    Raises:
        FileNotFoundError: If there are no transcripts of that name.
        ValueError: If they are damaged.
    """
    place = Path(folder, FOLDER)
    if name is None:
        if not (place / CURRENT).is_file():
            return splits
        name = (place / CURRENT).read_text("utf-8").strip()
    file = place / f"{name}.jsonl"
    if Path(name).name != name or not file.is_file():
        there = ", ".join(sorted(other.stem for other in place.glob("*.jsonl"))) or "none"
        raise FileNotFoundError(f"{place} has no transcripts {name!r}; it has {there}.")
    known = _read(file)
    return DatasetDict({split: _fill(rows, known) for split, rows in splits.items()})


def transcripts_name(model: str, revision: str | None = None, language: str | None = None) -> str:
    """What the transcripts of a model are called; other revisions and languages are others."""
    if Path(model).is_dir():
        folder = Path(model).resolve()
        model = f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"
    parts = (part for part in (model, revision, language) if part is not None)
    return "--".join(re.sub(r"[^\w.-]+", "--", part) for part in parts)


def carry_transcripts(old: Path, new: Path) -> None:
    """Copy transcripts into a folder that was prepared again, where `transcribe` takes over those that still hold.

    None of them is current there: rows may have changed since.

    Args:
        old: A prepared folder.
        new: The one to take its place.
    """
    for file in Path(old, FOLDER).glob("*.jsonl"):
        Path(new, FOLDER).mkdir(exist_ok=True)
        shutil.copy2(file, Path(new, FOLDER))


class _Waiting(NamedTuple):
    """A row to be transcribed; it is read when its turn comes."""

    rows: Dataset
    place: int
    name: str
    key: str


class _Heard(NamedTuple):
    """A recording, decoded."""

    name: str
    key: str
    waveform: np.ndarray


def _find_waiting(splits: DatasetDict, known: Mapping, problems: list[dict]) -> list[_Waiting]:
    """The rows that have no transcript, or one of another recording."""
    waiting = []
    for rows in splits.values():
        rows = rows.select_columns(["id", "audio"])
        for place, row in enumerate(rows):
            try:
                key = _key(row["audio"])
            except (OSError, ValueError) as error:
                problems.append(_problem(row["id"], error))
                continue
            if known.get(row["id"], NOTHING)[0] != key:
                waiting.append(_Waiting(rows, place, row["id"], key))
    return waiting


def _key(audio: Mapping | None) -> str:
    """What tells a recording from another in its place. Paths are not repeated: the transcripts may be published."""
    if audio is None or (audio["bytes"] is None and audio["path"] is None):
        raise ValueError("It has no recording.")
    if audio["bytes"] is not None:
        source = hashlib.sha256(audio["bytes"]).hexdigest()
    else:
        state = os.stat(audio["path"])
        source = f"{audio['path']} {state.st_size} {state.st_mtime_ns}"
    return hashlib.sha256(os.fsencode(f"{source} {audio['start']} {audio['end']}")).hexdigest()[:16]


def _batches(
    waiting: list[_Waiting], recogniser: Recogniser, batch_size: int, problems: list[dict], progress: tqdm
) -> Iterator[list[_Heard]]:
    """Recordings of about equal length; long ones, and those of a model that must not be given several, alone."""
    size = batch_size if recogniser.can_batch else 1
    for first in range(0, len(waiting), BATCHES * size):
        recordings = []
        for item in waiting[first : first + BATCHES * size]:
            try:
                waveform = load_audio(item.rows[item.place]["audio"], recogniser.sampling_rate)
                if len(waveform) < SHORT * recogniser.sampling_rate:
                    raise ValueError(f"It lasts less than {SHORT} s: there is no word in it.")
            except (OSError, TypeError, ValueError) as error:
                problems.append(_problem(item.name, error))
                progress.update()
            else:
                recordings.append(_Heard(item.name, item.key, waveform))
        recordings.sort(key=lambda recording: len(recording.waveform))
        short = [recording for recording in recordings if not recogniser.is_long(recording.waveform)]
        yield from (short[place : place + size] for place in range(0, len(short), size))
        yield from ([recording] for recording in recordings[len(short) :])


def _recognise(recogniser: Recogniser, batch: list[_Heard], problems: list[dict]) -> list[tuple[str, str, str]]:
    """Id, key and text of a batch; if it fails, each recording is tried alone, to find which is at fault."""
    try:
        texts = recogniser([recording.waveform for recording in batch])
    except (IndexError, RuntimeError, ValueError) as error:
        if len(batch) > 1:
            return [line for recording in batch for line in _recognise(recogniser, [recording], problems)]
        problems.append(_problem(batch[0].name, error, "The recogniser failed: "))
        return []
    return [(recording.name, recording.key, text) for recording, text in zip(batch, texts, strict=True)]


def _problem(name: str, error: Exception, prefix: str = "") -> dict:
    what = (str(error).strip() or type(error).__name__).splitlines()[0]
    return problem("not transcribed", f"{name}: {prefix}{what}", name=name)


def _read(file: Path) -> dict[str, tuple[str, str]]:
    """Key and text by id; half a line at the end, of a process that was killed, is none."""
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


def _drop_half_a_line(file: Path) -> None:
    if file.exists():
        whole = file.read_bytes().rpartition(b"\n")
        os.truncate(file, len(whole[0] + whole[1]))


def _append(file: Path, transcripts: list[tuple[str, str | None, str | None]]) -> None:
    lines = [dict(zip(("id", "key", "text"), transcript, strict=True)) for transcript in transcripts]
    with open(file, "a", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _fill(rows: Dataset, known: Mapping) -> Dataset:
    texts = [known.get(name, NOTHING)[1] for name in rows["id"][:]]
    order = rows.column_names
    if COLUMN in order:
        rows = rows.remove_columns(COLUMN)
    rows = rows.add_column(COLUMN, texts, feature=Value("string"))
    return rows.select_columns([*order, *({COLUMN} - {*order})])
