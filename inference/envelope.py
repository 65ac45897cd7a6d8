"""Envelope of a waveform: its lowest and highest samples over time, from a recording of any length in flat memory."""

from dataclasses import dataclass

import numpy as np

from ..configuration.modalities import SAMPLING_RATE
from ..processing.media import AudioSource, stream_audio

FINEST = 32  # samples of a bin at first, 2 ms
MOST_BINS = 4096  # about three for each pixel of a picture's width


@dataclass(frozen=True)
class Envelope:
    """Lowest and highest samples of a recording, in bins of equal length.

    Attributes:
        low: The lowest sample of each bin, `(bins,)`.
        high: The highest sample of each bin, `(bins,)`.
        step: The length of a bin in seconds.
        seconds: The length of the recording.
    """

    low: np.ndarray
    high: np.ndarray
    step: float
    seconds: float


def measure_envelope(source: AudioSource) -> Envelope:
    """Return the envelope of a recording, which is decoded block by block.

    Args:
        source: As in `load_audio`; a dict may give a channel.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file cannot be read, see `load_audio`.
    """
    low, high, size, samples = np.zeros(0, np.float32), np.zeros(0, np.float32), FINEST, 0
    rest = np.zeros(0, np.float32)
    for block in stream_audio(source, SAMPLING_RATE):
        samples += len(block)
        rest = np.concatenate([rest, block])
        whole = len(rest) // size * size
        bins, rest = rest[:whole].reshape(-1, size), rest[whole:]
        low, high = np.concatenate([low, bins.min(axis=1)]), np.concatenate([high, bins.max(axis=1)])
        while len(low) > 2 * MOST_BINS:
            if len(low) % 2:  # the last bin waits for its partner
                rest = np.concatenate([_stand_for(low[-1], high[-1], size), rest])
                low, high = low[:-1], high[:-1]
            low, high, size = low.reshape(-1, 2).min(axis=1), high.reshape(-1, 2).max(axis=1), 2 * size
    if len(rest):
        low, high = np.append(low, rest.min()), np.append(high, rest.max())
    return Envelope(low, high, size / SAMPLING_RATE, samples / SAMPLING_RATE)


def _stand_for(low: float, high: float, size: int) -> np.ndarray:
    """Return samples with the range of a bin."""
    return np.resize(np.array([low, high], np.float32), size)
