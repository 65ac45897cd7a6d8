"""Scores of predicted dimensions: on a split, on subsets of it, and their intervals over speakers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics.dimension_metrics.dimension_scores import NAMES, compute_scores
from .dimension_statistics import group_moments, moment_scores
from .score_records import DimensionIntervals, DimensionScores, Intervals, Scores, SubsetScores
from .statistics import MIN_SPEAKERS, RESAMPLES, interval, resample
from .subsets import find_subsets

if TYPE_CHECKING:
    from .prediction_records import Predictions


def measure(predictions: Mapping[str, "Predictions"], names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `RunResults` that predictions determine: `metrics`, `intervals` and `breakdown`.

    Args:
        predictions: Per split, of one model or pooled; among them "test", which intervals and breakdown are of.
        names: Names of the dimensions.
    """
    test = predictions["test"]
    return {
        "metrics": {split: score_predictions(rows, names) for split, rows in predictions.items()},
        "intervals": find_intervals(test, names),
        "breakdown": break_down(test, names),
    }


def score_predictions(predictions: "Predictions", names: Sequence[str]) -> Scores:
    """Return the scores of the dimensions of predictions."""
    return score_values(predictions.dimensions, predictions.dimension_labels, names)


def score_values(predicted: np.ndarray, references: np.ndarray, names: Sequence[str]) -> Scores:
    """Return the scores of values.

    Args:
        predicted: Predicted values `(utterances, dimensions)`.
        references: True values `(utterances, dimensions)`, NaN where unknown.
        names: Names of the dimensions.
    """
    scores = compute_scores(predicted, references, names)
    dimensions = {name: DimensionScores(**values) for name, values in scores.pop("dimensions").items()}
    return Scores(**scores, dimensions=dimensions)


def find_intervals(predictions: "Predictions", names: Sequence[str]) -> Intervals | None:
    """Return the 95 % intervals of the scores over resampled speakers, as `statistics.speaker_intervals` those of classes.

    Returns:
        The intervals; None if a speaker is unknown, or there are fewer than six.
    """
    known = set(predictions.speakers)
    if None in known or len(known) < MIN_SPEAKERS:
        return None
    moments = group_moments(predictions.dimensions, predictions.dimension_labels, predictions.speakers)
    scores = moment_scores(resample(moments))
    return Intervals(
        **{name: _interval(values.mean(axis=-1)) for name, values in scores.items()},
        dimensions={
            dimension: DimensionIntervals(**{name: _interval(values[:, place]) for name, values in scores.items()})
            for place, dimension in enumerate(names)
        },
        speakers=len(known),
        resamples=RESAMPLES,
    )


def _interval(values: np.ndarray) -> list[float] | None:
    """Return the interval over those samples in which the score is defined, None if it is not in half of them."""
    defined = values[np.isfinite(values)]
    return interval(defined) if 2 * len(defined) >= len(values) else None


def break_down(predictions: "Predictions", names: Sequence[str]) -> dict[str, SubsetScores]:
    """Return the scores of scripted and improvised utterances, and of texts that training contains or not.

    Returns:
        Scores of every subset that is not empty. Rows whose property is unknown are in no subset.
    """
    subsets = {}
    for name, rows in find_subsets(predictions).items():
        scores = score_values(predictions.dimensions[rows], predictions.dimension_labels[rows], names)
        means = {score: getattr(scores, score) for score in NAMES}
        subsets[name] = SubsetScores(utterances=len(rows), dimensions=scores.dimensions, **means)
    return subsets
