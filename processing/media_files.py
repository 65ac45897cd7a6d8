"""Files of audio and video: how they are opened, and the limits of what is decoded."""

import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Seconds by which a span may end after the file, because time stamps in corpora are rounded.
SPAN_TOLERANCE = 0.05

# Seconds that video is decoded before a span, and by which a stream may be shorter than stated: decoders drop some frames.
PRE_ROLL = 0.25

# Limits against files whose header claims too much, or that decode to far more than their size (ours). Two hours are
# 460 MB at 16 kHz.
LONGEST = 7200.0  # seconds of audio in one waveform
RATES = (1000, 768_000)  # Hz
LARGEST_FRAME = 2**25  # pixels of a video frame; 8K has 7680 x 4320

# FFmpeg also reads playlists, which name further files and URLs; these must never be opened.
CONTAINERS = "mov,matroska,avi,mp3,aac,wav,w64,flac,ogg,aiff,au,caf,asf,amr,flv,mpegts,mpeg"

AudioSource = str | os.PathLike | bytes | Mapping[str, Any]


def open_source(source: AudioSource, name: str) -> tuple[io.BufferedIOBase, str]:
    """Open the file of a path, of bytes, or of a dict `{"path": ..., "bytes": ...}`, where bytes take precedence.

    Args:
        source: The source.
        name: The name to use in errors if the source has no path.

    Returns:
        The file, and its name for errors.

    Raises:
        FileNotFoundError: If the file does not exist.
        TypeError: If `source` has another type.
        ValueError: If the file is empty, a folder or a device.
    """
    if isinstance(source, Mapping):
        name = str(source.get("path") or name)
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    if isinstance(source, bytes):
        file = io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        path, name = Path(source), os.fspath(source)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist.")
        if not path.is_file():  # a pipe or device may wait for ever
            kind = "folder" if path.is_dir() else "pipe or device"
            raise ValueError(f"{path} is a {kind}, not an audio or video file.")
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


def import_soundfile() -> Any:
    """Import and return soundfile.

    Raises:
        ImportError: If soundfile is not installed.
    """
    try:
        import soundfile
    except ImportError as error:
        raise ImportError("Reading audio files needs soundfile: `pip install soundfile`.") from error
    return soundfile


def open_container(file: io.BufferedIOBase, name: str) -> Any:
    """Open a file with PyAV.

    Raises:
        ValueError: If the format is not one of `CONTAINERS`, or the file is damaged.
    """
    av = import_av(name)
    try:
        return av.open(file, options={"format_whitelist": CONTAINERS})
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{name} is not an audio or video file of a format that is read here, or is truncated: convert it to wav, flac or mp4."
        ) from error


def check_rate(rate: Any, name: str) -> None:
    """Check a sampling rate in Hz.

    Raises:
        ValueError: If it is not a number within `RATES`.
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"{name} has a sampling rate of {rate!r} Hz: it must be from {RATES[0]} to {RATES[1]} Hz.")


def check_span(name: str, start: float, end: float | None, max_seconds: float | None = None) -> None:
    """Check a span in seconds; None is the end of the file, or no limit.

    Raises:
        TypeError: If a value is not a number.
        ValueError: If the span is empty, negative or not finite, or the limit is not positive.
    """
    for value in (start, end, max_seconds):
        if value is not None and not isinstance(value, (int, float)):
            raise TypeError(f"{name} cannot be cut at {value!r}: start, end and max_seconds are numbers of seconds.")
    if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
        raise ValueError(f"{name} cannot be cut from {start} s to {end} s: a span needs 0 <= start < end.")
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"{name} cannot be cut after {max_seconds} s: max_seconds must be positive.")


def span_outside(name: str, start: float | None, end: float | None, seconds: float) -> ValueError:
    """Return the error for a span outside a file that lasts `seconds`."""
    until = "its end" if end is None else f"{end} s"
    return ValueError(f"{name} cannot be cut from {start} s to {until}: it is {seconds:.3f} s long.")


def truncated(name: str, seconds: float, what: str = "audio") -> ValueError:
    """Return the error for a file that ends early, after `seconds` of its audio or video."""
    return ValueError(f"{name} is truncated: its {what} ends after {seconds:.2f} s, and its header states more.")


def too_long(name: str) -> ValueError:
    """Return the error for a recording, or a span, above `LONGEST`."""
    return ValueError(
        f"{name} is longer than {LONGEST / 3600:g} hours, the longest waveform: give a span or max_seconds."
    )


def joined(name: str) -> ValueError:
    """Return the error for a file in which other recordings follow the first."""
    return ValueError(
        f"{name} is several recordings joined in one file, and only the first could be read: split the file."
    )
