"""Random predictions of classes, of dimensions and of both, and a corpus without recordings to predict."""

from dataclasses import replace

import numpy as np
from datasets import Dataset, DatasetDict
from emofusion.corpora.schema import features
from emofusion.evaluation.prediction_records import UNKNOWN
from emofusion.evaluation.predictions import Predictions
from emofusion.evaluation.task import load_task

LABELS = ["angry", "happy", "sad", "calm"]
NAMES = ["arousal", "valence", "dominance"]
SCALE = (1.0, 7.0)
CLASSES = load_task("classification", LABELS)
VALUES = load_task("dimensions", NAMES, scale=SCALE)
BOTH = load_task("multi_task", LABELS, dimensions=NAMES, scale=SCALE)


def make(rows=40, seed=0, **columns) -> Predictions:
    """Predictions on `rows` utterances of seven speakers; `columns` replace fields."""
    rng = np.random.default_rng(seed)
    values = {
        "ids": [f"{seed}-{number}" for number in range(rows)],
        "speakers": [f"s{number % 7}" for number in range(rows)],
        "labels": rng.integers(4, size=rows),
        "logits": rng.normal(size=(rows, 4)).astype(np.float32).astype(np.float64),
        "scripted": [(True, False, None)[number % 3] for number in range(rows)],
        "text_seen": [number % 4 == 0 for number in range(rows)],
        "temperature": np.ones(rows),
    }
    return Predictions(**values | columns)


def make_values(rows=40, seed=0, noise=1.0, unknown=0.1, truth_seed=9, **columns) -> Predictions:
    """Predicted values on `rows` utterances of seven speakers, `noise` away from the true ones.

    The true values, a share of them unknown, depend on `truth_seed` alone.
    """
    rng = np.random.default_rng(truth_seed)
    truth = rng.uniform(*SCALE, size=(rows, len(NAMES)))
    hidden = rng.uniform(size=truth.shape) < unknown
    values = {
        "ids": [f"u{number}" for number in range(rows)],
        "labels": None,
        "logits": None,
        "dimension_labels": np.where(hidden, np.nan, truth),
        "dimensions": truth + noise * np.random.default_rng(seed).normal(size=truth.shape),
    }
    return make(rows, seed, **values | columns)


def make_both(rows=40, seed=0, noise=1.0, **columns) -> Predictions:
    """Predictions of classes and of values; the class of every fifth utterance is unknown."""
    values, classes = make_values(rows, seed, noise), make(rows, seed)
    labels = np.where(np.arange(rows) % 5, np.random.default_rng(9).integers(4, size=rows), UNKNOWN)
    return replace(values, **{"labels": labels, "logits": classes.logits} | columns)


def make_corpus(labels) -> DatasetDict:
    """A corpus without recordings: six speakers per split, every other text is in the training split."""

    def rows(split, count):
        for number in range(count):
            yield {
                **dict.fromkeys(features(labels)),
                "id": f"{split}-{number}",
                "text": f"text {number % 4}" if number % 2 else f"{split} {number}",
                "label": number % len(labels),
                "speaker": f"{split}-{number % 6}",
                "start": 0.0,
                "end": 1.5 + number,
                "scripted": number % 4 == 0,
                "vad": None if number % 5 == 4 else {"valence": 1 + number % 3, "arousal": 2 + number % 5 / 2},
            }

    counts = {"train": 24, "validation": 12, "test": 30}
    return DatasetDict(
        {name: Dataset.from_list(list(rows(name, count)), features(labels)) for name, count in counts.items()}
    )
