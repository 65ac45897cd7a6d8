"""The decoder of moving pictures: path, bytes or `datasets` dict in, RGB frames evenly spaced in time out."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .media import (
    PRE_ROLL,
    SPAN_TOLERANCE,
    AudioSource,
    check_span,
    import_av,
    open_container,
    open_file,
    span_outside,
)

VideoSource = AudioSource

CROPS = ("left", "right")


def load_video(
    source: VideoSource,
    frames_per_second: float,
    start: float | None = None,
    end: float | None = None,
    crop: str | None = None,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Decodes the pictures of a film, or of a span of it, that are on the screen at evenly spaced times.

    Picture `k` is the one shown at `start + (k + 0.5) / frames_per_second` seconds, for all such times inside the span; a
    span that is too short for any gives its last picture. Time 0 is the film's first picture. Only the pictures that are
    returned are held in memory.

    Args:
        source: A path; the bytes of a file; or a dict `{"path": ..., "bytes": ...}`, of which the bytes win and which may
            carry `"start"`, `"end"` and `"crop"`.
        frames_per_second: Pictures per second of the result; more than the film has are repeated.
        start: Where the span begins, in seconds; None is the beginning (or the dict's `"start"`).
        end: Where the span ends, in seconds; None is the end (or the dict's `"end"`). A span that ends less than
            `SPAN_TOLERANCE` and one picture after the film is cut at the film's end.
        crop: `"left"` or `"right"` half of a split screen; None is all of it (or the dict's `"crop"`).
        max_seconds: Longer spans are cut here; None never cuts.

    Returns:
        Pictures `(frames, height, width, 3)`, RGB, uint8.

    Raises:
        FileNotFoundError: The file does not exist.
        TypeError: `source` is none of the forms above.
        ValueError: The file is empty, damaged, truncated or has no pictures; the span is empty or outside the film; or
            there is no such crop.
        ImportError: PyAV is not installed.
    """
    name = "the video"
    if isinstance(source, Mapping):
        start = source.get("start") if start is None else start
        end = source.get("end") if end is None else end
        crop = source.get("crop") if crop is None else crop
        name = str(source.get("path") or name)
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    if crop not in (None, *CROPS):
        raise ValueError(f"{name} cannot be cropped to {crop!r}: choose 'left', 'right' or None.")
    check_span(name, start or 0.0, end)
    file, name = open_file(source, name)
    with file, open_container(file, name) as container:
        shown = _on_screen(container, name, frames_per_second, start or 0.0, end, max_seconds)
        pictures = [_as_array(frame, crop) for frame in shown]
    if len({picture.shape for picture in pictures}) > 1:
        raise ValueError(f"{name} changes the size of its pictures on the way: convert it to one size.")
    return np.stack(pictures)


def count_frames(seconds: float, frames_per_second: float) -> int:
    """How many pictures `load_video` gives of so many seconds."""
    return max(1, math.ceil(seconds * frames_per_second - 0.5))


def _on_screen(
    container: Any, name: str, rate: float, start: float, end: float | None, max_seconds: float | None
) -> Iterator[Any]:
    """The frames that are shown at the wanted times, each given out before the next is decoded."""
    if not container.streams.video:
        raise ValueError(f"{name} has no pictures.")
    stream = container.streams.video[0]
    stop = min(math.inf if end is None else end, math.inf if max_seconds is None else start + max_seconds)
    count, shown, until, length = 0, None, 0.0, 1 / float(stream.average_rate or rate)
    for time, frame in _frames_from(container, stream, name, start):
        while start + (count + 0.5) / rate < min(time, stop):
            yield shown or frame
            count += 1
        if shown and time >= stop:
            break
        shown, until = frame, time + (float(frame.duration * stream.time_base) or length)
    else:
        # Only these containers state how long the film is; for the others FFmpeg guesses from the bit rate.
        stated = stream.duration if container.format.name.startswith(("mov", "avi")) else None
        if stated and until < float(stated * stream.time_base) - PRE_ROLL - length:
            raise ValueError(f"{name} is truncated: its pictures break off after {until:.2f} s.")
        if start >= until or (end is not None and end > until + SPAN_TOLERANCE + length):
            raise span_outside(name, start, end, until)
        while start + (count + 0.5) / rate < min(until, stop):
            yield shown
            count += 1
    if not count:
        yield shown


def _frames_from(container: Any, stream: Any, name: str, start: float) -> Iterator[tuple[float, Any]]:
    """The frames from the last one before `start` or earlier, each with the time in seconds from which it is shown."""
    av, origin, time = import_av(name), stream.start_time or 0, 0.0
    try:
        if start > PRE_ROLL:
            target = origin + int((start - PRE_ROLL) / stream.time_base)
            container.seek(target, stream=stream)
            first = next(container.decode(stream), None)
            too_far = first is None or first.pts is None or (first.pts - origin) * stream.time_base > start
            container.seek(0 if too_far else target, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None:
                time = float((frame.pts - origin) * stream.time_base)
            yield time, frame
    except av.FFmpegError as error:
        raise ValueError(f"{name} is truncated or damaged: it cannot be decoded after {time:.2f} s.") from error


def _as_array(frame: Any, crop: str | None) -> np.ndarray:
    """The picture `(height, width, 3)` upright, or half of it."""
    picture = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)  # as telephones are held
    half = picture.shape[1] // 2
    if crop == "left":
        return picture[:, :half]
    return picture[:, -half:] if crop == "right" else picture
