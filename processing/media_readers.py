"""Readers of audio files: each yields blocks of one channel, from the start of a span on.

A file of frames (MP3, AAC, AMR) is walked over here and decoded by PyAV; the recordings in an Ogg file are read one after the
other; soundfile reads the other formats that it knows, and PyAV the rest. No reader holds more than a block in memory.
"""

import io
import math
import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from .media_containers import Block, container_seconds, read_container
from .media_files import LONGEST, check_rate, import_av, import_soundfile, too_long, truncated
from .media_flac import flac_samples, flac_seconds
from .media_frames import DamagedError, Frame, has_frames, tags_end, trim, walk
from .media_ogg import Slice, find_links
from .media_structure import UNKNOWN, check_structure, find_mp3_in_wav

BLOCK = 2**16  # samples of all channels that soundfile reads at a time
RESERVOIR = 32  # frames decoded in front of a span: MP3 frames refer to the bytes of earlier ones

# First bytes of containers, which may hold the frames of another format.
MARKS = (
    *(b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"FLV", b"caff", b"riff", b".snd", b"NIST", b"Creative"),
    *(b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"\0\0\1\xba", b"\x47"),
)


def read_blocks(file: io.BufferedIOBase, name: str, start: float, stop: float = 0.0) -> Iterator[Block]:
    """Yield a recording in blocks; the first one begins at `start` or before.

    Args:
        file: The file.
        name: Its name for errors.
        start: The start of the span in seconds.
        stop: The end of the span if all of it is kept, in seconds; a span above `LONGEST` is refused before it is decoded,
            where the length is known.

    Yields:
        The blocks. They end where the recording ends.

    Raises:
        ValueError: If the file is damaged, truncated or has no audio; or the span begins after its end.
        ImportError: If the library for this format is not installed.
    """
    file = _behind_tags(file)
    links = find_links(file) if _has_mark(file, b"OggS") else []
    if len(links) > 1 and all(link.streams == 1 for link in links):
        yield from _read_links(file, name, start, stop, links)
    else:
        yield from _read_one(file, name, start, stop)
    if links and not links[-1].complete:
        raise ValueError(f"{name} is truncated: its last page is incomplete.")


def recording_seconds(file: io.BufferedIOBase, name: str) -> float | None:
    """Return the length of the recording in a file; at most its last second is decoded.

    Args:
        file: The file.
        name: Its name for errors.

    Returns:
        Seconds; None if the file does not state it.

    Raises:
        ValueError: If the file is damaged or has no audio.
    """
    file = _behind_tags(file)
    links = find_links(file) if _has_mark(file, b"OggS") else []
    file.seek(0)
    if len(links) > 1 and all(link.streams == 1 for link in links):
        seconds = [_one_seconds(io.BufferedReader(Slice(file, link.start, link.end)), name) for link in links]
        return None if None in seconds else sum(seconds)
    return _one_seconds(file, name)


def _one_seconds(file: io.BufferedIOBase, name: str) -> float | None:
    inside = find_frames(file)
    if inside is not None:
        return _count_frames(file, *inside)
    sound, length = _open_sound(file, name)
    if sound is None:
        return flac_seconds(file) or container_seconds(file, name)
    with sound:
        return length / sound.samplerate


def find_frames(file: io.BufferedIOBase) -> tuple[int, int | None] | None:
    """Return the first byte and the end of the frames in a file of frames; None if it has another format."""
    inside = find_mp3_in_wav(file)
    if inside is None and not _has_mark(file) and has_frames(file):
        inside = 0, None
    file.seek(0)
    return inside


