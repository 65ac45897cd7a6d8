"""Checks of whole files that decoders do not make: whether the last part is complete, and whether more follows.

Containers state the sizes of their parts, so a file that was cut off shows in its structure even where a decoder ends
without an error. Recordings that are joined in one file begin again with the first bytes of the format.
"""

import io
import os
from collections.abc import Callable, Iterator

from .media_files import joined

# Sizes that programs write which do not know the length (nearly) in 31 and 32 bits.
UNKNOWN = 2**31 - 2**16

EBML = bytes.fromhex("1a45dfa3")
SEGMENT, CLUSTER = bytes.fromhex("18538067"), bytes.fromhex("1f43b675")
ELEMENTS = {  # that Matroska may have beside or inside of a cluster
    EBML,
    SEGMENT,
    CLUSTER,
    *(bytes([number]) for number in (0xA0, 0xA3, 0xA7, 0xAB, 0xBF, 0xE7, 0xEC)),
    *(
        bytes.fromhex(name)
        for name in ("5854", "1043a770", "114d9b74", "1254c367", "1549a966", "1654ae6b", "1941a469")
    ),
    bytes.fromhex("1c53bb6b"),
}
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def check_structure(file: io.BufferedIOBase, name: str) -> None:
    """Check the structure of a container whose audio or video was read to its end.

    Args:
        file: The file.
        name: Its name for errors.

    Raises:
        ValueError: If the file is truncated, holds two files of its format, or much more data than its header states.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    end = next((find(file, size) for marks, find in STRUCTURES if marks(head)), None)
    if end is None:
        return
    if end > size:
        raise ValueError(f"{name} is truncated: its header states more data than the file has.")
    file.seek(end)
    again = file.read(16)
    # Matroska and transport streams may be joined: FFmpeg reads all of them.
    if again[:4] == head[:4] in JOINED_ARE_LOST or again[4:8] == head[4:8] == b"ftyp":
        raise joined(name)
    if head[8:12] == b"WAVE" and again[:4].strip(b"\0") and size - end > end:
        raise ValueError(f"{name} has much more data than its header states: repair its header, or convert it.")


def find_mp3_in_wav(file: io.BufferedIOBase) -> tuple[int, int | None] | None:
    """Return the first byte and the end of the MP3 frames in a wav file; None for other files.

    Args:
        file: The file.
    """
    size, tag = file.seek(0, os.SEEK_END), 0
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    for chunk, at, length in _chunks(file, size):
        if chunk == b"fmt ":
            tag = int.from_bytes(file.read(2), "little")
        if chunk == b"data":
            unknown = not length or length >= UNKNOWN
            return (at, None if unknown else at + length) if tag in (0x50, 0x55) else None
    return None


def _chunks(file: io.BufferedIOBase, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, first byte and length of the chunks of a RIFF file; the file stands at the first byte."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        yield head[:4], at + 8, length
        at += 8 + length + length % 2


def _wav_end(file: io.BufferedIOBase, size: int) -> int | None:
    end, seen = 12, False
    for chunk, at, length in _chunks(file, size):
        if chunk == b"data":
            if not length or length >= UNKNOWN:
                return None
            if at + length > size:
                return at + length
            seen = True
        elif seen and (chunk in (b"RIFF", b"RIFX") or not chunk.strip().isalnum() or at + length > size):
            break
        end = at + length + length % 2
    return min(end, size)


def _stated_end(at: int, length: int, order: str, before: int) -> Callable[[io.BufferedIOBase, int], int | None]:
    """Return a function that reads the size of the file, less the `before` bytes of its header, at a place in it."""

    def find(file: io.BufferedIOBase, size: int) -> int | None:
        file.seek(at)
        stated = int.from_bytes(file.read(length), order)
        return None if not stated or stated >= UNKNOWN else before + stated

    return find


def _boxes_end(file: io.BufferedIOBase, size: int) -> int | None:
    """Return the end of the boxes of an MP4 or QuickTime file; trailing bytes that are no box are left out."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0 and kind == b"mdat":  # until the end of the file
            return None
        if length < 8 or not kind.isalnum() or (at and kind == b"ftyp"):
            return at
        if at + length > size and kind not in (b"mdat", b"moov", b"moof"):
            return at
        at += length
    return at


