"""Spans of long recordings: windows at regular distances, and segments that are given or found.

This file decides on times alone; it reads no recording.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from ..configuration.value_checks import is_number
from .media_files import SPAN_TOLERANCE

# Seconds: the shortest window and the shortest distance between windows. Less hardly contains a syllable.
SHORTEST = 0.1
EXACT = 1e-6  # seconds; times are rounded to it
SEGMENT = ("start", "end", "speaker", "text")


class Span(NamedTuple):
    """A part of a recording that is recognised by itself.

    Attributes:
        start: Its start in seconds.
        end: Its end in seconds.
        speaker: Its speaker, where a segment names one.
        text: Its transcript, where a segment gives one.
    """

    start: float
    end: float
    speaker: str | None = None
    text: str | None = None


def plan_windows(seconds: float, window_seconds: float, hop_seconds: float | None = None) -> list[Span]:
    """Return windows that cover a recording.

    All have the same length, and start every `hop_seconds`. The last one ends with the recording: where windows and
    recording do not end together, a window of full length is added that ends with the recording, and overlaps
    the one before it. A recording that is no longer than a window is one window.

    Args:
        seconds: The length of the recording.
        window_seconds: The length of a window, at least `SHORTEST`.
        hop_seconds: The distance between the starts of windows, from `SHORTEST` to `window_seconds`, so that nothing is left
            out between them; None means `window_seconds`, windows that follow each other.

    Raises:
        ValueError: If a length is out of range.
    """
    check_windows(window_seconds, hop_seconds)
    if not 0 < seconds < math.inf:
        raise ValueError(f"A recording of {seconds} s has no windows: its length must be positive and finite.")
    hop = window_seconds if hop_seconds is None else hop_seconds
    if seconds <= window_seconds + EXACT:
        return [Span(0.0, round(seconds, 6))]
    count = math.floor((seconds - window_seconds + EXACT) / hop) + 1
    starts = [number * hop for number in range(count)]
    if starts[-1] + window_seconds < seconds - EXACT:
        starts.append(seconds - window_seconds)
    return [Span(round(start, 6), round(min(start + window_seconds, seconds), 6)) for start in starts]


def check_windows(window_seconds: Any, hop_seconds: Any = None) -> None:
    """Check the length of windows and the distance between them.

    Args:
        window_seconds: See `plan_windows`.
        hop_seconds: See `plan_windows`.

    Raises:
        ValueError: If one is not a number, or out of range.
    """
    if not is_number(window_seconds) or window_seconds < SHORTEST:
        raise ValueError(f"window_seconds must be a number of at least {SHORTEST:g} seconds, not {window_seconds!r}.")
    if hop_seconds is not None and not (is_number(hop_seconds) and SHORTEST <= hop_seconds <= window_seconds):
        raise ValueError(
            f"hop_seconds must be a number from {SHORTEST:g} to window_seconds, {window_seconds:g}, so that nothing is left "
            f"out between windows, not {hop_seconds!r}."
        )


def plan_segments(segments: Iterable[Mapping[str, Any]], seconds: float, longest: float) -> list[Span]:
    """Return the spans of segments, in their order, which need not be that of time; they may overlap.

    A segment that is longer than `longest` is divided into parts of equal length. One that ends up to `SPAN_TOLERANCE`
    after the recording ends with it.

    Args:
        segments: Segments with `start` and `end` in seconds, and where known `speaker` and `text`.
        seconds: The length of the recording.
        longest: The length of the longest span in seconds.

    Raises:
        TypeError: If a segment is no mapping, or its speaker or text no string.
        ValueError: If a segment has other keys, is empty or outside the recording, or has a text and is longer than
            `longest`: a text without times cannot be divided.
    """
    spans = []
    for number, segment in enumerate(segments):
        span = _read_segment(segment, f"segments[{number}]", seconds)
        parts = split_span(span, longest)
        if span.text is not None and len(parts) > 1:
            raise ValueError(
                f"segments[{number}] lasts {span.end - span.start:.1f} s, longer than {longest:g} s, and its text has no "
                "times: divide it, or leave its text out."
            )
        spans += parts
    return spans


def split_span(span: Span, longest: float) -> list[Span]:
    """Return a span as the smallest number of equal parts that are no longer than `longest` seconds."""
    count = max(1, math.ceil((span.end - span.start - 2 * EXACT) / longest))  # both ends are rounded
    edges = [span.start + number * (span.end - span.start) / count for number in range(count)] + [span.end]
    return [span._replace(start=round(start, 6), end=round(end, 6)) for start, end in pairwise(edges)]


def _read_segment(segment: Any, name: str, seconds: float) -> Span:
    """Return a segment as a span, after a check."""
    if not isinstance(segment, Mapping):
        raise TypeError(f"{name} must be a dict with start and end in seconds, not {type(segment).__name__}.")
    if unknown := [key for key in segment if key not in SEGMENT]:
        raise ValueError(f"{name} has no key {', '.join(map(repr, unknown))}; its keys are {', '.join(SEGMENT)}.")
    start, end = segment.get("start"), segment.get("end")
    if not is_number(start) or not is_number(end) or not 0 <= start < end:
        raise ValueError(f"{name} is from {start!r} to {end!r} s: a segment needs numbers with 0 <= start < end.")
    for key in ("speaker", "text"):
        if not isinstance(segment.get(key), (str, type(None))):
            raise TypeError(f"{name} has a {key} that is {type(segment[key]).__name__}, not a string.")
    if start >= seconds or end > seconds + SPAN_TOLERANCE:
        raise ValueError(f"{name} is from {start:g} to {end:g} s, and the recording lasts {seconds:.3f} s.")
    return Span(float(start), min(float(end), seconds), segment.get("speaker"), segment.get("text"))
