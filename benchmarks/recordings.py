"""Recordings of noise as rows of a corpus, and the processor of a model with random encoders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..configuration.modalities import SAMPLING_RATE
from .decode import write_video
from .systems import LABELS, LENGTHS

WORDS = ("i", "you", "it", "the", "to", "a", "and", "what", "know", "not", "do", "like", "have", "we", "just", "going")


def make_processor(model, texts: list[str]):
    """Return the processor of a run without pretrained encoders."""
    from ..training.arguments import DataArguments, ModelArguments
    from ..training.processor_building import build_processor

    return build_processor(ModelArguments(), DataArguments(), model, texts)


def write_rows(folder: Path, clips: int, with_video: bool = False, lengths: Sequence[float] = LENGTHS):
    """Write recordings and videos of noise; return rows of a corpus with them, words and alignments.

    Args:
        folder: An empty folder.
        clips: Number of rows.
        with_video: Whether to write videos.
        lengths: Seconds of the clips, in turn.
    """
    import soundfile
    from datasets import Dataset

    from ..corpora.schema import features

    random, rows = np.random.default_rng(0), []
    schema = features(LABELS)
    for number in range(clips):
        seconds = lengths[number % len(lengths)]
        audio, video = folder / f"{number}.wav", folder / f"{number}.mkv"
        soundfile.write(audio, random.normal(0, 0.1, round(seconds * SAMPLING_RATE)).clip(-1, 1), SAMPLING_RATE)
        if with_video:
            write_video(video, np.zeros((round(seconds * 44100), 2), np.float32), seconds)
        words = [str(word) for word in random.choice(WORDS, round(2.5 * seconds))]
        starts = (np.arange(len(words)) / 2.5).tolist()
        segments = {"start": starts, "end": [start + 0.4 for start in starts], "symbol": words}
        row = dict.fromkeys(schema) | {
            "id": str(number),
            "audio": {"path": str(audio), "bytes": None, "start": None, "end": None},
            "text": " ".join(words),
            "label": number % len(LABELS),
            "alignment": dict.fromkeys(("word", "syllable", "phone"), segments),
        }
        if with_video:
            row["video"] = {"path": str(video), "start": None, "end": None, "crop": None}
        rows.append(row)
    return Dataset.from_list(rows, features=schema)
