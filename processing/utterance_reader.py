"""Reading of the pipeline's inputs: downloads, decoding and limits, without the model.

Worker processes get a reader, because they have no use for the model and could not always unpickle it. Where they start
anew they import this file, so it must not import transformers.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import one_line
from .download import TIMEOUT, fetch
from .earlier_utterances import list_earlier
from .input_errors import EXPECTED, with_prefix
from .media import audio_seconds, is_silent, load_audio
from .text_context import read_turns
from .video import video_seconds

# Keys of an utterance.
UTTERANCE = (*MODALITIES, "alignment", "context", "speaker", "segments")
# Keys of a recording or video that is a dict, one of which it must have.
SOURCE = {"path", "bytes", "array", "raw"}
# Seconds of a recording that are used if neither the processor nor its training states a limit (ours).
UNSTATED_LIMIT = 60.0
# Seconds decoded behind the limit, to know whether a recording is longer.
MARGIN = 0.1


@dataclass(frozen=True)
class Failure:
    """An input that could not be used.

    Args:
        message: One sentence, without the position of the input.
        error: The error, whose message begins with the position.
    """

    message: str
    error: Exception

    @classmethod
    def from_error(cls, error: Exception, place: str) -> "Failure":
        """Return the failure of an input.

        Args:
            error: An error of one of the kinds `EXPECTED`.
            place: Prefix of its message.
        """
        return cls(str(with_prefix(error, "")), with_prefix(error, place))


@dataclass(frozen=True)
class Limit:
    """The length that recordings and videos are cut to.

    Args:
        seconds: The length in seconds.
        reason: A clause of the warning.
    """

    seconds: float
    reason: str

    @classmethod
    def from_processor(cls, processor: Any) -> "Limit":
        """Return the limit of a processor: its `max_seconds`, else its `longest_seconds`, else `UNSTATED_LIMIT`."""
        if processor.decoded_seconds is not None:
            return cls(processor.decoded_seconds, "this model takes recordings of up to {seconds:g} s")
        if processor.longest_seconds is not None:
            return cls(processor.longest_seconds, "this model was trained on recordings of up to {seconds:g} s")
        return cls(UNSTATED_LIMIT, "this model does not state the length of its training recordings")


@dataclass(frozen=True)
class UtteranceReader:
    """Reader of utterances for one model.

    Args:
        modalities: The modalities of the model.
        transcribes: Whether missing transcripts are made from the recording.
        sampling_rate: The sampling rate of waveforms in Hz.
        frames_per_second: The frame rate of videos that are given as frames.
        limit: The length that recordings and videos are cut to.
        earlier_turns: The number of earlier turns whose words the model reads with those of an utterance.
        history: The number of earlier utterances that the model reads besides an utterance.
    """

    modalities: tuple[str, ...]
    transcribes: bool
    sampling_rate: int
    frames_per_second: float
    limit: Limit
    earlier_turns: int = 0
    history: int = 0

    def read(
        self,
        inputs: Any,
        place: str = "",
        timeout: float = TIMEOUT,
        allow_private_urls: bool = False,
        context: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Read one utterance: download files at URLs, and decode the recording up to the limit.

        Args:
            inputs: One utterance; see the pipeline.
            place: Prefix of error messages.
            timeout: See the pipeline.
            allow_private_urls: See the pipeline.
            context: See the pipeline.

        Returns:
            `audio` (`array` and `sampling_rate`), `text`, `video`, `alignment`, `context` and `speaker` of the utterance, None
            where missing; `history`, the earlier utterances that the model reads, each like this one;
            `unused`, the modalities that the model does not use; `is_silent`, whether nothing is heard in the
            recording; `cut`, a sentence if recording or video are longer than the limit; and `place`.
        """
        result = self.try_read(inputs, place, timeout, allow_private_urls, context)
        if isinstance(result, Failure):
            raise result.error
        return result

    def try_read(
        self,
        inputs: Any,
        place: str = "",
        timeout: float = TIMEOUT,
        allow_private_urls: bool = False,
        context: list[Any] | None = None,
    ) -> dict[str, Any] | Failure:
        """Return an utterance as `read` does, or its failure.

        Args:
            inputs: See `read`.
            place: See `read`.
            timeout: See `read`.
            allow_private_urls: See `read`.
            context: See `read`.
        """
        try:
            row = self._select(inputs, context)
            row["history"] = [
                replace(self, history=0).read(earlier, f"context[{number}]: ", timeout, allow_private_urls)
                for number, earlier in row["history"]
            ]
            for name in ("audio", "video"):
                row[name] = fetch(row[name], timeout, allow_private_urls)
            row |= {"cut": self._cut_video(row["video"]), "is_silent": False, "place": place}
            if row["audio"] is not None:
                source, row["audio"] = row["audio"], None
                waveform, is_longer = self._read_waveform(source)
                row["cut"] = self._describe_audio(source) if is_longer else row["cut"]
                row["is_silent"] = is_silent(waveform)
                row["audio"] = {"array": waveform, "sampling_rate": self.sampling_rate}
        except EXPECTED as error:
            return Failure.from_error(error, place)
        return row

    def _select(self, inputs: Any, context: list[Any] | None) -> dict[str, Any]:
        """Return what is used of an utterance, with the names of inputs that are not used as `unused`.

        Its `history` is not read yet: positions in the context, and utterances.
        """
        row = self.as_utterance(inputs)
        if row["segments"] is not None:
            raise ValueError(
                "segments of the utterances of a generator or a dataset need the option window_seconds='auto', and threads "
                "(num_workers=0)."
            )
        given = {name for name in MODALITIES if row[name] is not None}
        if not isinstance(row["text"], (str, type(None))):
            raise TypeError(f"text must be a string, not {type(row['text']).__name__}.")
        used = given & set(self.modalities)
        if self.needs_transcript(row):
            used |= {"audio", "text"}
        if not used & set(self.modalities):
            raise ValueError(f"The utterance has no input for this model: give {self._accepted_inputs()}.")
        row |= dict.fromkeys(given - used)
        if row["audio"] is None:
            row["alignment"] = None
        unused = sorted(given - used)
        context = context if row["context"] is None else row["context"]
        if read_turns(context, "context", row["speaker"]) and not self.earlier_turns and not self.history:
            unused.append("context")
        earlier = list_earlier(context or (), self.history)
        numbers = range(len(context or ()) - len(earlier), len(context or ()))
        return row | {
            "unused": unused,
            "context": context if self.earlier_turns else None,
            "history": list(zip(numbers, earlier, strict=True)),
        }

    def needs_transcript(self, row: Mapping[str, Any]) -> bool:
        """Return whether the transcript of an utterance must be made from its recording."""
        return self.transcribes and "text" in self.modalities and row["text"] is None and row["audio"] is not None

    def as_utterance(self, inputs: Any) -> dict[str, Any]:
        """Return an utterance as a dict with all keys of one, None where missing.

        Args:
            inputs: One utterance; see the pipeline.

        Raises:
            ValueError: If it has another key.
        """
        if not isinstance(inputs, Mapping) or (inputs.keys() & SOURCE and not inputs.keys() & set(MODALITIES)):
            takes_audio = "audio" in self.modalities or self.transcribes
            return dict.fromkeys(UTTERANCE) | {"audio" if takes_audio else self.modalities[0]: inputs}
        if unknown := [key for key in inputs if key not in UTTERANCE]:
            raise ValueError(
                f"An utterance has no key {', '.join(map(repr, unknown))}; its keys are {', '.join(UTTERANCE)}."
            )
        return dict.fromkeys(UTTERANCE) | dict(inputs)

    def _accepted_inputs(self) -> str:
        if self.modalities == ("text",):
            return "text, or audio and a transcriber"
        return " or ".join(self.modalities)

    def _read_waveform(self, source: Any) -> tuple[np.ndarray, bool]:
        """Return a recording up to the limit, `(samples,)`, and whether it is longer."""
        waveform = load_audio(source, self.sampling_rate, max_seconds=self.limit.seconds + MARGIN)
        samples = max(1, round(self.limit.seconds * self.sampling_rate))
        return waveform[:samples], len(waveform) > samples

    def _describe_audio(self, source: Any) -> str:
        return self._describe_cut(name_source(source, "The recording"), _span_seconds(source, audio_seconds))

    def _cut_video(self, source: Any) -> str | None:
        """Return a sentence if a video is longer than the limit; the processor cuts it when it decodes it."""
        if isinstance(source, (str, os.PathLike, bytes, Mapping)):
            seconds = _span_seconds(source, video_seconds)
        elif getattr(source, "ndim", 0) == 4:
            seconds = len(source) / self.frames_per_second
        else:
            return None
        if seconds is None or seconds <= self.limit.seconds + 1 / self.frames_per_second:
            return None
        return self._describe_cut(name_source(source, "The video"), seconds)

    def _describe_cut(self, name: str, seconds: float | None) -> str:
        limit = self.limit.seconds
        # A header may be wrong, and some do not state the length.
        lasts = f"{seconds:.1f} s" if seconds is not None and seconds > limit else f"longer than {limit:g} s"
        return (
            f"{name} lasts {lasts}, and {self.limit.reason.format(seconds=limit)}: only the first {limit:g} s are used. "
            "Windows (window_seconds, vad or segments) give scores of all of it."
        )


