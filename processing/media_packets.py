"""Packets of a stream, read and decoded with PyAV, and the checks of what is at the end of a file.

FFmpeg passes over tags and other bytes between frames. It reads a file that was cut off as a shorter one, and often ends
after the first of several recordings that were joined in one file: both are looked for after the last packet.
"""

import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from .media_files import PRE_ROLL, SPAN_TOLERANCE, import_av, joined, truncated

# Formats of frames without a header for the whole file. What cannot be decoded in between is no frame, such as a tag.
FRAMES = ("mp3", "aac", "amr")

# Sizes that programs write which do not know the length (nearly) in 31 and 32 bits.
UNKNOWN = 2**31 - 2**16

# First bytes of files. Ogg, Matroska and transport streams are left out: FFmpeg reads on where they are joined.
MARKS = (b"RIFF", b"FORM", b"caff\0\1", b"fLaC\0\0\0\x22", b"FLV\1", bytes.fromhex("3026b2758e66cf11"))
BLOCK = 2**20  # bytes that are searched at a time
LARGEST_PAGE = 2**16  # bytes of a page of Ogg


class Packets:
    """The packets of a stream; None at the end of the file.

    Args:
        file: The file.
        container: The container, opened from the file.
        stream: The stream.
        name: The name of the file for errors.

    Attributes:
        last: The last packet so far.
        end: The byte behind the packets so far.
        has_junk: Whether something that is no frame was between frames.

    Raises:
        ValueError: If the file is damaged, or recordings are joined that differ in format.
    """

    def __init__(self, file: io.BufferedIOBase, container: Any, stream: Any, name: str):
        self.file, self.container, self.stream, self.name = file, container, stream, name
        self.last, self.end, self.has_junk = None, 0, False
        self._av = import_av(name)

    def __iter__(self) -> Iterator[Any]:
        try:
            for packet in self.container.demux(self.stream):
                if not packet.size:
                    continue
                # Frames of MP3 and AAC begin with eight set bits.
                if self.container.format.name in ("mp3", "aac") and memoryview(packet)[0] != 0xFF:
                    self.has_junk = True
                    continue
                self.last, self.end = packet, max(self.end, (packet.pos or 0) + packet.size)
                yield packet
        except self._av.PatchWelcomeError as error:
            raise joined(self.name) from error
        except self._av.FFmpegError as error:
            at = self.file.tell()
            if self.file.seek(0, os.SEEK_END) - at > LARGEST_PAGE:
                raise ValueError(f"{self.name} is damaged: it cannot be read to its end.") from error
        yield None

    def seek(self, stamp: int) -> bool:
        """Go to a packet at a time stamp or before; return whether the container found one."""
        try:
            self.container.seek(stamp, stream=self.stream)
        except self._av.FFmpegError:
            return False
        return True

    def decode(self, packets: Iterable[Any] | None = None) -> Iterator[Any]:
        """Yield the frames of packets; errors count behind the first frame, since a seek may leave out what it needs.

        Args:
            packets: The packets; None means those that follow.

        Yields:
            The frames.

        Raises:
            ValueError: If packets cannot be decoded, and are neither between the frames of a format of `FRAMES` nor
                behind them.
        """
        failed, seen = None, False
        for packet in self if packets is None else packets:
            try:
                frames = self.stream.decode(packet)
            except self._av.FFmpegError as error:
                failed = error
                continue
            for frame in frames:
                if failed and seen and packet is not None and self.container.format.name not in FRAMES:
                    raise ValueError(f"{self.name} is damaged: it cannot be decoded to its end.") from failed
                failed, seen = None if packet is not None else failed, True
                yield frame
        if failed and self.container.format.name not in FRAMES:
            raise ValueError(f"{self.name} is truncated: its last packet cannot be decoded.") from failed

    def check_end(self, seconds: float, what: str = "audio") -> None:
        """Check a stream that was read to its end.

        Args:
            seconds: The length of what was decoded.
            what: "audio" or "video".

        Raises:
            ValueError: If the file is truncated, or only the first of several recordings was read.
        """
        stated = stated_seconds(self.container, self.stream)
        tolerance = SPAN_TOLERANCE if self.container.format.name in ("mp3", "flac") else PRE_ROLL
        too_short = stated is not None and not self.has_junk and seconds < stated - tolerance
        if too_short or (self.last is not None and self._is_cut(self.last)):
            raise truncated(self.name, seconds, what)
        check_rest(self.file, self.name, self.end)

    def _is_cut(self, packet: Any) -> bool:
        """Return whether a last packet is incomplete."""
        kind, codec = self.container.format.name, self.stream.codec_context.name
        if kind not in FRAMES and not codec.startswith(("mp1", "mp2", "mp3")):
            # The size of raw samples in wav may be unknown.
            return packet.is_corrupt and not (kind == "wav" and codec.startswith("pcm"))
        try:  # the parser tells the size that a frame states
            parsed = self._av.CodecContext.create(codec, "r").parse(bytes(packet) + bytes(LARGEST_PAGE))
        except self._av.FFmpegError:
            return False
        return bool(parsed) and packet.size < parsed[0].size < LARGEST_PAGE