def _behind_tags(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return the file without ID3 tags in front of a container, which decoders count as part of it."""
    at, size = tags_end(file), file.seek(0, os.SEEK_END)
    part = io.BufferedReader(Slice(file, at, size)) if at else file
    found = part if _has_mark(part) else file
    found.seek(0)
    return found


def _has_mark(file: io.BufferedIOBase, *marks: bytes) -> bool:
    """Return whether a file begins with one of some bytes, by default those of containers."""
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    return head.startswith(marks or MARKS) or (not marks and head[4:8] in boxes)


def _read_links(file: io.BufferedIOBase, name: str, start: float, stop: float, links: list) -> Iterator[Block]:
    before = 0.0
    for link in links:
        part = io.BufferedReader(Slice(file, link.start, link.end))
        seconds = _one_seconds(part, name) or 0.0
        part.seek(0)
        if before + seconds > start or link == links[-1]:
            for block in _read_one(part, name, max(0.0, start - before), stop - before):
                yield block._replace(first=block.first + round(before * block.rate))
        before += seconds


def _read_one(file: io.BufferedIOBase, name: str, start: float, stop: float) -> Iterator[Block]:
    inside = find_frames(file)
    sound, length = (None, None) if inside is not None else _open_sound(file, name)
    if inside is not None:
        yield from _read_frames(file, name, start, *inside)
    elif sound is None:
        yield from read_container(file, name, start)
    else:
        with sound:
            yield from _read_sound(sound, length, name, start, stop)
    check_structure(file, name)


def _open_sound(file: io.BufferedIOBase, name: str) -> tuple[Any, int] | tuple[None, None]:
    """Open a file with soundfile; return it with its number of samples per channel, or None if PyAV has to read it."""
    soundfile = import_soundfile()
    samples = flac_samples(file)
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        sound = None
    # libsndfile estimates lengths of MP3, takes the size 0 of wav from a pipe literally, and reads FLAC up to the stated
    # length, which is 2**63 - 1 for FLAC from a pipe.
    unsure = sound is not None and (sound.format == "MP3" or (sound.format == "WAV" and not sound.frames))
    if sound is None or unsure or sound.frames >= 2**62 or sound.frames < (samples or 0):
        file.seek(0)
        return None, None
    check_rate(sound.samplerate, name)
    return sound, samples or sound.frames


def _read_sound(sound: Any, length: int, name: str, start: float, stop: float) -> Iterator[Block]:
    soundfile = import_soundfile()
    rate, at = sound.samplerate, 0
    first, size = round(start * rate), max(1, BLOCK // sound.channels)
    if min(length, stop * rate) - first > LONGEST * rate:
        raise too_long(name)
    if first >= sound.frames:
        yield Block(np.zeros(0, np.float32), rate, sound.frames)
        return
    try:
        if first and sound.seekable():
            at = sound.seek(first)
        while at < sound.frames:
            wanted = min(size, sound.frames - at)
            if at < stop * rate < at + wanted:  # what follows may be damaged
                wanted = math.ceil(stop * rate) - at
            block = sound.read(wanted, dtype="float32", always_2d=True)
            if not len(block):
                break
            yield Block(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1), rate, at)
            at += len(block)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{name} is truncated or damaged: it cannot be decoded to the end.") from error
    # libsndfile reads a truncated file as a shorter one and reports it in its log only.
    log = re.findall(
        r"^ *(?:data|SSND|Data Size|Riff size|riff) *: (\d+) \(should be (\d+)", sound.extra_info, re.MULTILINE
    )
    cut_off = any(int(there) < int(stated) < UNKNOWN for stated, there in log)
    if cut_off or at < sound.frames:
        raise truncated(name, at / rate)


def _read_frames(
    file: io.BufferedIOBase, name: str, start: float, first_byte: int, end: int | None
) -> Iterator[Block]:
    """Yield the blocks of a file of frames; only those of the span are decoded."""
    av = import_av(name)
    # Time is counted in seconds up to the last change of the rate, and in samples since.
    seconds, samples, rate, decoder, earlier = 0.0, 0, None, None, deque(maxlen=RESERVOIR)
    try:
        for frame, begin, stop in trim(walk(file, first_byte, end)):
            if frame.rate != rate:
                check_rate(frame.rate, name)
                seconds, samples, rate = seconds + (samples / rate if rate else 0.0), 0, frame.rate
            if seconds + (samples + stop - begin) / rate <= start:
                earlier.append(frame.data)
            else:
                if decoder is None or decoder.name != frame.codec:
                    decoder = av.CodecContext.create(frame.codec, "r")
                    for data in earlier:
                        _decode(av, decoder, data)
                    earlier.clear()
                block = _decode(av, decoder, frame.data)
                yield _as_block(block, frame, begin, stop, seconds + samples / rate)
            samples += stop - begin
        if rate:  # tells the length if the span begins behind it
            yield Block(np.zeros(0, np.float32), rate, round((seconds + samples / rate) * rate))
    except DamagedError as error:
        length = seconds + samples / (rate or 1)
        if error.truncated:
            raise ValueError(f"{name} is truncated: its audio ends after {length:.2f} s, inside a frame.") from error
        raise ValueError(
            f"{name} is damaged: other bytes follow {length:.2f} s of its audio, then more frames."
        ) from error


def _decode(av: Any, decoder: Any, data: bytes) -> Any | None:
    """Return the decoded frame; None if it refers to bytes that are missing, as the first ones of a cut-out do."""
    try:
        return next(iter(decoder.decode(av.Packet(data))), None)
    except av.FFmpegError:
        return None


def _as_block(decoded: Any | None, frame: Frame, begin: int, stop: int, seconds: float) -> Block:
    """Return samples `begin` to `stop` of a frame; the decoder of AAC may double the rate that the frame states."""
    rate = frame.rate if decoded is None else decoded.sample_rate
    factor = rate / frame.rate
    begin, stop, first = round(begin * factor), round(stop * factor), round(seconds * rate)
    if decoded is None:
        return Block(np.zeros(stop - begin, np.float32), rate, first)
    return Block(decoded.to_ndarray().mean(axis=0)[begin:stop], rate, first)


def _count_frames(file: io.BufferedIOBase, first_byte: int, end: int | None) -> float:
    """Return the length of a file of frames in seconds."""
    samples = Counter()
    try:
        for frame, begin, stop in trim(walk(file, first_byte, end)):
            samples[frame.rate] += stop - begin
    except DamagedError:  # reported when it is decoded
        pass
    return sum(count / rate for rate, count in samples.items())