class OneInput(list):
    """A list of one input that is given without a list, so that its errors name no position."""


class ReadUtterances(Dataset):
    """Utterances that are read lazily, here or in worker processes.

    Args:
        reader: The reader.
        inputs: The utterances.
        options: Options of `UtteranceReader.read`.
    """

    def __init__(self, reader: UtteranceReader, inputs: Iterable[Any], options: dict[str, Any]):
        self.reader, self.inputs, self.options = reader, inputs, options

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, number: int) -> dict[str, Any] | Failure:
        return self.read(number, self.get(number))

    def get(self, number: int) -> Any:
        """Return an utterance that is not read yet, or its failure if there is none.

        Args:
            number: Its position.
        """
        try:
            return self.inputs[number]
        except EXPECTED as error:
            return Failure.from_error(error, self.place(number))

    def read(self, number: int, item: Any) -> dict[str, Any] | Failure:
        """Return an utterance, or its failure.

        Args:
            number: Its position, for error messages.
            item: The utterance, or the failure to get it.
        """
        return item if isinstance(item, Failure) else self.reader.try_read(item, self.place(number), **self.options)

    def place(self, number: int) -> str:
        """Return the prefix of error messages for an utterance.

        Args:
            number: Its position.
        """
        return "" if isinstance(self.inputs, OneInput) else f"inputs[{number}]: "


