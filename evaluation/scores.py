"""Scores of a classifier's predictions: on a split, on subsets of it, and their intervals over speakers."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics.emotion_metrics.emotion_scores import compute_scores
from .calibration import softmax
from .score_records import Intervals, Scores, SubsetScores
from .statistics import confusion_scores, count_speakers, group_confusions, speaker_intervals
from .subsets import find_subsets

if TYPE_CHECKING:
    from transformers.trainer_utils import PredictionOutput

    from .prediction_records import Predictions


def measure(predictions: Mapping[str, "Predictions"], labels: list[str]) -> dict[str, Any]:
    """Return the fields of `RunResults` that predictions determine: `metrics`, `intervals` and `breakdown`.

    Args:
        predictions: Per split, of one model or pooled; among them "test", which intervals and breakdown are of.
        labels: Names of the classes.
    """
    test = predictions["test"]
    intervals = speaker_intervals(test.labels, test.predicted, test.speakers, len(labels))
    return {
        "metrics": {split: score_calibrated(rows, labels) for split, rows in predictions.items()},
        "intervals": Intervals(**intervals) if intervals else None,
        "breakdown": break_down(test),
    }


def score(output: "PredictionOutput", labels: list[str]) -> Scores:
    """Return the scores of a model's output.

    Args:
        output: Logits `(utterances, classes)` and label ids `(utterances,)`.
        labels: Names of the classes.
    """
    logits = np.asarray(output.predictions)
    return score_classes(logits.argmax(axis=-1), output.label_ids, labels, softmax(logits))


def score_calibrated(predictions: "Predictions", labels: list[str]) -> Scores:
    """Return the scores of predictions, with ECE and NLL after temperature scaling too, which changes no other."""
    plain, scaled = (
        score_classes(predictions.predicted, predictions.labels, labels, predictions.probabilities(scaled))
        for scaled in (False, True)
    )
    return dataclasses.replace(
        plain,
        speakers=count_speakers(predictions.labels, predictions.speakers, len(labels)),
        ece_scaled=scaled.ece,
        nll_scaled=scaled.nll,
    )


def score_classes(
    predicted: np.ndarray, references: np.ndarray, labels: list[str], probabilities: np.ndarray | None = None
) -> Scores:
    """Return the scores of class numbers.

    Args:
        predicted: Predicted class numbers `(utterances,)`.
        references: True class numbers `(utterances,)`.
        labels: Names of the classes.
        probabilities: `(utterances, classes)`; without them ECE and NLL are None.
    """
    scores = compute_scores(predicted, references, labels, probabilities)
    return Scores(**scores)


def break_down(predictions: "Predictions") -> dict[str, SubsetScores]:
    """Return the scores of scripted and improvised utterances, and of texts that training contains or not.

    Args:
        predictions: On a split, or pooled.

    Returns:
        Scores of every subset that is not empty. Rows whose property is unknown are in no subset.
    """
    subsets = {}
    for name, rows in find_subsets(predictions).items():
        shares = np.eye(predictions.logits.shape[1])[predictions.predicted[rows]]
        confusion = group_confusions(predictions.labels[rows], shares, ["subset"] * len(rows))[0]
        scores = {score: float(value) for score, value in confusion_scores(confusion).items()}
        classes = int((confusion.sum(axis=1) > 0).sum())
        subsets[name] = SubsetScores(utterances=len(rows), classes=classes, **scores)
    return subsets
