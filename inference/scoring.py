"""Scores of many recordings: the function that one batch of them goes through, in this process or in others."""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset
from transformers import Pipeline

from ..configuration.folder_checks import READ
from ..configuration.plain_text import one_line
from ..processing.input_errors import EXPECTED
from ..processing.media import audio_seconds
from ..processing.utterance_reader import Limit
from ..processing.video import video_seconds
from ..processing.windows import Span, check_windows, plan_windows
from .journal import Part
from .recording import Recording
from .tables import build_row, name_columns

# Files in the folder of a model that change no score.
OF_RUNS = ("results.json", "splits.json")
Load = Callable[[str | None], Pipeline]


@dataclass(frozen=True)
class ScoringOptions:
    """How recordings are scored.

    Args:
        window_seconds: The length of windows; None scores a recording as one utterance.
        hop_seconds: The distance between the starts of windows; None means `window_seconds`.
        batch_size: The largest number of utterances in a batch of the model.
        num_workers: The number of processes that decode; 0 means threads.
        transcriber: The name of the transcriber of the pipeline, which changes scores.
        pipeline: Other options of the pipeline, of each call.

    Raises:
        ValueError: If the windows are impossible.
    """

    window_seconds: float | None = None
    hop_seconds: float | None = None
    batch_size: int = 8
    num_workers: int = 0
    transcriber: str | None = None
    pipeline: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.window_seconds is not None:
            check_windows(self.window_seconds, self.hop_seconds)
        elif self.hop_seconds is not None:
            raise ValueError("hop_seconds is given without window_seconds: give both, or neither.")

    def describe(self) -> dict[str, Any]:
        """Return the options on which scores depend, as JSON."""
        names = ("window_seconds", "hop_seconds", "transcriber")
        return {name: getattr(self, name) for name in names} | dict(self.pipeline)


class Utterance(NamedTuple):
    """A part of a recording that the model gets at a time: a window, or the whole."""

    key: str
    recording: Recording
    part: int
    parts: int
    span: Span | None
    limit: float

    def inputs(self, modalities: Collection[str]) -> dict[str, Any]:
        """Return the input of the pipeline."""
        start, end = self.span[:2] if self.span else (self.recording.start, self.recording.end)
        inputs = {"text": self.recording.text, "speaker": self.recording.speaker}
        for name in ("audio", "video"):
            if (path := getattr(self.recording, name)) is not None:
                inputs[name] = {"path": path, "start": start, "end": end}
        if "video" not in modalities and self.recording.video == self.recording.audio:
            inputs.pop("video", None)  # the user named a file for its sound
        return {name: value for name, value in inputs.items() if value is not None}


class Utterances(Dataset):
    """Inputs of the pipeline; the pipeline answers a dataset one by one.

    Args:
        inputs: The inputs.
    """

    def __init__(self, inputs: Sequence[dict[str, Any]]):
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.inputs[number]