def _caf_end(file: io.BufferedIOBase, size: int) -> int | None:
    at, seen = 8, False
    while at + 12 <= size:
        file.seek(at)
        kind, length = file.read(4), int.from_bytes(file.read(8), "big", signed=True)
        if kind == b"data" and length < 0:
            return None
        if not kind.isalnum() or kind == b"caff" or length < 0 or (seen and at + length > size):
            return at
        at, seen = at + 12 + length, seen or kind == b"data"
    return at


def _matroska_end(file: io.BufferedIOBase, size: int) -> int | None:
    at = 0
    while at < size:
        file.seek(at)
        kind, _ = _read_vint(file, keep_mark=True)
        length, known = _read_vint(file)
        if kind not in ELEMENTS or (not known and kind not in (SEGMENT, CLUSTER)):
            return None
        at = file.tell()
        if known:
            at += length
    return at


def _read_vint(file: io.BufferedIOBase, keep_mark: bool = False) -> tuple[int | bytes, bool]:
    """Return a number of variable length of EBML, and whether it is known: all ones mean an unknown size."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, False
    length = 9 - first[0].bit_length()
    data = first + file.read(length - 1)
    if keep_mark:
        return data, True
    ones = (1 << 7 * length) - 1
    value = int.from_bytes(data, "big") & ones
    return value, value != ones


def _asf_end(file: io.BufferedIOBase, size: int) -> int | None:
    file.seek(0)
    head = file.read(2**16)
    at = head.find(ASF_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return None
    broadcast = head[at + 88] & 1  # its size is not known
    return None if broadcast else int.from_bytes(head[at + 40 : at + 48], "little") or None


def _flv_end(file: io.BufferedIOBase, size: int) -> int:
    at = 13
    while at + 11 <= size:
        file.seek(at)
        tag = file.read(4)
        if tag[0] & 0x1F not in (8, 9, 18):
            return at
        at += 15 + int.from_bytes(tag[1:4], "big")
    return at


def _transport_stream_end(file: io.BufferedIOBase, size: int) -> int | None:
    file.seek(188)
    if file.read(1) != b"\x47" or not size % 188:
        return None
    last = size - size % 188
    file.seek(last)
    return last + 188 if file.read(1) == b"\x47" else None


def _program_stream_end(file: io.BufferedIOBase, size: int) -> int | None:
    at = 0
    while at + 14 <= size:
        file.seek(at)
        head = file.read(14)
        if head[:3] != b"\0\0\1" or head[3] < 0xB9:
            return at
        if head[3] == 0xB9:
            at += 4
        elif head[3] == 0xBA:
            at += 14 + (head[13] & 7) if head[4] & 0x40 else 12
        else:
            at += 6 + int.from_bytes(head[4:6], "big")
    return at


def _second_flac(file: io.BufferedIOBase, size: int) -> int | None:
    """Return where a second FLAC file begins: its mark and the header of its first block."""
    mark, at, last = b"fLaC\0\0\0\x22", 4, b""
    file.seek(at)
    while block := file.read(2**20):
        found = (last + block).find(mark)
        if found >= 0:
            return at - len(last) + found
        at, last = at + len(block), (last + block)[-len(mark) + 1 :]
    return None


# Whether the first bytes are those of a format, and the function that returns where the file ends by its structure; None
# if that is unknown.
STRUCTURES = (
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", _wav_end),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", _stated_end(4, 4, "little", 8)),
    (lambda head: head[:4] == b"FORM", _stated_end(4, 4, "big", 8)),
    (lambda head: head[:4] == b"riff", _stated_end(16, 8, "little", 0)),
    (lambda head: head[:4] == b"caff", _caf_end),
    (lambda head: head[4:8] == b"ftyp", _boxes_end),
    (lambda head: head[:4] == EBML, _matroska_end),
    (lambda head: head == ASF, _asf_end),
    (lambda head: head[:3] == b"FLV", _flv_end),
    (lambda head: head[:1] == b"\x47", _transport_stream_end),
    (lambda head: head[:4] == b"\0\0\1\xba", _program_stream_end),
    (lambda head: head[:4] == b"fLaC", _second_flac),
)
JOINED_ARE_LOST = (b"RIFF", b"FORM", b"caff", b"fLaC", b"FLV\x01", ASF[:4])
