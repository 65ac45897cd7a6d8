"""Recordings that are chained in one Ogg file. Decoders read the first alone."""

import io
import os
from typing import NamedTuple


class Link(NamedTuple):
    """A recording inside an Ogg file.

    Attributes:
        start: Its first byte.
        end: The byte after its last.
        streams: The number of streams that run in parallel.
        complete: Whether its last page is whole and ends a packet.
    """

    start: int
    end: int
    streams: int
    complete: bool


def find_links(file: io.BufferedIOBase) -> list[Link]:
    """Return the recordings of an Ogg file; their pages are walked over, not read.

    Args:
        file: The file.
    """
    size, at, links = file.seek(0, os.SEEK_END), 0, []
    only_first_pages = False
    while at < size:
        file.seek(at)
        head = file.read(27 + 255)
        if head[:4] != b"OggS" or len(head) < 28:
            if links and head[:4] == b"OggS"[: len(head)]:
                links[-1] = links[-1]._replace(complete=False)
            at = _next_page(file, at + 1)
            continue
        lacing = head[27 : 27 + head[26]]
        end = at + 27 + len(lacing) + sum(lacing)
        if head[5] & 2:  # the first page of a stream
            if only_first_pages:
                links[-1] = links[-1]._replace(streams=links[-1].streams + 1)
            else:
                links.append(Link(at, end, 1, True))
        only_first_pages = bool(head[5] & 2)
        if links:
            whole = end <= size and len(lacing) == head[26] and (not lacing or lacing[-1] < 255)
            links[-1] = links[-1]._replace(end=min(end, size), complete=whole)
        at = end
    return links


def _next_page(file: io.BufferedIOBase, at: int) -> int:
    """Return where the next page begins; the end of the file if there is none."""
    file.seek(at)
    last = b""
    while block := file.read(2**16):
        found = (last + block).find(b"OggS")
        if found >= 0:
            return at - len(last) + found
        at, last = at + len(block), (last + block)[-3:]
    return at


class Slice(io.RawIOBase):
    """A part of a file, as a file of its own.

    Args:
        file: The file.
        start: The first byte.
        end: The byte after the last.
    """

    def __init__(self, file: io.BufferedIOBase, start: int, end: int):
        self._file, self._start, self._size, self._at = file, start, end - start, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer) -> int:
        """Read into a buffer; return the number of bytes."""
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
