"""Walk over the frames of MP3, MP2, AAC (ADTS) and AMR files, which have no header for the whole file.

Every frame states its size and duration, so lengths are counted, and a span is cut exactly, whatever the bit rates. Tags
are skipped by their sizes.
"""

import io
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

HEAD = 2**16  # bytes that may be in front of the first frame, besides tags
GAP = 2**12  # bytes that may be between two frames, besides tags and zeros
BLOCK = 2**16  # bytes read at a time; more than the largest frame

MP3_BITRATES = {  # kbit/s by (MPEG 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 32000 // 2, 12000, 11025, 8000, 7350)
AMR = {
    b"#!AMR\n": ("amrnb", 8000, (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)),
    b"#!AMR-WB\n": ("amrwb", 2 * 8000, (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)),
}


class Frame(NamedTuple):
    """A frame.

    Attributes:
        codec: The name of its decoder in FFmpeg.
        rate: The sampling rate in Hz.
        samples: The number of samples per channel.
        size: Its size in bytes.
        data: Its bytes.
    """

    codec: str
    rate: int
    samples: int
    size: int
    data: bytes = b""


class Gapless(NamedTuple):
    """The start of a recording whose first frame describes the whole.

    Attributes:
        delay: Samples that encoder and decoder put in front.
        padding: Samples that the encoder put behind the end, without those that the decoder delays.
        frames: The number of frames that follow; None if unknown.
    """

    delay: int
    padding: int
    frames: int | None


class DamagedError(Exception):
    """The frames end early.

    Args:
        truncated: Whether the last frame is incomplete or frames are missing; otherwise something is between frames.
    """

    def __init__(self, truncated: bool):
        super().__init__(truncated)
        self.truncated = truncated


def parse_frame(head: bytes) -> Frame | None:
    """Return the frame that begins with these bytes (at least 7), without its data; None if they are no header."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _parse_adts(head)
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    first = version == 3
    rate = (44100, 48000, 32000)[rate] >> (0 if first else 1 if version == 2 else 2)
    samples = 384 if layer == 1 else 576 if layer == 3 and not first else 1152
    bits, padding = MP3_BITRATES[first, layer][bitrate - 1] * 1000, head[2] >> 1 & 1
    size = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    return Frame(f"mp{layer}float", rate, samples, size)


def _parse_adts(head: bytes) -> Frame | None:
    rate, size = head[2] >> 2 & 15, (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate >= len(AAC_RATES) or size < 7:
        return None
    return Frame("aac", AAC_RATES[rate], 1024 * (1 + (head[6] & 3)), size)


def has_frames(file: io.BufferedIOBase) -> bool:
    """Return whether a file is of frames, behind its tags; the position of the file is left at its start."""
    try:
        return next(walk(file), None) is not None
    except DamagedError:
        return False
    finally:
        file.seek(0)


def tags_end(file: io.BufferedIOBase) -> int:
    """Return where the ID3 tags at the beginning of a file end; 0 if there is none.

    Args:
        file: The file.
    """
    at = 0
    while True:
        file.seek(at)
        head = file.read(32)
        if head[:3] != b"ID3" or not (size := _tag_size(head)):
            return at
        at += size


def walk(file: io.BufferedIOBase, start: int = 0, end: int | None = None) -> Iterator[Frame | Gapless]:
    """Yield the frames of a file.

    Args:
        file: The file.
        start: Where to begin in the file, in bytes.
        end: Where to end; None means the end of the file.

    Yields:
        `Frame` for every frame with audio; `Gapless` in front of those that it describes.

    Raises:
        DamagedError: If the last frame is incomplete, or something else is between frames.
    """
    window = _Window(file, start, end)
    amr = [magic for magic in AMR if window.peek(len(magic)) == magic]
    if amr:
        while window.peek(len(amr[0])) == amr[0]:  # again if recordings are joined
            window.skip(len(amr[0]))
            yield from _walk_amr(window, *AMR[amr[0]])
        return
    counted, stated, kind, gap = 0, None, None, 0
    while True:
        frame = parse_frame(window.peek(7))
        if frame is None or (kind is None and not _is_followed(window, frame)):
            skipped = _skip_to_frame(window)
            gap += skipped or 0
            if skipped is None or (kind is None and gap > HEAD):
                break
            continue
        if kind is not None and gap > GAP:
            raise DamagedError(truncated=False)
        data = window.peek(frame.size)
        if len(data) < frame.size:
            raise DamagedError(truncated=True)
        window.skip(frame.size)
        kind, gap = frame.codec, 0
        gapless = _parse_gapless(data, frame) if frame.codec == "mp3float" else None
        if gapless is None:
            counted += 1
            yield frame._replace(data=data)
        else:
            _check_count(counted, stated)
            counted, stated = 0, gapless.frames
            yield gapless
    if kind is not None:
        _check_count(counted, stated)


def trim(items: Iterable[Frame | Gapless]) -> Iterator[tuple[Frame, int, int]]:
    """Yield frames with the first and the end of their samples that belong to the recording.

    Args:
        items: What `walk` yields.
    """
    waiting, drop, padding = deque(), 0, 0  # the last frames wait, because padding is at the end
    for item in chain(items, [Gapless(0, 0, None)]):
        if isinstance(item, Gapless):
            ends = []
            for frame, begin in reversed(waiting):
                cut = min(padding, frame.samples - begin)
                padding -= cut
                ends.append((frame, begin, frame.samples - cut))
            yield from reversed(ends)
            waiting.clear()
            drop, padding = item.delay, item.padding
            continue
        begin = min(drop, item.samples)
        drop -= begin
        waiting.append((item, begin))
        while waiting and sum(frame.samples for frame, _ in waiting) - waiting[0][0].samples >= padding:
            frame, begin = waiting.popleft()
            yield frame, begin, frame.samples


def _check_count(counted: int, stated: int | None) -> None:
    if stated is not None and counted < stated - 1:  # some programs count the describing frame
        raise DamagedError(truncated=True)


def _walk_amr(window: "_Window", codec: str, rate: int, sizes: tuple[int, ...]) -> Iterator[Frame]:
    while head := window.peek(1):
        if head[0] & 0x83 or not window.peek(BLOCK).strip(b"\0"):  # no frame, or zeros behind the last one
            return
        size = sizes[head[0] >> 3 & 15]
        data = window.peek(size)
        if len(data) < size:
            raise DamagedError(truncated=True)
        window.skip(size)
        yield Frame(codec, rate, rate // 50, size, data)


def _is_followed(window: "_Window", frame: Frame) -> bool:
    """Return whether a first frame is followed by two of its kind, or by the end of the file."""
    at = 0
    for _ in range(3):
        head = window.peek(at + 7)[at:]
        following = parse_frame(head)
        if len(head) < 7 or head.startswith(b"TAG") or not head.strip(b"\0"):
            return at > 0
        if following is None or (following.codec, following.rate) != (frame.codec, frame.rate):
            return False
        at += following.size
    return True


def _skip_to_frame(window: "_Window") -> int | None:
    """Skip a tag, or at least one other byte up to the next tag or frame.

    Args:
        window: The bytes.

    Returns:
        The number of skipped bytes other than tags and zeros; None if neither tag nor frame follows.
    """
    tag = _tag_size(window.peek(32))
    if tag:
        window.skip(tag)
        return 0
    skipped, at = 0, 1
    while data := window.peek(BLOCK):
        mark = _find_mark(data, at)
        # What begins in the last bytes of the block is looked at again.
        step = mark if mark is not None else len(data) if len(data) < BLOCK else BLOCK // 2
        skipped += step if data[:step].strip(b"\0") else 0
        window.skip(step)
        if mark is not None:
            return skipped
        at = 0
    return None


def _find_mark(data: bytes, at: int) -> int | None:
    """Return where a tag begins, or a frame that is followed by another; None if there is neither."""
    marks = [place for name in (b"ID3", b"APETAGEX", b"TAG") if (place := data.find(name, at)) >= 0]
    last = min(marks, default=len(data))
    while (at := data.find(0xFF, at, last)) >= 0:
        frame = parse_frame(data[at : at + 7])
        following = None if frame is None else parse_frame(data[at + frame.size : at + frame.size + 7])
        if following is not None and following.codec == frame.codec:
            return at
        at += 1
    return min(marks, default=None)


def _tag_size(head: bytes) -> int:
    """Return the size of the tag (ID3, APE) that begins with these 32 bytes; 0 if there is none."""
    if head[:3] == b"ID3" and len(head) >= 10:
        return (
            10
            + sum((byte & 127) << 7 * (3 - place) for place, byte in enumerate(head[6:10]))
            + 10 * (head[5] >> 4 & 1)
        )
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return int.from_bytes(head[12:16], "little") + 32 * (head[23] >> 7)
    return 0


def _parse_gapless(data: bytes, frame: Frame) -> Gapless | None:
    """Return the content of a describing frame (Xing, Info or VBRI) of an MP3 file; None if the frame has audio."""
    mono, first = data[3] >> 6 == 3, frame.samples == 1152
    at = 4 + (0 if data[1] & 1 else 2) + ((17 if mono else 32) if first else 9 if mono else 17)
    if data[36:40] == b"VBRI" and len(data) >= 54:
        return Gapless(0, 0, int.from_bytes(data[50:54], "big"))
    if data[at : at + 4] not in (b"Xing", b"Info") or len(data) < at + 8:
        return None
    flags, at, frames = data[at + 7], at + 8, None
    if flags & 1:
        frames = int.from_bytes(data[at : at + 4], "big")
    at += 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    delay = padding = 0
    if data[at : at + 4] in (b"LAME", b"Lavf", b"Lavc") and len(data) >= at + 24:
        pair = int.from_bytes(data[at + 21 : at + 24], "big")
        delay, padding = (pair >> 12) + 529, max(0, (pair & 4095) - 529)
    return Gapless(delay, padding, frames)


class _Window:
    """Bytes of a file from a moving position on, read in large blocks."""

    def __init__(self, file: io.BufferedIOBase, start: int, end: int | None):
        file.seek(start)
        self._file, self._data, self._at = file, b"", 0
        self._left = None if end is None else end - start

    def peek(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        if len(self._data) - self._at < count:
            wanted = count + 2**16 - (len(self._data) - self._at)
            wanted = wanted if self._left is None else min(wanted, self._left)
            block = self._file.read(wanted)
            if self._left is not None:
                self._left -= len(block)
            self._data, self._at = self._data[self._at :] + block, 0
        return self._data[self._at : self._at + count]

    def skip(self, count: int) -> None:
        """Move on."""
        inside = min(count, len(self._data) - self._at)
        self._at += inside
        if count > inside:
            self._file.seek(count - inside, 1)
            if self._left is not None:
                self._left -= count - inside
