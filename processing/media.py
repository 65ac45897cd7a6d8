"""Decoder of audio files: from a path, bytes or `datasets` dict to a mono float32 waveform at a given sampling rate.

The cost of a span depends on the span only, where the format can seek. Decoding is in blocks, so memory is that of the
result. This file is part of every checkpoint: importing it needs numpy only, and the decoders are imported where they are
used.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np

from ..configuration.plain_text import first_line
from .media_files import (
    LONGEST,
    SPAN_TOLERANCE,
    AudioSource,
    check_rate,
    check_span,
    open_source,
    span_outside,
    too_long,
)
from .media_readers import Block, count_channels, read_blocks, recording_seconds

# Amplitude below which a recording is silent: -80 dB of full scale (ours).
SILENCE = 1e-4


def load_audio(
    source: AudioSource,
    sampling_rate: int,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Decode a recording, or a span of it, to one channel at `sampling_rate`.

    Channels are averaged, unless one is chosen. Parts with another sampling rate are resampled with soxr (HQ).

    Args:
        source: A path; the bytes of a file; a dict as in `datasets`: `{"path": ..., "bytes": ...}`, where bytes take
            precedence, `"start"` and `"end"` may give a span and `"channel"` the number of a channel, 1 for the first; or
            `{"array": ..., "sampling_rate": ...}`; or an `AudioDecoder` of torchcodec, as `datasets.Audio` gives it.
        sampling_rate: The sampling rate of the result in Hz.
        start: The start of the span in seconds; None means the dict's `"start"` or the beginning.
        end: The end of the span in seconds; None means the dict's `"end"` or the end. A span that ends less than
            `SPAN_TOLERANCE` after the file is cut at the end of the file.
        max_seconds: The maximum length of the span in seconds, from its start; nothing behind it is decoded, and the
            file may be shorter. None means no limit but that of `LONGEST` seconds, above which a recording is refused.

    Returns:
        The waveform `(samples,)`, float32, with at least one sample.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, damaged, truncated, too long or has no audio; the span is empty or outside the
            file; or samples are not finite.
        ImportError: If the library for this format is not installed.
    """
    check_rate(sampling_rate, "The requested waveform")
    name, start, end = _span_of(source, start, end)
    check_span(name, start, end, max_seconds)
    with closing(_open_blocks(source, name, start, end, max_seconds)) as blocks:
        return _join(blocks, name, start, end, max_seconds, sampling_rate)


def stream_audio(
    source: AudioSource, sampling_rate: int, start: float | None = None, end: float | None = None
) -> Iterator[np.ndarray]:
    """Yield a recording, or a span of it, in blocks: of a file, one at a time is in memory.

    Args:
        source: As in `load_audio`.
        sampling_rate: The sampling rate of the blocks in Hz.
        start: As in `load_audio`.
        end: As in `load_audio`.

    Yields:
        Consecutive parts of the waveform `(samples,)`, float32; together what `load_audio` returns.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, damaged, truncated or has no audio; the span is empty or outside the file; or
            samples are not finite.
        ImportError: If the library for this format is not installed.
    """
    check_rate(sampling_rate, "The requested waveform")
    name, start, end = _span_of(source, start, end)
    check_span(name, start, end)
    with closing(_open_blocks(source, name, start, end, None)) as blocks:
        for part in _resample(blocks, name, start, end, None, sampling_rate):
            if len(part):
                yield as_waveform(part, name)


def audio_seconds(source: AudioSource) -> float | None:
    """Return the length of a recording without decoding it: packets are counted, and the last ones decoded.

    `load_audio` gives waveforms of this length, up to `SPAN_TOLERANCE`.

    Args:
        source: As in `load_audio`; a `"start"` and `"end"` are ignored.

    Returns:
        Seconds; None if neither the file nor its packets state it.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, no audio or video file, has no audio, or lasts 0 s.
        ImportError: If the library for this format is not installed.
    """
    name = "the audio"
    if isinstance(source, Mapping) and source.get("array") is not None:
        return len(source["array"]) / _rate_of(source, name)
    if is_decoder(source):
        return source.metadata.duration_seconds
    file, name = open_source(source, name)
    with file:
        seconds = recording_seconds(file, name)
    if seconds is not None and seconds <= 0:
        raise ValueError(f"{name} lasts {seconds:.3f} s: it is empty.")
    return seconds


