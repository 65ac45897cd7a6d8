"""Random predictions of a classifier, and a corpus without recordings to predict."""

import numpy as np
from datasets import Dataset, DatasetDict
from emofusion.corpora.schema import features
from emofusion.evaluation.predictions import Predictions
from emofusion.evaluation.task import load_task

LABELS = ["angry", "happy", "sad", "calm"]
CLASSES = load_task("classification", LABELS)


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
            }

    counts = {"train": 24, "validation": 12, "test": 30}
    return DatasetDict(
        {name: Dataset.from_list(list(rows(name, count)), features(labels)) for name, count in counts.items()}
    )
