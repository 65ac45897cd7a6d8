"""Words with times: how the text of a recording is divided over its windows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .alignment_spans import SILENCE, pad_spans


class Word(NamedTuple):
    """A spoken word.

    Attributes:
        text: Its text, with the blank before it where the source writes one.
        start: Its start in seconds.
        end: Its end in seconds.
    """

    text: str
    start: float
    end: float


def join_words(words: Sequence[Word], start: float, end: float) -> str:
    """Return the text of the words whose middle is from `start` to `end`, so that each is in one of two windows that meet.

    Args:
        words: The words of a recording.
        start: The start of a window in seconds.
        end: Its end in seconds.
    """
    inside = [word.text for word in words if start <= (word.start + word.end) / 2 < end]
    has_blanks = any(word.text[:1].isspace() for word in words)  # as Whisper writes them; other languages have none
    return ("" if has_blanks else " ").join(inside).strip()


def words_of_answer(answer: Mapping[str, Any], seconds: float) -> list[Word] | None:
    """Return the words of the answer of a recogniser; None if it has no times.

    Args:
        answer: The answer of a pipeline for automatic speech recognition with `return_timestamps="word"`.
        seconds: The length of the recording, the end of a word without one.
    """
    words = []
    for chunk in answer.get("chunks") or ():
        start, end = chunk["timestamp"]
        start = 0.0 if start is None else start
        words.append(Word(chunk["text"], start, min(max(start, seconds if end is None else end), seconds)))
    return words or ([] if not answer["text"].strip() else None)


def words_of_alignment(alignment: Mapping[str, Any] | None) -> list[Word] | None:
    """Return the words of an alignment in the format of the processor, without silence; None if it has none.

    Raises:
        TypeError: If the alignment is no mapping.
        ValueError: If its words have no lists of valid times.
    """
    pad_spans([alignment], "word", None)  # a check
    segments = None if alignment is None else alignment.get("word")
    if segments is None:
        return None
    times = zip(segments["symbol"], segments["start"], segments["end"], strict=True)
    return [Word(symbol, start, end) for symbol, start, end in times if SILENCE.fullmatch(symbol) is None]


def cut_alignment(alignment: Mapping[str, Any] | None, start: float, end: float) -> dict[str, Any] | None:
    """Return the segments of an alignment that overlap a window, with times since its start.

    Args:
        alignment: An alignment in the format of the processor.
        start: The start of the window in seconds.
        end: Its end in seconds.

    Raises:
        TypeError: If the alignment is no mapping.
        ValueError: If a level of it has no lists of valid times.
    """
    if alignment is None:
        return None
    cut = {}
    for level, segments in alignment.items():
        pad_spans([alignment], level, None)  # a check
        if segments is None:
            continue
        starts, ends = (np.asarray(segments[edge], np.float64) for edge in ("start", "end"))
        inside = np.flatnonzero((starts < end) & (ends > start))
        cut[level] = {
            "start": (starts[inside] - start).clip(0.0).tolist(),
            "end": (ends[inside] - start).clip(max=end - start).tolist(),
            "symbol": [segments["symbol"][number] for number in inside],
        }
    return cut


class SpokenPart:
    """A part of a recording whose windows share the words of a recogniser; it is transcribed when the first one asks.

    Args:
        waveform: The samples `(samples,)`.
        sampling_rate: Their rate in Hz.
        start: The time of the first sample in seconds.
    """

    def __init__(self, waveform: np.ndarray, sampling_rate: int, start: float):
        self.audio, self.start = {"array": waveform, "sampling_rate": sampling_rate}, start
        self._words = None

    def text(
        self, transcribe: Callable[[Mapping[str, Any]], list[Word] | None], start: float, end: float
    ) -> str | None:
        """Return the text from `start` to `end`, in seconds of the recording; None if the recogniser gives no times.

        Args:
            transcribe: A function that returns the words of a recording.
            start: The start of a window.
            end: Its end.
        """
        if self.audio is not None:
            self._words, self.audio = transcribe(self.audio), None
        return None if self._words is None else join_words(self._words, start - self.start, end - self.start)