class Scorer:
    """Scorer of batches of recordings.

    Args:
        load: A function that returns the pipeline on a device, None for the default one. Other processes get a copy.
        options: The options.
        device: The device.

    Raises:
        ValueError: If the windows are longer than the model takes.
    """

    def __init__(self, load: Load, options: ScoringOptions, device: str | None = None):
        self.recognise, self.options = load(device), options
        self.columns = name_columns(self.recognise.model.config)
        self.limit = Limit.from_processor(self.recognise.processor).seconds
        if options.window_seconds is not None and options.window_seconds > self.limit:
            raise ValueError(
                f"Windows of {options.window_seconds:g} s are longer than the {self.limit:g} s that this model takes: give "
                "shorter ones."
            )
        self.reads_turns = bool(self.recognise.processor.earlier_turns or self.recognise.model.config.history)

    def __call__(
        self, recordings: Mapping[str, Recording], finished: Mapping[str, Collection[int]] | None = None
    ) -> Iterator[Part]:
        """Yield the rows of recordings, part by part. A recording that cannot be scored is a row with an error.

        Args:
            recordings: The recordings by key; their inputs are in memory together.
            finished: The parts of recordings that are left out.
        """
        utterances = []
        for key, recording in recordings.items():
            try:
                spans = self._plan(recording)
            except EXPECTED as error:
                yield self._failure(key, recording, str(error))
                continue
            parts = enumerate(spans)
            done = (finished or {}).get(key, ())
            utterances += [
                Utterance(key, recording, part, len(spans), span, self.limit)
                for part, span in parts
                if part not in done
            ]
        modalities = self.recognise.model.config.modalities
        inputs = Utterances([utterance.inputs(modalities) for utterance in utterances])
        options = {"batch_size": self.options.batch_size, "num_workers": self.options.num_workers}
        if utterances:
            answers = self.recognise(inputs, return_text=True, on_error="return", **options, **self.options.pipeline)
            for utterance, answer in zip(utterances, answers, strict=True):
                yield self._finish(utterance, answer)

    def _plan(self, recording: Recording) -> list[Span | None]:
        """Return the windows of a recording; None is the whole of it."""
        if recording.error is not None:
            raise ValueError(recording.error)
        if self.options.window_seconds is None or (recording.audio or recording.video) is None:
            return [None]
        start = recording.start or 0.0
        end = recording.end if recording.end is not None else _measure(recording)
        if end is None:
            raise ValueError(f"{recording.name} does not state its length, so it has no windows: convert it to WAV.")
        if end <= start:
            raise ValueError(f"{recording.name} has no sound from {start:g} to {end:g} s.")
        spans = plan_windows(end - start, self.options.window_seconds, self.options.hop_seconds)
        if len(spans) > 1 and recording.text is not None:
            raise ValueError(
                f"{recording.name} has {len(spans)} windows, and its text has no times: leave the text out, or give one row "
                "for each utterance with start and end."
            )
        return [Span(start + span.start, start + span.end) for span in spans]

    def _finish(self, utterance: Utterance, answer: Any) -> Part:
        """Return the rows for the answer of the pipeline."""
        key, recording, part, parts, span, limit = utterance
        if isinstance(answer, list):  # rows of windows that the pipeline found
            rows = [build_row(recording, row, self.columns) for row in answer]
            return Part(key, part, parts, rows, sum(row["end"] - row["start"] for row in answer))
        if "error" in answer:
            return self._failure(key, recording, answer["error"], part, parts, span)
        start, end = span[:2] if span else (recording.start or 0.0, recording.end)
        if end is None and recording.audio is not None:
            end = _measure_if_possible(recording)
        is_cut = end is not None and end - start > limit + 0.1
        end = start + limit if is_cut else end
        times = {} if end is None else {"start": round(start, 6), "end": round(end, 6)}
        row = build_row(recording, {**answer, **times}, self.columns)
        return Part(key, part, parts, [row], 0.0 if end is None else end - start, is_cut)

    def _failure(
        self, key: str, recording: Recording, message: str, part: int = 0, parts: int = 1, span: Span | None = None
    ) -> Part:
        """Return the row of an error."""
        start, end = span[:2] if span else (recording.start, recording.end)
        answer = {"start": start, "end": end, "error": one_line(message)}
        return Part(key, part, parts, [build_row(recording, answer, self.columns)])


def identify_model(folder: str, recognise: Pipeline) -> str:
    """Return what tells a model from others: a hash of the files of a folder, or name and commit on the Hub.

    Args:
        folder: The folder of the model, or its name on the Hub.
        recognise: Its pipeline.
    """
    if not os.path.isdir(folder):
        return f"{folder}@{getattr(recognise.model.config, '_commit_hash', None)}"
    digest = hashlib.sha256()
    for file in sorted(Path(folder).iterdir()):
        if file.name.endswith(READ) and file.suffix != ".py" and file.name not in OF_RUNS and file.is_file():
            digest.update(file.name.encode() + b"\0")
            with open(file, "rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def _measure(recording: Recording) -> float | None:
    """Return the length of a recording in seconds; None if it is not stated."""
    measure = video_seconds if recording.audio is None else audio_seconds
    return measure(recording.audio or recording.video)


def _measure_if_possible(recording: Recording) -> float | None:
    try:
        return _measure(recording)
    except EXPECTED:  # what is used may be good where the rest is damaged
        return None
