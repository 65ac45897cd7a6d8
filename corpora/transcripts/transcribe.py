"""Transcribe the recordings of a prepared corpus with a speech recogniser."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from ...configuration.plain_text import first_line
from ...processing.media import load_audio
from ..atomic_write import check_replaceable, make_folder
from ..preparation.inspection import SHORT
from ..records import Prepared, problem
from .files import (
    FOLDER,
    NOTHING,
    add_transcripts,
    append_transcripts,
    drop_incomplete_line,
    read_transcripts,
    recording_key,
    set_current,
    transcripts_name,
)
from .recogniser import Recogniser

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

BATCHES = 4  # batches decoded together, so that recordings of similar length share a batch


def transcribe(
    prepared: Prepared,
    model: str,
    *,
    batch_size: int = 8,
    device: str | None = None,
    revision: str | None = None,
    language: str | None = None,
) -> Prepared:
    """Transcribe every recording that the model has not transcribed yet.

    Each batch is written as soon as it is done: an interrupted run continues where it stopped, and a run without any
    recording to transcribe loads no model. Processes that transcribe the same folder with the same model wait for each
    other.

    Recognisers can invent text: Whisper is known to make up sentences for silence, and for clips as short as those of
    emotion corpora it may guess the wrong language if none is given. Whisper and similar models write punctuation and
    capitals, most CTC models do not.

    Args:
        prepared: The corpus; the transcripts are stored in its folder.
        model: Name of a recogniser on the Hub, or its folder. Weights must be in safetensors.
        batch_size: Recordings at a time, for models where batching changes no transcript (see `Recogniser.can_batch`);
            other models get one at a time.
        device: Device as torch names it; None means a GPU if there is one, else the CPU.
        revision: Branch, tag or commit of the model.
        language: Language of the speech ("english", "de"), for multilingual models; None lets the model guess per clip.

    Returns:
        The corpus with the transcripts in `asr_text`: "" where no speech was recognised, None where the recording could
        not be transcribed, which is added to `problems`. The next run tries these recordings again.

    Raises:
        ValueError: If the model cannot be used, see `Recogniser`, or the transcripts are damaged.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
    place, name = Path(prepared.folder, FOLDER), transcripts_name(model, revision, language)
    make_folder(place)
    file, problems = place / f"{name}.jsonl", []
    check_replaceable(file)
    with FileLock(place / f".{name}.lock"):
        known = read_transcripts(file)
        waiting = _find_waiting(prepared.splits, known, problems)
        recogniser = waiting and Recogniser(model, revision=revision, device=device, language=language)
        drop_incomplete_line(file)
        if waiting:
            bar = {"total": len(waiting), "desc": f"Transcribing with {model}", "unit": "recording", "disable": None}
            with tqdm(**bar) as progress:
                for batch in _batches(waiting, recogniser, batch_size, problems, progress):
                    append_transcripts(file, _recognise(recogniser, batch, problems))
                    progress.update(len(batch))
        lost = [found["id"] for found in problems if known.get(found["id"], NOTHING) != NOTHING]
        append_transcripts(file, [(utterance, *NOTHING) for utterance in lost])
        set_current(place, name)
    if problems:
        total = sum(map(len, prepared.splits.values()))
        warnings.warn(
            f"{len(problems)} of {total} recordings have no transcript. The first: {problems[0]['what']}", stacklevel=2
        )
    splits = add_transcripts(prepared.splits, prepared.folder, name)
    return dataclasses.replace(prepared, splits=splits, problems=[*prepared.problems, *problems])


class _Waiting(NamedTuple):
    """A row to transcribe, which is not read yet."""

    rows: "Dataset"
    place: int
    name: str
    key: str


class _Recording(NamedTuple):
    """A decoded recording."""

    name: str
    key: str
    waveform: np.ndarray


def _find_waiting(splits: "DatasetDict", known: Mapping, problems: list[dict]) -> list[_Waiting]:
    """Return the rows that have no transcript, or one of another recording."""
    waiting = []
    for rows in splits.values():
        rows = rows.select_columns(["id", "audio"])
        for place, row in enumerate(rows):
            try:
                key = recording_key(row["audio"])
            except (OSError, ValueError) as error:
                problems.append(_problem(row["id"], error))
                continue
            if known.get(row["id"], NOTHING)[0] != key:
                waiting.append(_Waiting(rows, place, row["id"], key))
    return waiting


def _batches(
    waiting: list[_Waiting], recogniser: Recogniser, batch_size: int, problems: list[dict], progress: tqdm
) -> Iterator[list[_Recording]]:
    """Yield batches of recordings of similar length; single recordings if they are long or the model cannot batch."""
    size = batch_size if recogniser.can_batch else 1
    for first in range(0, len(waiting), BATCHES * size):
        recordings = []
        for item in waiting[first : first + BATCHES * size]:
            try:
                waveform = load_audio(item.rows[item.place]["audio"], recogniser.sampling_rate)
                if len(waveform) < SHORT * recogniser.sampling_rate:
                    raise ValueError(f"It lasts less than {SHORT} s: it contains no word.")
            except (OSError, TypeError, ValueError) as error:
                problems.append(_problem(item.name, error))
                progress.update()
            else:
                recordings.append(_Recording(item.name, item.key, waveform))
        recordings.sort(key=lambda recording: len(recording.waveform))
        short = [recording for recording in recordings if not recogniser.is_long(recording.waveform)]
        yield from (short[place : place + size] for place in range(0, len(short), size))
        yield from ([recording] for recording in recordings[len(short) :])


def _recognise(recogniser: Recogniser, batch: list[_Recording], problems: list[dict]) -> list[tuple[str, str, str]]:
    """Return id, key and text of each recording of a batch; if the batch fails, try each recording alone."""
    try:
        texts = recogniser([recording.waveform for recording in batch])
    except (IndexError, RuntimeError, ValueError) as error:
        if len(batch) > 1:
            return [line for recording in batch for line in _recognise(recogniser, [recording], problems)]
        problems.append(_problem(batch[0].name, error, "The recogniser failed: "))
        return []
    return [(recording.name, recording.key, text) for recording, text in zip(batch, texts, strict=True)]


def _problem(name: str, error: Exception, prefix: str = "") -> dict:
    return problem("not transcribed", f"{name}: {prefix}{first_line(error)}", name=name)