def estimated_seconds(container: Any, stream: Any) -> float:
    """Return the length of a stream that the file states or FFmpeg estimates; 0.0 if both are unknown."""
    return float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6


def stated_seconds(container: Any, stream: Any) -> float | None:
    """Return the length of a stream that the file states; None if FFmpeg only estimates it."""
    kind, seconds = container.format.name, estimated_seconds(container, stream)
    if kind == "mp3":  # a header with the number of frames also states the delay; an estimate is no number of samples
        stated = stream.start_time and stream.duration and not seconds * stream.sample_rate % 1
    elif kind.startswith(("matroska", "flv")):
        stated = len(container.streams) == 1  # the header states the length of the longest stream
        tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
        if tag:
            stated, seconds = True, 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    else:
        stated = kind.startswith(("mov", "avi", "flac"))
    return seconds if seconds and stated else None


def check_rest(file: io.BufferedIOBase, name: str, end: int) -> None:
    """Check what is behind the part of a file that was read.

    Args:
        file: The file.
        name: Its name for errors.
        end: The byte behind the part.

    Raises:
        ValueError: If the file is truncated, further recordings follow, or much more data than the header states.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if head[:4] == b"OggS" and _is_page_cut(file, size):
        raise ValueError(f"{name} is truncated: its last page is incomplete.")
    mark = head[4:12] if head[4:8] == b"ftyp" else next(filter(head.startswith, MARKS), None)
    if mark in (b"RIFF", b"FORM"):
        stated = 8 + int.from_bytes(head[4:8], "little" if mark == b"RIFF" else "big")
        if not 8 < stated < UNKNOWN:
            return
        if stated > size and head[8:12] == b"AVI ":
            raise ValueError(f"{name} is truncated: its header states more data than the file has.")
        file.seek(stated)
        rest = file.read(16)
        if rest[:4] == mark and rest[8:12] == head[8:12]:
            raise joined(name)
        if head[8:12] == b"WAVE" and stated < size / 2 and rest.strip(b"\0"):
            raise ValueError(f"{name} has much more data than its header states: repair its header, or convert it.")
    elif mark and _has(file, mark, len(mark) if mark[:4] == b"fLaC" else end):
        raise joined(name)


def _has(file: io.BufferedIOBase, mark: bytes, at: int) -> bool:
    """Return whether a file has some bytes again from a byte on."""
    file.seek(at)
    last = b""
    while block := file.read(BLOCK):
        if mark in last + block:
            return True
        last = block[1 - len(mark) :]
    return False


def _is_page_cut(file: io.BufferedIOBase, size: int) -> bool:
    """Return whether the last page of an Ogg file is incomplete."""
    file.seek(max(0, size - 2 * LARGEST_PAGE))
    data = file.read()
    page = data[max(0, data.rfind(b"OggS")) :]
    return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
