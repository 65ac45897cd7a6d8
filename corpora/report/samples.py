"""The samples of the report: the choice of utterances, and their texts, ratings and recordings."""

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import DatasetDict
from markupsafe import Markup

from ...configuration.dimensions import DIMENSIONS
from ...configuration.modalities import SAMPLING_RATE
from ...processing.media import load_audio
from . import charts
from .survey import Survey

SAMPLES = 12  # utterances on the page
SAMPLES_PER_CLASS = 3
SAMPLE_SECONDS = 5.0  # longest sample; incompressible recordings then take 3 MB in total


def list_samples(found: Survey, corpus: DatasetDict) -> list[dict[str, Any]]:
    """Return samples of each class, with their texts, ratings and recordings.

    Args:
        found: The survey of the corpus.
        corpus: Its splits.
    """
    frequent = [number for number, _ in Counter(found.classes.tolist()).most_common(SAMPLES)]
    each = min(SAMPLES_PER_CLASS, SAMPLES // len(frequent))
    return [
        _sample(found, place, corpus[found.splits[place]][found.rows[place]])
        for number in sorted(frequent)
        for place in _choose(found, number, each)
    ]


def _choose(found: Survey, number: int, count: int) -> list[int]:
    """Choose utterances of a class in an arbitrary but fixed order: short ones first, from several speakers."""

    def rank(place: int) -> tuple[bool, str]:
        short = 1 <= found.seconds[place] <= SAMPLE_SECONDS
        return not short, hashlib.sha256(found.ids[place].encode()).hexdigest()

    order = sorted(np.flatnonzero(found.classes == number).tolist(), key=rank)
    first = {}  # the first utterance of each speaker
    for place in order:
        first.setdefault(found.speakers[place], place)
    chosen = list(first.values())[:count]
    return chosen + [place for place in order if place not in chosen][: count - len(chosen)]


def _sample(found: Survey, place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    color, hatched = charts.class_color(int(found.classes[place]))
    sample = {
        "label": found.labels[found.classes[place]],
        "color": color,
        "hatched": hatched,
        "seconds": float(found.seconds[place]),
        **{name: row[name] for name in ("id", "text", "asr_text", "speaker", "session")},
        "ratings": [(name, value) for name in DIMENSIONS if (value := (row["vad"] or {}).get(name)) is not None],
    }
    try:
        waveform, cut = _load_beginning(row["audio"])
    except (ValueError, OSError):
        return sample | {"recording": None}
    return sample | {
        "recording": {
            "waveform": Markup(charts.draw_waveform(waveform)),
            "flac": base64.b64encode(_encode_flac(waveform)).decode(),
            "seconds": len(waveform) / SAMPLING_RATE,
            "cut": cut,
            "peak": 20 * float(np.log10(max(np.abs(waveform).max(), 1e-6))),  # dB of full scale
        }
    }


def _load_beginning(audio: Mapping[str, Any]) -> tuple[np.ndarray, bool]:
    """Return the beginning of a recording `(samples,)`, and whether it was cut."""
    most = round(SAMPLE_SECONDS * SAMPLING_RATE)
    waveform = load_audio(audio, SAMPLING_RATE, max_seconds=SAMPLE_SECONDS + 0.1)
    return waveform[:most], len(waveform) > most


def _encode_flac(waveform: np.ndarray) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1), SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