def audio_channels(source: AudioSource) -> int:
    """Return the number of channels of a recording, without decoding it.

    Args:
        source: A file, as in `load_audio`, or a dict with one; a waveform has one channel.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, no audio or video file, or has no audio.
        ImportError: If the library for this format is not installed.
    """
    if isinstance(source, Mapping) and source.get("array") is not None:
        return 1
    file, name = open_source(source, "the audio")
    with file:
        return count_channels(file, name)


def check_audio(source: AudioSource, start: float | None = None, end: float | None = None) -> tuple[float, float]:
    """Decode a recording, or a span of it, without keeping it: its length does not matter.

    Args:
        source: As in `load_audio`, a file or a dict with one.
        start: As in `load_audio`.
        end: As in `load_audio`.

    Returns:
        The length of the span in seconds, and its amplitude: half of its range, so that a constant offset does not count.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, damaged, truncated or has no audio; the span is empty or outside the file; or
            samples are not finite.
        ImportError: If the library for this format is not installed.
    """
    name, start, end = _span_of(source, start, end)
    check_span(name, start, end)
    file, name = open_source(source, name)
    seconds, low, high = 0.0, math.inf, -math.inf
    with file, closing(read_blocks(file, name, start, _channel_of(source, name))) as blocks:
        for samples, rate in _cut(blocks, name, start, end, None):
            if len(samples):
                waveform = as_waveform(samples, name)
                low, high = min(low, float(waveform.min())), max(high, float(waveform.max()))
                seconds += len(samples) / rate
    if not seconds:
        raise ValueError(f"{name} has no samples.")
    return round(seconds, 6), (high - low) / 2


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether the amplitude of a waveform `(samples,)`, half of its range, is below `SILENCE`."""
    return not len(waveform) or float(np.ptp(waveform)) / 2 < SILENCE


def is_decoder(source: Any) -> bool:
    """Return whether `source` is an `AudioDecoder` of torchcodec."""
    return hasattr(source, "get_samples_played_in_range")


def as_waveform(samples: Any, name: str) -> np.ndarray:
    """Return `samples` as a waveform; raise unless they are one channel of finite floating-point numbers.

    Args:
        samples: An array, tensor on the CPU or list of floats, `(samples,)`.
        name: The name of the waveform in errors.

    Returns:
        The waveform `(samples,)`, float32.

    Raises:
        TypeError: If the values are not floating-point numbers.
        ValueError: If the samples are not one-dimensional, empty, or not finite.
    """
    try:
        array = np.asarray(samples)
    except ValueError as error:  # raised by numpy for rows of different lengths
        raise ValueError(f"{name} must be one list of numbers, not lists of different lengths.") from error
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one channel of shape (samples,), not {array.shape}: average the channels of stereo, and "
            "give a batch as a list of 1-D arrays."
        )
    if array.size == 0:
        raise ValueError(f"{name} has no samples.")
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{name} must be floating-point samples in [-1, 1], not {array.dtype}: divide 16-bit integers by 32768."
        )
    waveform = array.astype(np.float32, copy=False)
    if not np.isfinite(waveform).all():
        raise ValueError(f"{name} has samples that are not finite (NaN or infinity).")
    return waveform


def _span_of(source: Any, start: float | None, end: float | None) -> tuple[str, float, float | None]:
    """Return the name of a source and its span in seconds, which a dict may give."""
    name = "the audio"
    if isinstance(source, Mapping):
        start = source.get("start") if start is None else start
        end = source.get("end") if end is None else end
        name = str(source.get("path") or name)
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
    return name, 0.0 if start is None else start, end


def _channel_of(source: Any, name: str) -> int | None:
    """Return the number of the channel that a dict gives; None for all."""
    channel = source.get("channel") if isinstance(source, Mapping) else None
    if channel is not None and (not isinstance(channel, int) or isinstance(channel, bool) or channel < 1):
        raise ValueError(f"{name}: channel must be a whole number from 1, not {channel!r}.")
    return channel


def _rate_of(source: Mapping, name: str) -> int:
    rate = source.get("sampling_rate")
    if rate is None:
        raise ValueError("A dict with an audio 'array' must also give its 'sampling_rate' in Hz.")
    check_rate(rate, name)
    return rate


def _open_blocks(
    source: Any, name: str, start: float, end: float | None, max_seconds: float | None
) -> Iterator[Block]:
    """Yield the blocks of any source; the first one begins at `start` or before."""
    if isinstance(source, Mapping) and source.get("array") is not None:
        if source.get("channel") is not None:
            raise ValueError(f"{name} is an array, of one channel: 'channel' is for files.")
        yield Block(as_waveform(source["array"], name), _rate_of(source, name), 0)
    elif is_decoder(source):
        stop = min(math.inf if end is None else end, math.inf if max_seconds is None else start + max_seconds)
        yield _read_decoder(source, name, start, stop)
    else:
        file, name = open_source(source, name)
        with file, closing(read_blocks(file, name, start, _channel_of(source, name))) as blocks:
            yield from blocks


def _read_decoder(source: Any, name: str, start: float, stop: float) -> Block:
    """Return the span of a torchcodec decoder."""
    try:
        samples = source.get_samples_played_in_range(start, None if stop == math.inf else stop)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"{name} cannot be decoded from {start} s by torchcodec: {first_line(error)}") from error
    check_rate(samples.sample_rate, name)
    return Block(samples.data.mean(dim=0).numpy(), samples.sample_rate, round(start * samples.sample_rate))


def _join(
    blocks: Iterable[Block], name: str, start: float, end: float | None, max_seconds: float | None, sampling_rate: int
) -> np.ndarray:
    """Return the span as one waveform at `sampling_rate`."""
    parts, samples = [np.zeros(0, np.float32)], 0
    for part in _resample(blocks, name, start, end, max_seconds, sampling_rate):
        parts.append(part)
        samples += len(part)
        if samples > LONGEST * sampling_rate:
            raise too_long(name)
    return as_waveform(np.concatenate(parts), name)


def _resample(
    blocks: Iterable[Block], name: str, start: float, end: float | None, max_seconds: float | None, sampling_rate: int
) -> Iterator[np.ndarray]:
    """Yield the span in parts at `sampling_rate`, some of which are empty."""
    nothing = np.zeros(0, np.float32)
    given, made, last, stream = 0, 0, None, None
    for samples, rate in _cut(blocks, name, start, end, max_seconds):
        if rate != last:
            if stream is not None:
                yield stream.resample_chunk(nothing, last=True)
            last, stream = rate, _resampler(rate, sampling_rate)
        part = samples if stream is None else stream.resample_chunk(samples)
        given, made = given + len(samples), made + len(part)
        yield part
    rest = nothing if stream is None else stream.resample_chunk(nothing, last=True)
    if given and not made + len(rest):
        raise ValueError(f"{name} is shorter than one sample at {sampling_rate} Hz: it has no samples.")
    yield rest


def _cut(
    blocks: Iterable[Block], name: str, start: float, end: float | None, max_seconds: float | None
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the samples of a span with their sampling rates; blocks behind it are not read."""
    seconds = 0.0
    for samples, rate, at in blocks:
        first, last = _span_in_samples(name, start, end, max_seconds, rate)
        behind = at + len(samples)
        seconds = behind / rate
        yield samples[max(0, first - at) : max(0, min(last, behind) - at)], rate
        if behind >= last:
            return
    if (start and start >= seconds) or (end is not None and seconds and end > seconds + SPAN_TOLERANCE):
        raise span_outside(name, start, end, seconds)


def _span_in_samples(
    name: str, start: float, end: float | None, max_seconds: float | None, rate: int
) -> tuple[int, float]:
    """Return the first sample of a span and the one behind its end, or infinity."""
    first, last = round(start * rate), math.inf
    if end is not None:
        last = round(end * rate)
        if last <= first:
            raise ValueError(f"{name} cannot be cut from {start} s to {end} s: this is shorter than one sample.")
    if max_seconds is not None and max_seconds < math.inf:
        last = min(last, first + max(1, round(max_seconds * rate)))
    return first, last


def _resampler(rate: int, sampling_rate: int) -> Any | None:
    """Return a stream that resamples; None if the rates are equal."""
    if rate == sampling_rate:
        return None
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            f"Resampling audio from {rate} Hz to {sampling_rate} Hz needs soxr: `pip install soxr`."
        ) from error
    return soxr.ResampleStream(rate, sampling_rate, 1, dtype="float32", quality="HQ")
