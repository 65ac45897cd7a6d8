"""Recordings of any length: they are cut into windows or segments, which are read by span.

Memory does not depend on the length of a recording: windows that are near each other are decoded together, in stretches
of at most `STRETCH` seconds. Stretches in the order of time are one pass over the file.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from transformers.utils import logging

from .download import fetch
from .earlier_utterances import without_speakers
from .input_errors import EXPECTED
from .media import as_waveform, audio_seconds, is_decoder, load_audio
from .media_files import SPAN_TOLERANCE, check_span, span_outside
from .sound_stream import SoundStream
from .utterance_reader import Failure, UtteranceReader, name_channel, name_source, place_warning
from .video import video_seconds
from .voice_activity import find_speech
from .window_options import WindowOptions
from .windows import EXACT, Span, plan_segments, plan_windows
from .word_times import SpokenPart, cut_alignment, join_words, words_of_alignment

STRETCH = 120.0  # seconds that are decoded together at most, unless one window is longer
_end = attrgetter("end")

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class Recording:
    """A recording with the spans that it is cut into.

    Args:
        row: The utterance; files at URLs are downloaded.
        clock: The input that the times are those of, "audio" or "video".
        start: The time at which the recording begins in seconds: that of its span in a file, else 0.
        video: The start and the length of the video in seconds; None without one.
        spans: The spans, with their speakers and, where known, texts.
        place: Prefix of error messages.
        sound: The stream of the recording; None where it is a waveform, or there is none.
    """

    row: dict[str, Any]
    clock: str
    start: float
    video: tuple[float, float] | None
    spans: list[Span]
    place: str
    sound: SoundStream | None = None

    def stretches(self) -> Iterator[list[int]]:
        """Yield the positions of spans that are decoded together, in order."""
        numbers, first, last = [], 0.0, 0.0
        for number, span in enumerate(self.spans):
            start, end = (min(first, span.start), max(last, span.end)) if numbers else (span.start, span.end)
            if numbers and end - start > STRETCH:
                yield numbers
                numbers, start, end = [], span.start, span.end
            numbers, first, last = [*numbers, number], start, end
        if numbers:
            yield numbers

    def earlier(self, number: int, count: int) -> list[Span]:
        """Return the last spans that end before one begins and do not overlap each other, oldest first.

        Args:
            number: The position of the span.
            count: The largest number of spans.
        """
        found, edge = [], self.spans[number].start
        while len(found) < count and (before := bisect_right(self._by_end, edge + EXACT, key=_end)):
            found = [self._by_end[before - 1], *found]
            edge = found[0].start
        return found

    @cached_property
    def _by_end(self) -> list[Span]:
        return sorted(self.spans, key=lambda span: (span.end, span.start))


@dataclass(frozen=True)
class RecordingReader:
    """Reader of recordings of any length for one model.

    Args:
        reader: The reader of its windows.
        windows: How recordings are cut.
        options: Options of `UtteranceReader.read`.
        warns: Whether a recording without speech is a warning.
    """

    reader: UtteranceReader
    windows: WindowOptions
    options: dict[str, Any]
    warns: bool = True

    def plan(self, inputs: Any, place: str = "") -> Recording | Failure:
        """Return a recording with its spans, or its failure; of the recording no more is read than that needs.

        Args:
            inputs: One utterance; see the pipeline.
            place: Prefix of error messages.
        """
        if isinstance(inputs, Failure):
            return inputs
        try:
            return self._plan(inputs, place)
        except EXPECTED as error:
            return Failure.from_error(error, place)

    def _plan(self, inputs: Any, place: str) -> Recording:
        row = self.reader.as_utterance(inputs)
        segments = row.pop("segments") if row["segments"] is not None else self.windows.segments
        used, longest = self._used(row), self.windows.longest(self.reader)
        download = {key: self.options[key] for key in ("timeout", "allow_private_urls") if key in self.options}
        row |= {name: fetch(row[name], **download) for name in used}
        clock = used[0]
        if clock == "audio" and isinstance(row["audio"], Mapping) and row["audio"].get("array") is not None:
            row["audio"] = {**row["audio"], "array": as_waveform(row["audio"]["array"], "the audio")}
        start, end = self._measure(row[clock], clock)
        if segments is not None:
            if not isinstance(segments, (list, tuple)):
                raise TypeError(f"segments must be a list of dicts, not {type(segments).__name__}.")
            spans = plan_segments(segments, end, longest)
            if early := next((span for span in spans if span.start < start - EXACT), None):
                raise ValueError(
                    f"A segment begins at {early.start:g} s, before the recording, which begins at {start:g} s."
                )
        elif self.windows.vad:
            if clock != "audio":
                raise ValueError("vad needs a recording, and the utterance has none: give audio, or window_seconds.")
            spans = find_speech(row["audio"], start, end, longest)
            if not spans and self.warns:
                sentence = f"No speech is found in {name_channel(row['audio'], 'the recording')}: it has no rows."
                logger.warning(place_warning(place, row["audio"], sentence))
        else:
            windows = plan_windows(end - start, longest, self.windows.hop_seconds)
            spans = [span._replace(start=span.start + start, end=span.end + start) for span in windows]
        video = self._measure(row["video"], "video") if used == ["audio", "video"] else None
        if video and video[1] - video[0] < end - start - 1.0:
            sentence = (
                f"{name_source(row['video'], 'The video')} lasts {video[1] - video[0]:.1f} s, and the recording "
                f"{end - start:.1f} s: later windows have no video."
            )
            logger.warning(place_warning(place, row["video"], sentence))
        spans = self._add_texts(row, spans, start, end)
        spans = [span if span.speaker is not None else span._replace(speaker=row["speaker"]) for span in spans]
        return Recording(row, clock, start, video, spans, place, self._stream(row, clock, spans))

    def _stream(self, row: Mapping[str, Any], clock: str, spans: list[Span]) -> SoundStream | None:
        """Return the stream of a recording; None if it is a waveform, has no spans, or the video is cut."""
        source = row["audio"]
        is_array = isinstance(source, Mapping) and source.get("array") is not None
        if clock != "audio" or not spans or is_array or is_decoder(source):
            return None
        return SoundStream(source, self.reader.sampling_rate, max(span.end for span in spans))

    def _used(self, row: Mapping[str, Any]) -> list[str]:
        """Return which of recording and video are given and used; the first one is cut."""
        listens = "audio" in self.reader.modalities or self.reader.needs_transcript(row)
        is_used = {"audio": listens, "video": "video" in self.reader.modalities}
        used = [name for name in is_used if is_used[name] and row[name] is not None]
        if not used:
            raise ValueError(
                "The utterance has no recording or video for this model, and windows need one: text has no times."
            )
        return used

    def _measure(self, source: Any, kind: str) -> tuple[float, float]:
        """Return the start and the end of a recording or a video in seconds, of its span if it has one."""
        name = name_source(source, f"The {'recording' if kind == 'audio' else 'video'}")
        if kind == "video" and getattr(source, "ndim", 0) == 4:
            return 0.0, len(source) / self.reader.frames_per_second
        seconds = audio_seconds(source) if kind == "audio" else video_seconds(source)
        if seconds is None:
            raise ValueError(f"{name} does not state its length, and windows need it: convert it to wav or mp4.")
        span = source if isinstance(source, Mapping) else {}
        start, end = span.get("start") or 0.0, span.get("end")
        check_span(name, start, end)
        if start >= seconds or (end is not None and end > seconds + SPAN_TOLERANCE):
            raise span_outside(name, start, end, seconds)
        return start, seconds if end is None else min(end, seconds)

    def _add_texts(self, row: Mapping[str, Any], spans: list[Span], start: float, end: float) -> list[Span]:
        """Return spans with the parts of the text of the recording; it needs times unless one span is all of it."""
        without = [span for span in spans if span.text is None]
        if row["text"] is None or not without:
            return spans
        if len(spans) == 1 and spans[0].end - spans[0].start >= end - start - SPAN_TOLERANCE:
            return [spans[0]._replace(text=row["text"])]
        words = words_of_alignment(row["alignment"])
        if words is None:
            raise ValueError(
                f"The text is that of {end - start:.1f} s and cannot be divided over {len(spans)} windows: give the times "
                "of its words (alignment), segments with their texts, or a transcriber instead of the text."
            )
        return [
            span
            if span.text is not None
            else span._replace(text=join_words(words, span.start - start, span.end - start))
            for span in spans
        ]

    def read(self, recording: Recording, numbers: list[int]) -> list[dict | Failure]:
        """Return the windows of a stretch as `UtteranceReader.try_read` does, or their failures.

        Each also has its `part`, a `SpokenPart` with its start and end, where its text may be taken from one.

        Args:
            recording: The recording.
            numbers: The positions of the spans of the stretch.
        """
        spans = [recording.spans[number] for number in numbers]
        rate, first = self.reader.sampling_rate, min(span.start for span in spans)
        waveform, part = None, None
        if recording.clock == "audio":
            source = recording.row["audio"]
            try:
                last = max(span.end for span in spans)
                if recording.sound is None:
                    waveform = load_audio(source, rate, first, last)
                else:
                    waveform = recording.sound.read(first, last, numbers[0], numbers[-1] + 1)
                part = SpokenPart(waveform, rate, first) if self.reader.transcribes else None
            except EXPECTED:  # the windows that can be read are read by themselves
                pass
        rows = []
        for number, span in zip(numbers, spans, strict=True):
            try:
                utterance = self._cut(recording, number)
                if recording.clock == "audio":
                    cut = slice(round((span.start - first) * rate), None)
                    samples = max(1, round((span.end - span.start) * rate))
                    own = (
                        load_audio(source, rate, span.start, span.end) if waveform is None else waveform[cut][:samples]
                    )
                    utterance["audio"] = {"array": own, "sampling_rate": rate}
                row = self.reader.try_read(utterance, recording.place, **self.options)
            except EXPECTED as error:
                row = Failure.from_error(error, recording.place)
            if part is not None and not isinstance(row, Failure):
                row["part"] = part, span.start, span.end
            rows.append(row)
        return rows

    def _cut(self, recording: Recording, number: int) -> dict[str, Any]:
        """Return the utterance of a span, without its recording."""
        span, row = recording.spans[number], recording.row
        start, end = span.start - recording.start, span.end - recording.start
        return {
            "text": span.text,
            "video": self._cut_video(recording, start, end),
            "alignment": cut_alignment(row["alignment"], start, end),
            "speaker": span.speaker,
            "context": self._context(recording, number),
        }

    def _cut_video(self, recording: Recording, start: float, end: float) -> Any:
        """Return the part of the video of a span, None where it has ended."""
        source = recording.row["video"]
        if source is None:
            return None
        first, last = recording.video or (recording.start, np.inf)
        start, end = first + start, min(first + end, last)
        if end - start <= 0:
            return None
        if getattr(source, "ndim", 0) == 4:
            rate = self.reader.frames_per_second
            return source[int(start * rate) : max(int(start * rate) + 1, round(end * rate))]
        source = source if isinstance(source, Mapping) else {_key(source): source}
        return {**source, "start": start, "end": end}

    def _context(self, recording: Recording, number: int) -> list[Any] | None:
        """Return the turns before a span: those before the recording, and earlier spans as far as the model reads them."""
        reader, row = self.reader, recording.row
        given = self.options.get("context") if row["context"] is None else row["context"]
        count = max(reader.history, reader.earlier_turns)
        if not count or not isinstance(given, (list, tuple, type(None))):
            return given
        turns = list(given or ())
        for span in recording.earlier(number, count):
            turn = {"text": span.text, "speaker": span.speaker}
            if reader.history:
                start, end = span.start - recording.start, span.end - recording.start
                turn["video"] = self._cut_video(recording, start, end)
                if recording.clock == "audio":
                    samples = load_audio(row["audio"], reader.sampling_rate, span.start, span.end)
                    turn["audio"] = {"array": samples, "sampling_rate": reader.sampling_rate}
            elif span.text is None:
                logger.warning_once(
                    "This model reads the words of earlier turns, and windows without a text of their own have none: give "
                    "segments with their texts, or the text of the recording with the times of its words."
                )
            turns.append(turn)
        return turns if recording.spans[number].speaker is not None else without_speakers(turns)


def _key(source: Any) -> str:
    return "path" if isinstance(source, (str, os.PathLike)) else "bytes"
