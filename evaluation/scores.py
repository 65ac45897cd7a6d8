"""Scores of a classifier's predictions: on a split, on subsets of it, and their intervals over speakers."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configuration.plain_text import show_value
from ..metrics.emotion_metrics.emotion_scores import compute_scores
from .calibration import softmax
from .records import Record
from .statistics import confusion_scores, count_speakers, group_confusions, speaker_intervals

if TYPE_CHECKING:
    from transformers.trainer_utils import PredictionOutput

    from .predictions import Predictions

# column of the predictions -> value -> name of the subset
SUBSETS = {
    "scripted": {True: "scripted", False: "improvised"},
    "text_seen": {True: "text seen in training", False: "text not seen"},
}


@dataclass(kw_only=True)
class ClassificationScores(Record):
    """Scores of a classifier on a split, as `metrics/emotion_metrics` defines them. None: not measured.

    Args:
        wa: Overall accuracy.
        ua: Mean recall of the classes that occur.
        wf1: F1, weighted by support.
        macro_f1: Mean F1 of the classes that occur.
        recall: Per class; None for one that does not occur.
        precision: Per class.
        f1: Per class.
        support: Utterances per class.
        speakers: Speakers per class; None where one is unknown.
        confusion_matrix: Counts `(classes, classes)`; rows are true classes.
        ece: Expected calibration error.
        nll: Mean negative log-likelihood, in nats.
        ece_scaled: ECE after temperature scaling; that without it where no temperature calibrates the validation split.
        nll_scaled: NLL likewise.
    """

    wa: float | None = None
    ua: float | None = None
    wf1: float | None = None
    macro_f1: float | None = None
    recall: list[float | None] | None = None
    precision: list[float | None] | None = None
    f1: list[float | None] | None = None
    support: list[int] | None = None
    speakers: list[int | None] | None = None
    confusion_matrix: list[list[int]] | None = None
    ece: float | None = None
    nll: float | None = None
    ece_scaled: float | None = None
    nll_scaled: float | None = None

    def check_classes(self, classes: int, place: str) -> None:
        """Raise if the scores of the classes are not those of `classes` classes.

        Args:
            classes: Number of classes.
            place: The split, for the message.

        Raises:
            ValueError: If a list has another length.
        """
        for name in ("recall", "precision", "f1", "support", "speakers", "confusion_matrix"):
            values = getattr(self, name)
            rows = values if name == "confusion_matrix" and values else []
            if values is not None and {len(values), *map(len, rows)} != {classes}:
                raise ValueError(f"metrics: {place!r}: {name} is not one of {classes} labels.")


@dataclass(kw_only=True)
class SubsetScores(Record):
    """Scores on a subset of a split.

    Args:
        utterances: Their number, counted once per run that tests them.
        classes: Number of classes that occur; UA is the mean of their recalls.
        wa: Overall accuracy.
        ua: Mean recall.
        wf1: F1, weighted by support.
    """

    utterances: int
    classes: int
    wa: float | None = None
    ua: float | None = None
    wf1: float | None = None


@dataclass(kw_only=True)
class Intervals(Record):
    """95 % intervals `[low, high]` of scores over resampled speakers.

    Args:
        wa: Interval of the overall accuracy.
        ua: Interval of the mean recall.
        wf1: Interval of the weighted F1.
        speakers: Number of speakers.
        resamples: Number of bootstrap samples.
    """

    wa: list[float] | None = None
    ua: list[float] | None = None
    wf1: list[float] | None = None
    speakers: int | None = None
    resamples: int | None = None

    def __post_init__(self):
        for name in ("wa", "ua", "wf1"):
            check_interval(name, getattr(self, name))


def check_interval(name: str, edges: Sequence[float] | None) -> None:
    """Raise a `ValueError` if an interval, unless it is None, is not two finite numbers."""
    if edges is not None and (len(edges) != 2 or not np.isfinite(edges).all()):
        raise ValueError(f"{name}: {show_value(edges)} must be two finite numbers, the ends of an interval.")


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


def score(output: "PredictionOutput", labels: list[str]) -> ClassificationScores:
    """Return the scores of a model's output.

    Args:
        output: Logits `(utterances, classes)` and label ids `(utterances,)`.
        labels: Names of the classes.
    """
    logits = np.asarray(output.predictions)
    return score_classes(logits.argmax(axis=-1), output.label_ids, labels, softmax(logits))


def score_calibrated(predictions: "Predictions", labels: list[str]) -> ClassificationScores:
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
) -> ClassificationScores:
    """Return the scores of class numbers.

    Args:
        predicted: Predicted class numbers `(utterances,)`.
        references: True class numbers `(utterances,)`.
        labels: Names of the classes.
        probabilities: `(utterances, classes)`; without them ECE and NLL are None.
    """
    scores = compute_scores(predicted, references, labels, probabilities)
    return ClassificationScores(**scores)


def break_down(predictions: "Predictions") -> dict[str, SubsetScores]:
    """Return the scores of scripted and improvised utterances, and of texts that training contains or not.

    Args:
        predictions: On a split, or pooled.

    Returns:
        Scores of every subset that is not empty. Rows whose property is unknown are in no subset.
    """
    subsets = {}
    for column, names in SUBSETS.items():
        values = getattr(predictions, column)
        for value, name in names.items():
            rows = np.flatnonzero([known is value for known in values])
            if not len(rows):
                continue
            shares = np.eye(predictions.logits.shape[1])[predictions.predicted[rows]]
            confusion = group_confusions(predictions.labels[rows], shares, ["subset"] * len(rows))[0]
            scores = {score: float(value) for score, value in confusion_scores(confusion).items()}
            classes = int((confusion.sum(axis=1) > 0).sum())
            subsets[name] = SubsetScores(utterances=len(rows), classes=classes, **scores)
    return subsets