def unchanged(row: Any) -> Any:
    """Return a row as it is: the collator of single rows."""
    return row


def name_source(source: Any, default: str) -> str:
    """Return the path or URL of a recording or video, or a default if it has none.

    Args:
        source: See the pipeline.
        default: What it is called otherwise.
    """
    path = source.get("path") if isinstance(source, Mapping) else source
    return one_line(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else default


def name_channel(source: Any, default: str) -> str:
    """Return the path or URL of a recording as `name_source` does, with the channel if one is given.

    Args:
        source: See the pipeline.
        default: What it is called otherwise.
    """
    channel = source.get("channel") if isinstance(source, Mapping) else None
    name = name_source(source, default)
    return name if channel is None else f"channel {channel} of {name}"


def place_warning(place: str, source: Any, sentence: str) -> str:
    """Return a warning about a recording with its position among the inputs, which only one without a path needs.

    Args:
        place: Prefix of error messages.
        source: The recording or video.
        sentence: The warning.
    """
    return sentence if name_source(source, "") else f"{place}{sentence}"


def _span_seconds(source: Any, measure: Callable[[Any], float | None]) -> float | None:
    """Return the length of a file, or of the span that its dict gives; None if it cannot be measured."""
    span = source if isinstance(source, Mapping) else {}
    try:
        end = span.get("end") if span.get("end") is not None else measure(source)
        return None if end is None else end - (span.get("start") or 0.0)
    except EXPECTED:  # what is used may be good where the rest is damaged
        return None
