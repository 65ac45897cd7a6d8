"""The picture of docs/timelines.md: a minute of two speakers, with scores and a waveform that are made up."""

from pathlib import Path

import numpy as np
from emofusion.inference.envelope import measure_envelope
from emofusion.inference.timeline_picture import draw_timeline
from emofusion.processing.windows import plan_windows

SECONDS, RATE = 60, 16_000
TURNS = {
    "agent": [(0.5, 11.0), (15.0, 27.0), (33.0, 44.0)],
    "customer": [(9.5, 16.0), (28.0, 34.0), (46.5, 58.0)],
}
# Class by the seconds around which it prevails, and its number of seconds.
MOODS = {
    "agent": {"neutral": (4, 14), "happy": (22, 6), "sad": (38, 8)},
    "customer": {"neutral": (8, 6), "angry": (20, 12), "sad": (46, 5), "happy": (56, 6)},
}
CLASSES = ("angry", "happy", "neutral", "sad")


def draw_example(path: Path) -> None:
    """Draw the picture."""
    rows, noise = [], np.random.default_rng(0)
    waveform = noise.normal(0, 0.003, SECONDS * RATE)
    for speaker, turns in TURNS.items():
        for start, end in turns:
            times = np.arange(round(start * RATE), round(end * RATE))
            loudness = 0.15 * (1.1 + np.sin(times / RATE * 2.3)) * np.abs(np.sin(times / RATE * 9))
            waveform[times] += loudness * noise.normal(0, 1, len(times))
            for window in plan_windows(end - start, 4, 1):
                middle = start + (window.start + window.end) / 2
                shares = [_share(MOODS[speaker].get(label), middle) for label in CLASSES]
                scores = [
                    {"label": label, "score": share / sum(shares)}
                    for label, share in zip(CLASSES, shares, strict=True)
                ]
                rows.append(
                    {"start": start + window.start, "end": start + window.end, "scores": scores, "speaker": speaker}
                )
    source = {"array": waveform.astype(np.float32), "sampling_rate": RATE}
    draw_timeline(path, rows, measure_envelope(source), title="call.wav")


def _share(mood: tuple[float, float] | None, seconds: float) -> float:
    if mood is None:
        return 0.05
    middle, width = mood
    return 0.05 + np.exp(-(((seconds - middle) / width) ** 2))
