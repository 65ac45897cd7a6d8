"""Audio in containers (mp4, m4a, webm, mkv, avi, wma, ...), read with PyAV."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from .media_files import PRE_ROLL, check_rate, import_av, open_container, truncated

# Seconds before the end from which a recording is decoded to measure its length.
LAST = 1.0


class Block(NamedTuple):
    """Consecutive samples of a recording.

    Attributes:
        samples: One channel, `(samples,)`, float32.
        rate: Their sampling rate in Hz.
        first: The number of the first sample since the beginning of the recording, at this rate.
    """

    samples: np.ndarray
    rate: int
    first: int


class EndsWithError(Exception):
    """The last packets of a stream cannot be decoded."""


def read_container(file: io.BufferedIOBase, name: str, start: float) -> Iterator[Block]:
    """Yield the first audio stream in blocks; time 0 is its first decoded sample.

    Args:
        file: The file.
        name: Its name for errors.
        start: The start of the span in seconds; the first block begins there or before.

    Yields:
        The blocks.

    Raises:
        ValueError: If there is no audio stream, or it is truncated or damaged.
        ImportError: If PyAV is not installed.
    """
    av = import_av(name)
    with open_container(file, name) as container:
        stream = _audio_stream(container, name)
        # Time is counted in seconds up to the last change of the rate, and in samples since.
        seconds, samples, rate, kind, to_float = 0.0, 0, None, None, None
        try:
            frames = decode_stream(av, container, stream)
            head = next(frames, None)
            if start > PRE_ROLL and _has_clock(container, head):
                seconds, head, frames = _seek(av, container, stream, head, start)
            for frame in chain([head] if head is not None else [], frames):
                if kind != (frame.sample_rate, frame.layout.name, frame.format.name):
                    kind = frame.sample_rate, frame.layout.name, frame.format.name
                    to_float = av.AudioResampler(format="fltp")
                if frame.sample_rate != rate:
                    check_rate(frame.sample_rate, name)
                    seconds, samples, rate = seconds + (samples / rate if rate else 0.0), 0, frame.sample_rate
                for block in [frame] if frame.format.name == "fltp" else to_float.resample(frame):
                    array = block.to_ndarray().mean(axis=0)
                    yield Block(array, rate, round(seconds * rate) + samples)
                    samples += len(array)
        except (av.FFmpegError, EndsWithError) as error:
            position = seconds + samples / (rate or 1)
            stated = stated_seconds(container, stream)
            # Bytes behind the last frame do no harm.
            if not isinstance(error, EndsWithError) or stated is None or not rate or position < stated - PRE_ROLL:
                raise ValueError(
                    f"{name} is truncated or damaged: it cannot be decoded after {position:.2f} s."
                ) from error
        # Only these containers state the duration; for others FFmpeg estimates it from the bit rate.
        stated = stated_seconds(container, stream) if container.format.name.startswith(("mov", "avi")) else None
        position = seconds + samples / (rate or 1)
        if stated is not None and position < stated - PRE_ROLL:
            raise truncated(name, position)


def container_seconds(file: io.BufferedIOBase, name: str) -> float | None:
    """Return the length of the first audio stream. Its last second is decoded, since headers are not exact.

    Args:
        file: The file.
        name: Its name for errors.

    Returns:
        Seconds; None if the file does not state about how long it is.

    Raises:
        ValueError: If there is no audio stream.
        ImportError: If PyAV is not installed.
    """
    av = import_av(name)
    with open_container(file, name) as container:
        stream = _audio_stream(container, name)
        stated, end = stated_seconds(container, stream), None
        try:
            frames = decode_stream(av, container, stream)
            head = next(frames, None)
            if head is None:
                return 0.0
            if stated is None or not _has_clock(container, head):
                return None
            end = 0.0
            if stated > 2 * LAST:
                end, head, frames = _seek(av, container, stream, head, stated - LAST)
            for frame in chain([head], frames):
                end += frame.samples / frame.sample_rate
        except (av.FFmpegError, EndsWithError):  # reported when it is decoded
            pass
        return stated if end is None else round(end, 6)


def _audio_stream(container: Any, name: str) -> Any:
    if not container.streams.audio:
        raise ValueError(f"{name} has no audio stream.")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise ValueError(f"{name} has audio in a format that PyAV cannot decode: convert it to wav.")
    if stream.sample_rate:
        check_rate(stream.sample_rate, name)
    return stream


def stated_seconds(container: Any, stream: Any) -> float | None:
    """Return the length of a stream as stated in the file, or as FFmpeg estimates it; None if unknown."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _has_clock(container: Any, head: Any | None) -> bool:
    """Return whether time stamps count from the beginning; those of MPEG streams begin anew in joined files."""
    return head is not None and head.pts is not None and not container.format.name.startswith("mpeg")


def _seek(av: Any, container: Any, stream: Any, head: Any, start: float) -> tuple[float, Any, Iterator[Any]]:
    """Go to a frame at `start` or before.

    Args:
        av: PyAV.
        container: The container.
        stream: The stream.
        head: The first frame of the stream.
        start: Seconds since the first frame.

    Returns:
        The time of the frame in seconds, the frame, and the frames that follow.
    """
    origin = int(head.pts * head.time_base / stream.time_base)
    try:
        container.seek(origin + int((start - PRE_ROLL) / stream.time_base), stream=stream)
        frames = decode_stream(av, container, stream)
        found = next(frames, None)
        if found is not None and found.pts is not None:
            seconds = _on_grid(float((found.pts - head.pts) * found.time_base), head, found)
            if 0 <= seconds <= start:
                return seconds, found, frames
    except (av.FFmpegError, EndsWithError):
        pass
    container.seek(origin, stream=stream)  # the index is missing or damaged
    frames = decode_stream(av, container, stream)
    found = next(frames, None)
    if found is None:
        raise EndsWithError
    return 0.0, found, frames


def _on_grid(seconds: float, head: Any, found: Any) -> float:
    """Return the time of a frame to the sample, from one in milliseconds: all frames but the first are equally long."""
    samples = seconds * found.sample_rate - head.samples
    exact = round(samples / found.samples) * found.samples
    near = abs(samples - exact) <= 2 * found.time_base * found.sample_rate < found.samples
    return (head.samples + exact) / found.sample_rate if near else seconds


def decode_stream(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """Yield frames; errors count only behind the first frame, because the one before a cut or seek may be missing.

    Args:
        av: PyAV.
        container: The container.
        stream: The stream.

    Yields:
        The frames.

    Raises:
        av.FFmpegError: If frames follow what cannot be decoded.
        EndsWithError: If nothing follows it.
    """
    failed, seen = None, False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = [] if packet is None else packet.decode()
        except av.FFmpegError as error:
            failed = failed or error
            continue
        if packet is None:
            break
        for frame in frames:
            if failed is not None and seen:
                raise failed
            failed, seen = None, True
            yield frame
    if failed is not None:
        raise EndsWithError from failed
