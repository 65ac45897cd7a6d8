"""Decoder of videos: from a path, bytes or `datasets` dict to RGB frames at a given frame rate."""

import io
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from .face_crop import crop_to_face
from .media_files import (
    LARGEST_FRAME,
    PRE_ROLL,
    SPAN_TOLERANCE,
    AudioSource,
    check_span,
    import_av,
    joined,
    open_container,
    open_source,
    span_outside,
)
from .media_packets import Packets, estimated_seconds

VideoSource = AudioSource

FACE = "face"
CROPS = ("left", "right", FACE, f"left {FACE}", f"right {FACE}")

# Limits of the result (ours). Larger frames are scaled down while they are decoded: image processors make them smaller still.
MAX_PIXELS = 2**20  # of a frame
MAX_BYTES = 2**30  # of all frames: 6 minutes of 1280 x 720 pixels at one frame per second


def load_video(
    source: VideoSource,
    frames_per_second: float,
    start: float | None = None,
    end: float | None = None,
    crop: str | None = None,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Decode the frames of a video, or of a span of it, that are visible at evenly spaced times.

    Frame `k` is the one visible at `start + (k + 0.5) / frames_per_second` seconds, for all such times inside the
    span. A span too short for any gives its last frame. Time 0 is the first frame of the video. Only returned frames
    are kept in memory; frames of more than `MAX_PIXELS` pixels are scaled down to that number.

    Args:
        source: A path; the bytes of a file; or a dict `{"path": ..., "bytes": ...}`, where bytes take precedence and
            `"start"`, `"end"` and `"crop"` are optional.
        frames_per_second: The frame rate of the result; frames repeat if the video has fewer.
        start: The start of the span in seconds; None means the dict's `"start"` or the beginning.
        end: The end of the span in seconds; None means the dict's `"end"` or the end. A span that ends less than
            `SPAN_TOLERANCE` and one frame after the video is cut at the end of the video.
        crop: `"left"` or `"right"` half of a split screen, `"face"` for the face, or `"left face"` or `"right face"` for
            the face in that half, which is returned if no face is found; None means the dict's `"crop"` or the whole
            frame.
        max_seconds: The maximum length of the span in seconds; None means no limit.

    Returns:
        Frames `(frames, height, width, 3)`, RGB, uint8.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, damaged, truncated or has no video; the span is empty or outside the video;
            its frames take more than `MAX_BYTES`; or the crop is unknown.
        ImportError: If PyAV is not installed, or scikit-image for a face.
    """
    name = "the video"
    if isinstance(source, Mapping):
        start = source.get("start") if start is None else start
        end = source.get("end") if end is None else end
        crop = source.get("crop") if crop is None else crop
        name = str(source.get("path") or name)
    if crop not in (None, *CROPS):
        raise ValueError(f"{name} cannot be cropped to {crop!r}: choose {', '.join(CROPS)}, or None.")
    check_span(name, start or 0.0, end, max_seconds)
    if not 0 < frames_per_second < math.inf:
        raise ValueError(f"{name} cannot be sampled at {frames_per_second} frames per second: give a positive number.")
    half, on_face = (crop or "").removesuffix(FACE).strip(), (crop or "").endswith(FACE)
    file, name = open_source(source, name)
    with file, open_container(file, name) as container:
        sampled = _sample_frames(file, container, name, frames_per_second, start or 0.0, end, max_seconds)
        frames, size, last = [], 0, None
        for frame in sampled:
            frames.append(frames[-1] if frame is last else _as_array(frame, half))
            last = frame
            size += frames[-1].nbytes
            if size > MAX_BYTES:
                raise ValueError(
                    f"{name} has too many frames: {len(frames)} take {size / 2**30:.1f} GB; give a span, max_seconds or fewer "
                    "frames per second."
                )
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"{name} has frames of different sizes: convert it to one size.")
    stacked = np.stack(frames)
    return crop_to_face(stacked) if on_face else stacked


def video_seconds(source: VideoSource) -> float | None:
    """Return the length of a video without decoding it: the time stamps of its last second are read.

    `load_video` finds the same end, up to `SPAN_TOLERANCE` and one frame.

    Args:
        source: As in `load_video`; a `"start"` and `"end"` are ignored.

    Returns:
        Seconds; None if the file does not state it.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, damaged, has no video, or lasts 0 s.
        ImportError: If PyAV is not installed.
    """
    file, name = open_source(source, "the video")
    with file, open_container(file, name) as container:
        stream = _video_stream(container, name)
        seconds = estimated_seconds(container, stream)
        if not seconds:
            return None
        av, origin = import_av(name), (stream.start_time or 0) * stream.time_base
        try:
            if seconds > 2:
                container.seek(int((origin + Fraction(seconds) - 1) / stream.time_base), stream=stream)
            length = 0 if not stream.average_rate else 1 / stream.average_rate
            ends = [
                packet.pts * packet.time_base + (packet.duration * packet.time_base or length) - origin
                for packet in container.demux(stream)
                if packet.pts is not None
            ]
        except av.FFmpegError:  # reported when it is decoded
            ends = []
    seconds = float(max(ends, default=seconds))
    if seconds <= 0:
        raise ValueError(f"{name} lasts {seconds:.3f} s: it is empty.")
    return seconds


def count_frames(seconds: float, frames_per_second: float) -> int:
    """Return the number of frames that `load_video` gives for a span of `seconds`."""
    return max(1, math.ceil(seconds * frames_per_second - 0.5))


def _sample_frames(
    file: io.BufferedIOBase,
    container: Any,
    name: str,
    rate: float,
    start: float,
    end: float | None,
    max_seconds: float | None,
) -> Iterator[Any]:
    """Yield the frames visible at evenly spaced times, each before the next one is decoded."""
    stream = _video_stream(container, name)
    stop = min(math.inf if end is None else end, math.inf if max_seconds is None else start + max_seconds)
    count, shown, until, length = 0, None, 0.0, 1 / float(stream.average_rate or rate)
    packets = Packets(file, container, stream, name)
    for time, frame in _frames_from(packets, start):
        while start + (count + 0.5) / rate < min(time, stop):
            yield shown or frame
            count += 1
        if shown and time >= stop:
            break
        shown, until = frame, time + (float(frame.duration * stream.time_base) or length)
    else:
        packets.check_end(until, "video")
        if start >= until or (end is not None and end > until + SPAN_TOLERANCE + length):
            raise span_outside(name, start, end, until)
        while start + (count + 0.5) / rate < min(until, stop):
            yield shown
            count += 1
    if not count:
        yield shown


def _video_stream(container: Any, name: str) -> Any:
    if not container.streams.video:
        raise ValueError(f"{name} has no video stream.")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ValueError(f"{name} has video in a format that PyAV cannot decode: convert it to mp4.")
    if stream.width * stream.height > LARGEST_FRAME:
        raise ValueError(
            f"{name} has frames of {stream.width} x {stream.height} pixels, more than {LARGEST_FRAME}: make it smaller."
        )
    stream.codec_context.options = {
        "max_pixels": str(LARGEST_FRAME)
    }  # the header may state other sizes than the frames have
    return stream


def _frames_from(packets: Packets, start: float) -> Iterator[tuple[float, Any]]:
    """Yield frames with their times in seconds, beginning with the last frame before `start` or an earlier one."""
    stream = packets.stream
    origin, time = stream.start_time or 0, 0.0
    if start > PRE_ROLL:
        target = origin + int((start - PRE_ROLL) / stream.time_base)
        first = next(packets.decode(), None) if packets.seek(target) else None
        too_far = first is None or first.pts is None or (first.pts - origin) * stream.time_base > start
        packets.seek(0 if too_far else target)
    for frame in packets.decode():
        before = time
        if frame.pts is not None:
            time = float((frame.pts - origin) * stream.time_base)
        if time < before - 0.5:
            raise joined(packets.name)
        yield time, frame


def _as_array(frame: Any, crop: str) -> np.ndarray:
    """Return the upright image `(height, width, 3)`, or half of it, with at most `MAX_PIXELS` before it is halved."""
    rotation, shrink = frame.rotation, math.sqrt(MAX_PIXELS / (frame.width * frame.height))
    if shrink < 1:
        frame = frame.reformat(max(1, int(frame.width * shrink)), max(1, int(frame.height * shrink)), "rgb24")
    image = np.rot90(frame.to_ndarray(format="rgb24"), rotation // 90)  # phones store videos rotated
    half = image.shape[1] // 2
    if crop == "left":
        return image[:, :half]
    return image[:, -half:] if crop == "right" else image
