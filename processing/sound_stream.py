"""One pass over a recording: spans in the order of time are decoded once, also in formats that cannot seek."""

import math
from collections.abc import Iterator
from threading import Condition

import numpy as np

from .media import AudioSource, stream_audio

# Seconds between two spans from which the file is opened anew at the second, because most formats can seek.
LEAP = 30.0


class SoundStream:
    """Reader of consecutive spans of a file. Threads may read them at once: each waits for those before.

    Args:
        source: A file, see `load_audio`.
        rate: The sampling rate of the waveforms in Hz.
        stop: The end of the last span in seconds.
    """

    def __init__(self, source: AudioSource, rate: int, stop: float):
        self.source, self.rate, self.stop = source, rate, stop
        self._done, self._changed = 0, Condition()
        self._close()

    def read(self, start: float, end: float, first: int, last: int) -> np.ndarray:
        """Return the waveform of a span `(samples,)`, once those before it have been read.

        Args:
            start: The start of the span in seconds.
            end: Its end in seconds.
            first: The number of readings that come before.
            last: The number of readings that have been made with this one.

        Raises:
            OSError: If the file cannot be read; a later span may be good.
            ValueError: If it is damaged; a later span may be good.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._done >= first)
            try:
                return self._read(start, end)
            except BaseException:
                self._close()
                raise
            finally:
                self._done = max(self._done, last)
                if end >= self.stop:
                    self._close()
                self._changed.notify_all()

    def _close(self) -> None:
        self._blocks: Iterator[np.ndarray] | None = None
        self._origin, self._at, self._held = 0.0, 0, np.zeros(0, np.float32)

    def _read(self, start: float, end: float) -> np.ndarray:
        first = self._place(start)
        if self._blocks is None or not self._at <= first <= self._at + len(self._held) + LEAP * self.rate:
            self._close()
            # A whole second, and one earlier: the samples are those of a stream from the beginning, resampled or not.
            self._origin = max(0.0, math.floor(start) - 1.0)
            self._blocks = stream_audio(self.source, self.rate, self._origin, self.stop)
            first = self._place(start)
        last = first + max(1, round((end - start) * self.rate))
        behind = self._at + len(self._held)
        at = min(first, behind)
        parts = [self._held[at - self._at :]]
        while behind < last and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            behind += len(block)
            while parts and at + len(parts[0]) <= first:
                at += len(parts.pop(0))
        self._held, self._at = np.concatenate(parts) if parts else np.zeros(0, np.float32), at
        waveform = self._held[max(0, first - at) : last - at]
        if not len(waveform):
            raise ValueError(f"The recording has nothing from {start:g} s to {end:g} s.")
        return waveform

    def _place(self, seconds: float) -> int:
        """Return the number of a sample since the stream began."""
        return round((seconds - self._origin) * self.rate)
