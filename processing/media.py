"""Decoder of audio files: from a path, bytes or `datasets` dict to a mono float32 waveform at a given sampling rate.

soundfile reads wav, flac, ogg and mp3; PyAV reads all other formats (mp4, m4a, avi, mkv, webm, ...). Both can seek, so
the cost of a span of a long recording depends on the span only. This file is part of every checkpoint: importing it
needs numpy only, and the decoders are imported where they are used.
"""

import io
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Seconds by which a span may end after the file, because time stamps in corpora are rounded.
SPAN_TOLERANCE = 0.05

# Seconds decoded before a seek point: transform codecs (AAC, MP3, Opus) need the frames before it.
PRE_ROLL = 0.25

# FFmpeg also reads playlists, which name further files and URLs; these must never be opened.
CONTAINERS = "mov,matroska,avi,mp3,aac,wav,w64,flac,ogg,aiff,au,caf,asf,amr,flv,mpegts,mpeg"

# Peak amplitude below which a recording is silent: -80 dB of full scale (ours).
SILENCE = 1e-4

AudioSource = str | os.PathLike | bytes | Mapping[str, Any]


def load_audio(
    source: AudioSource,
    sampling_rate: int,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Decode a recording, or a span of it, to one channel at `sampling_rate`.

    Channels are averaged. Files with another sampling rate are resampled with soxr (HQ).

    Args:
        source: A path; the bytes of a file; or a dict as in `datasets`: `{"path": ..., "bytes": ...}`, where bytes
            take precedence and `"start"` and `"end"` may give a span, or `{"array": ..., "sampling_rate": ...}`.
        sampling_rate: The sampling rate of the result in Hz.
        start: The start of the span in seconds; None means the dict's `"start"` or the beginning.
        end: The end of the span in seconds; None means the dict's `"end"` or the end. A span that ends less than
            `SPAN_TOLERANCE` after the file is cut at the end of the file.
        max_seconds: The maximum length of the span in seconds, from its start; nothing behind it is decoded, and the
            file may be shorter. None means no limit.

    Returns:
        The waveform `(samples,)`, float32, with at least one sample.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, damaged, truncated or has no audio; the span is empty or outside the file; or
            samples are not finite.
        ImportError: If the library for this format is not installed.
    """
    name = "the audio"
    if isinstance(source, Mapping):
        start = source.get("start") if start is None else start
        end = source.get("end") if end is None else end
        if source.get("array") is not None:
            waveform, rate = as_waveform(source["array"], name), source.get("sampling_rate")
            if not rate:
                raise ValueError("A dict with an audio 'array' must also give its 'sampling_rate' in Hz.")
            first, last = _span_in_samples(name, start, end, rate, len(waveform), max_seconds)
            return as_waveform(_resample(waveform[first:last], rate, sampling_rate), name)
        name = os.fspath(source.get("path") or name)
        source = source.get("path") if source.get("bytes") is None else source["bytes"]

    file, name = open_file(source, name)
    with file:
        decoded = _read_with_soundfile(file, name, start, end, max_seconds)
        if decoded is None:
            file.seek(0)
            decoded = _read_with_av(file, name, start, end, max_seconds)
    samples, rate = decoded
    return as_waveform(_resample(as_waveform(samples, name), rate, sampling_rate), name)


def audio_seconds(source: AudioSource) -> float | None:
    """Return the length of a recording without decoding it.

    Args:
        source: A path; the bytes of a file; or a dict as in `load_audio`, whose `"start"` and `"end"` are ignored.

    Returns:
        Seconds; None if the file does not tell.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, no audio or video file, has no audio, or lasts 0 s.
        ImportError: If the library for this format is not installed.
    """
    name = "the audio"
    if isinstance(source, Mapping):
        if source.get("array") is not None:
            return len(source["array"]) / source["sampling_rate"]
        name = os.fspath(source.get("path") or name)
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    file, name = open_file(source, name)
    soundfile = _import_soundfile()
    with file:
        try:
            with soundfile.SoundFile(file) as sound:
                return _positive(sound.frames / sound.samplerate, name)
        except soundfile.LibsndfileError:
            file.seek(0)
        return _container_seconds(file, name, "audio")


def video_seconds(source: AudioSource) -> float | None:
    """Return the length of a video without decoding it; see `audio_seconds`."""
    name = "the video"
    if isinstance(source, Mapping):
        name = os.fspath(source.get("path") or name)
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    file, name = open_file(source, name)
    with file:
        return _container_seconds(file, name, "video")


def _container_seconds(file: io.BufferedIOBase, name: str, kind: str) -> float | None:
    with open_container(file, name) as container:
        streams = getattr(container.streams, kind)
        if not streams:
            raise ValueError(f"{name} has no {kind} stream.")
        if streams[0].duration is None:
            return None if container.duration is None else _positive(container.duration / 1e6, name)
        return _positive(float(streams[0].duration * streams[0].time_base), name)


def _positive(seconds: float, name: str) -> float:
    if seconds <= 0:
        raise ValueError(f"{name} lasts {seconds:.3f} s: it is empty.")
    return seconds


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether the peak amplitude of a waveform `(samples,)` is below `SILENCE`."""
    return float(np.abs(waveform).max(initial=0.0)) < SILENCE


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


def open_file(source: Any, name: str) -> tuple[io.BufferedIOBase, str]:
    """Open a media file for a decoder.

    Args:
        source: A path, or the bytes of a file.
        name: The name to use in errors if the source is bytes.

    Returns:
        The file, and its name for errors.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty or a folder.
    """
    if isinstance(source, bytes):
        file = io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        path, name = Path(source), os.fspath(source)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist.")
        if not path.is_file():
            raise ValueError(f"{path} is a folder, not an audio or video file.")
        file = path.open("rb")
    else:
        raise TypeError(
            f"{name} must be a path, the bytes of a file, or a dict with one of them ('path', 'bytes') or, for audio, "
            f"'array' and 'sampling_rate', not {type(source).__name__}."
        )
    if not file.read(1):
        file.close()
        raise ValueError(f"{name} is empty (0 bytes).")
    file.seek(0)
    return file, name


def import_av(name: str) -> Any:
    """Import PyAV to read the file `name`, and return the module.

    Raises:
        ImportError: If PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(f"Reading {name} needs PyAV: `pip install av`.") from error
    return av


def open_container(file: io.BufferedIOBase, name: str) -> Any:
    """Open a file with PyAV.

    Raises:
        ValueError: If the format is not one of `CONTAINERS`, or the file is damaged.
    """
    av = import_av(name)
    try:
        return av.open(file, options={"format_whitelist": CONTAINERS})
    except av.FFmpegError as error:
        raise ValueError(f"{name} is not an audio or video file, or is truncated: no decoder can read it.") from error


def check_span(name: str, start: float, end: float | None) -> None:
    """Check a span in seconds; None is the end of the file.

    Raises:
        ValueError: If the span is empty, negative or not finite.
    """
    if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
        raise ValueError(f"{name} cannot be cut from {start} s to {end} s: a span needs 0 <= start < end.")


def span_outside(name: str, start: float | None, end: float | None, seconds: float) -> ValueError:
    """Return the error for a span outside a file that lasts `seconds`."""
    until = "its end" if end is None else f"{end} s"
    return ValueError(f"{name} cannot be cut from {start} s to {until}: it is {seconds:.3f} s long.")


def _span_in_samples(
    name: str,
    start: float | None,
    end: float | None,
    rate: int,
    total: int | None = None,
    max_seconds: float | None = None,
) -> tuple[int, int | None]:
    """Convert a span in seconds to `[first, last)` in samples, limited by `total` if that is known."""
    start = 0.0 if start is None else start
    check_span(name, start, end)
    first, last = round(start * rate), None if end is None else round(end * rate)
    if last is not None and last <= first:
        raise ValueError(f"{name} cannot be cut from {start} s to {end} s: this is shorter than one sample.")
    if total is not None:
        if first >= max(total, 1) or (last is not None and last > total + SPAN_TOLERANCE * rate):
            raise span_outside(name, start, end, total / rate)
        last = total if last is None else min(last, total)
    if max_seconds is not None:
        limit = first + max(1, round(max_seconds * rate))
        last = limit if last is None else min(last, limit)
    return first, last


def _import_soundfile() -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise ImportError("Reading audio files needs soundfile: `pip install soundfile`.") from error
    return soundfile


def _read_with_soundfile(
    file: io.BufferedIOBase, name: str, start: float | None, end: float | None, max_seconds: float | None
) -> tuple[np.ndarray, int] | None:
    """Return mono samples and sampling rate, or None if soundfile does not read the format."""
    soundfile = _import_soundfile()
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        return None
    with sound:
        if sound.format == "MP3" and not _mp3_counts_its_frames(file):
            return None
        # libsndfile reads a truncated wav as a shorter one and reports it in its log only. Programs that write to a
        # pipe do not know the length and write (nearly) the largest number of 31 or 32 bits.
        cut_off = re.search(r"^data : (\d+) \(should be", sound.extra_info, flags=re.MULTILINE)
        if cut_off and int(cut_off[1]) < 2**31 - 2**16:
            raise ValueError(f"{name} is truncated: its header states more samples than the file has.")
        first, last = _span_in_samples(name, start, end, sound.samplerate, sound.frames, max_seconds)
        try:
            sound.seek(first)
            samples = sound.read(last - first, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{name} is truncated or damaged: it cannot be decoded to the end.") from error
        if len(samples) < last - first:
            raise ValueError(f"{name} is truncated: its header states more samples than the file has.")
        return samples.mean(axis=1), sound.samplerate


def _mp3_counts_its_frames(file: io.BufferedIOBase) -> bool:
    # Without this header libsndfile estimates the length from the first bit rate, and does not read beyond it.
    position = file.tell()
    file.seek(0)
    head = file.read(2**16)
    file.seek(position)
    return b"Xing" in head or b"Info" in head


def _read_with_av(
    file: io.BufferedIOBase, name: str, start: float | None, end: float | None, max_seconds: float | None
) -> tuple[np.ndarray, int]:
    """Return mono samples and sampling rate of the first audio stream; time 0 is the start of that stream."""
    av = import_av(name)
    with open_container(file, name) as container:
        if not container.streams.audio:
            raise ValueError(f"{name} has no audio stream.")
        stream = container.streams.audio[0]
        rate, origin = stream.sample_rate, stream.start_time or 0
        first, last = _span_in_samples(name, start, end, rate, None, max_seconds)
        blocks, begin, position = [], 0, 0
        try:
            if first > PRE_ROLL * rate:
                container.seek(origin + int((first / rate - PRE_ROLL) / stream.time_base), stream=stream)
            to_float = av.AudioResampler(format="fltp")
            for frame in container.decode(stream):
                for block in to_float.resample(frame):
                    if not blocks and block.pts is not None:
                        begin = position = round(float(block.pts * block.time_base - origin * stream.time_base) * rate)
                    blocks.append(block.to_ndarray().mean(axis=0))
                    position += block.samples
                if last is not None and position >= last:
                    break
        except av.FFmpegError as error:
            raise ValueError(
                f"{name} is truncated or damaged: it cannot be decoded after {position / rate:.2f} s."
            ) from error
        # Only these containers state the duration; for others FFmpeg estimates it from the bit rate.
        stated = stream.duration if container.format.name.startswith(("mov", "avi")) else None
        at_end = last is None or position < last
        if at_end and stated and position / rate < float(stated * stream.time_base) - PRE_ROLL:
            raise ValueError(f"{name} is truncated: its audio ends after {position / rate:.2f} s.")
        if at_end:
            first, last = _span_in_samples(name, start, end, rate, position, max_seconds)
        if first < begin:
            raise ValueError(f"{name} cannot be cut at {start} s, because its index is damaged: convert it to wav.")
    return np.concatenate(blocks)[first - begin : last - begin] if blocks else np.zeros(0, np.float32), rate


def _resample(waveform: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    if rate == sampling_rate:
        return waveform
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            f"Resampling audio from {rate} Hz to {sampling_rate} Hz needs soxr: `pip install soxr`."
        ) from error
    return soxr.resample(waveform, rate, sampling_rate, quality="HQ")
