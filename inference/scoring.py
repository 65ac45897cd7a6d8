"""Scores of many recordings: the function that one batch of them goes through, in this process or in others."""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset
from transformers import Pipeline

from ..configuration.folder_checks import READ
from ..configuration.plain_text import one_line
from ..processing.earlier_utterances import without_speakers
from ..processing.input_errors import EXPECTED
from ..processing.media import audio_seconds
from ..processing.utterance_reader import MARGIN, Limit
from ..processing.video import video_seconds
from ..processing.window_options import AUTO, WindowOptions
from ..processing.windows import Span, plan_windows
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
        window_seconds: The length of windows; None means the longest that the model takes, for recordings that are longer
            and have no text.
        hop_seconds: The distance between the starts of windows; None means `window_seconds`.
        vad: Whether recordings are cut into segments with speech, of at most `window_seconds`.
        word_times: Whether the transcriber gives the times of words, and its text is divided over the windows.
        transcriber: The name of the transcriber of the pipeline, which changes scores.
        batch_size: The largest number of utterances in a batch of the model.
        num_workers: The number of processes that decode; 0 means threads.

    Raises:
        ValueError: If the windows are impossible.
    """

    window_seconds: float | None = None
    hop_seconds: float | None = None
    vad: bool = False
    word_times: bool = False
    transcriber: str | None = None
    batch_size: int = 8
    num_workers: int = 0

    def __post_init__(self):
        WindowOptions.from_options(self.of_pipeline())

    def of_pipeline(self) -> dict[str, Any]:
        """Return the options with which the pipeline cuts recordings itself."""
        windows = {"window_seconds": self.window_seconds, "hop_seconds": self.hop_seconds, "vad": self.vad or None}
        words = {"transcriber_kwargs": {"return_timestamps": "word"}} if self.word_times else {}
        return {name: value for name, value in windows.items() if value is not None} | words

    def describe(self) -> dict[str, Any]:
        """Return the options on which scores depend, as JSON."""
        names = ("window_seconds", "hop_seconds", "vad", "word_times", "transcriber")
        return {name: getattr(self, name) for name in names}


class Utterance(NamedTuple):
    """A recording, or its windows that are not finished, as one input of the pipeline.

    Attributes:
        key: The key of the recording.
        recording: The recording.
        numbers: The numbers of its parts, one for each of `spans`.
        parts: The number of parts of the recording.
        spans: The windows; None where it is scored as a whole, or the pipeline cuts it.
    """

    key: str
    recording: Recording
    numbers: list[int]
    parts: int
    spans: list[Span] | None

    def inputs(self, modalities: Collection[str]) -> dict[str, Any]:
        """Return the input of the pipeline.

        Args:
            modalities: The modalities of the model.
        """
        recording = self.recording
        inputs = _inputs_of(recording, modalities)
        if self.spans is not None:
            inputs["segments"] = [{"start": span.start, "end": span.end} for span in self.spans]
        if recording.earlier:
            turns = [_inputs_of(turn, modalities) for turn in recording.earlier]
            inputs["context"] = turns if recording.speaker is not None else without_speakers(turns)
        return inputs


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
        config, processor = self.recognise.model.config, self.recognise.processor
        self.columns, self.limit = name_columns(config), Limit.from_processor(processor).seconds
        if options.window_seconds is not None and options.window_seconds > self.limit:
            raise ValueError(
                f"Windows of {options.window_seconds:g} s are longer than the {self.limit:g} s that this model takes: give "
                "shorter ones."
            )
        # An earlier utterance that a model reads may itself read words of those before it.
        self.earlier_turns = processor.earlier_turns + config.history
        self._modalities = config.modalities
        self._hears = bool({"audio", "video"} & set(config.modalities)) or options.transcriber is not None
        self._call = {"batch_size": options.batch_size, "return_text": True, "on_error": "return"}
        self._cutting = {"window_seconds": AUTO} | options.of_pipeline()

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
                yield self._failure(Utterance(key, recording, [0], 1, None), str(error))
                continue
            parts = 1 if spans is None else len(spans)
            numbers = [number for number in range(parts) if number not in (finished or {}).get(key, ())]
            waiting = None if spans is None else [spans[number] for number in numbers]
            if numbers:
                utterances.append(Utterance(key, recording, numbers, parts, waiting))
        is_cut = [one.spans is not None or self._leaves_cutting(one.recording) for one in utterances]
        if whole := [one for one, cut in zip(utterances, is_cut, strict=True) if not cut]:
            answers = self.recognise(self._inputs(whole), num_workers=self.options.num_workers, **self._call)
            for utterance, answer in zip(whole, answers, strict=True):
                yield self._finish(utterance, answer)
        if chosen := [one for one, cut in zip(utterances, is_cut, strict=True) if cut]:
            answers = self.recognise(self._inputs(chosen), stream_rows=True, **self._call, **self._cutting)
            yield from self._finish_rows(chosen, answers)

    def _inputs(self, utterances: Sequence[Utterance]) -> "Utterances":
        return Utterances([utterance.inputs(self._modalities) for utterance in utterances])

    def _sounds(self, recording: Recording) -> bool:
        """Return whether the model gets the sound or the pictures of a recording."""
        return self._hears and (recording.audio or recording.video) is not None

    def _leaves_cutting(self, recording: Recording) -> bool:
        """Return whether the pipeline cuts a recording: where that needs the whole of it, as earlier windows do.

        Other windows are planned here, so that a run can be continued at any of them.
        """
        options = self.options
        is_needed = options.vad or options.word_times
        if self.earlier_turns:
            is_needed |= options.window_seconds is not None or recording.text is None
        return is_needed and self._sounds(recording)

    def _plan(self, recording: Recording) -> list[Span] | None:
        """Return the windows of a recording; None if it has one part, or the pipeline cuts it."""
        if recording.error is not None:
            raise ValueError(recording.error)
        longest = self.options.window_seconds
        is_whole = self._leaves_cutting(recording) or not self._sounds(recording)
        if is_whole or (longest is None and recording.text is not None):
            return None
        start = recording.start or 0.0
        end = recording.end if recording.end is not None else _measure(recording)
        if end is None or end <= start or (longest is None and end - start <= self.limit + MARGIN):
            return None  # the pipeline names what is wrong
        spans = plan_windows(end - start, longest or self.limit, self.options.hop_seconds)
        if len(spans) > 1 and recording.text is not None:
            raise ValueError(
                f"{recording.name} has {len(spans)} windows, and its text has no times: leave the text out, or give one row "
                "for each utterance with start and end."
            )
        return [Span(start + span.start, start + span.end) for span in spans]

    def _finish_rows(self, utterances: Sequence[Utterance], answers: Iterable[dict[str, Any]]) -> Iterator[Part]:
        """Yield the parts for the rows of windows; where the pipeline cuts, all rows of a recording are one part."""
        found = []
        for answer in answers:
            utterance = utterances[answer["input"]]
            key, recording, numbers, parts, spans = utterance
            if "row" not in answer and "error" in answer:
                for place in range(len(numbers)):
                    yield self._failure(utterance, answer["error"], place)
                continue
            row = build_row(recording, answer, self.columns)
            seconds = answer["end"] - answer["start"] if "row" in answer else 0.0  # it has no speech
            if spans is not None:
                yield Part(key, numbers[answer["row"]], parts, [row], seconds)
                continue
            found.append((row, seconds))
            if len(found) >= answer["rows"]:
                yield Part(key, 0, parts, [row for row, _ in found], float(sum(seconds for _, seconds in found)))
                found = []

    def _finish(self, utterance: Utterance, answer: dict[str, Any]) -> Part:
        """Return the row for the answer of the pipeline to a recording that is not cut."""
        recording = utterance.recording
        if "error" in answer:
            return self._failure(utterance, answer["error"])
        start, end = recording.start or 0.0, recording.end
        if end is None and self._hears:
            end = _measure_if_possible(recording)
        is_cut = end is not None and end - start > self.limit + MARGIN
        end = start + self.limit if is_cut else end
        times = {} if end is None else {"start": round(start, 6), "end": round(end, 6)}
        row = build_row(recording, {**answer, **times}, self.columns)
        return Part(utterance.key, 0, 1, [row], 0.0 if end is None else end - start, is_cut)

    def _failure(self, utterance: Utterance, message: str, place: int = 0) -> Part:
        """Return the row of an error, of the whole or of one of its windows."""
        span = utterance.recording if utterance.spans is None else utterance.spans[place]
        answer = {"start": span.start, "end": span.end, "error": one_line(message)}
        row = build_row(utterance.recording, answer, self.columns)
        return Part(utterance.key, utterance.numbers[place], utterance.parts, [row])


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
        return _measure(recording) if recording.audio or recording.video else None
    except EXPECTED:  # what is used may be good where the rest is damaged
        return None


def _inputs_of(recording: Recording, modalities: Collection[str]) -> dict[str, Any]:
    """Return a recording as an utterance of the pipeline."""
    inputs = {"text": recording.text, "speaker": recording.speaker}
    for name in ("audio", "video"):
        if (path := getattr(recording, name)) is not None:
            inputs[name] = {"path": path, "start": recording.start, "end": recording.end}
    if "video" not in modalities and recording.video == recording.audio:
        inputs.pop("video", None)  # the user named a file for its sound
    return {name: value for name, value in inputs.items() if value is not None}
