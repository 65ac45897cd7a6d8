"""Length of FLAC files from their last frame. The header may not state it, as in files from a pipe, or state it wrongly."""

import io
import os

TAIL = 2**18  # bytes at the end in which the last frame is looked for


def flac_seconds(file: io.BufferedIOBase) -> float | None:
    """Return the length of a FLAC file in seconds; None if it is no FLAC file, or no frame is found.

    Args:
        file: The file.
    """
    samples = flac_samples(file)
    file.seek(18)
    rate = int.from_bytes(file.read(3), "big") >> 4
    file.seek(0)
    return samples / rate if samples and rate else None


def flac_samples(file: io.BufferedIOBase) -> int | None:
    """Return the number of samples up to the end of the last frame of a FLAC file.

    Args:
        file: The file.

    Returns:
        Samples per channel; None if the file is no FLAC file, or no frame is found.
    """
    file.seek(0)
    head = file.read(42)
    if len(head) < 42 or head[:4] != b"fLaC" or head[4] & 127:
        return None
    size = file.seek(0, os.SEEK_END)
    file.seek(max(42, size - TAIL))
    data, block = file.read(TAIL), int.from_bytes(head[8:10], "big")
    at, last = len(data), None
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        frame = _parse_frame(data[at : at + 16], block)
        if frame is None:
            continue
        if last is not None:
            # Other bytes look like a header now and then; two headers in a row must fit together.
            return last[1] if last[0] == frame[1] else None
        if frame[0] == 0:
            return frame[1]
        last = frame
    return None


def _parse_frame(head: bytes, block: int) -> tuple[int, int] | None:
    """Return the number of the first sample of a frame and of the sample behind it; None if the bytes are no header.

    Args:
        head: The first bytes.
        block: The largest number of samples in a frame of the file.
    """
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1 or not head[2] >> 4 or head[2] & 15 == 15:
        return None
    extra = (8 - (head[4] ^ 0xFF).bit_length()) - 1 if head[4] & 0x80 else 0  # as in UTF-8
    if head[4] & 0xC0 == 0x80 or extra > 6:
        return None
    number, at = head[4] & (0x7F if not extra else 0x3F >> extra), 5
    for byte in head[5 : 5 + extra]:
        number = number << 6 | byte & 0x3F
    at += extra
    code, rate = head[2] >> 4, head[2] & 15
    bytes_of_size = {6: 1, 7: 2}.get(code, 0)
    if bytes_of_size:
        samples = int.from_bytes(head[at : at + bytes_of_size], "big") + 1
    else:
        samples = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    at += bytes_of_size + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at] or samples > block:
        return None
    first = number if head[1] & 1 else number * block
    return first, first + samples


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value
