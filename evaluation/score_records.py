"""Records of scores: of a split, of a subset of it, and their intervals over speakers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..configuration.plain_text import show_value
from .records import Record


@dataclass(kw_only=True)
class DimensionScores(Record):
    """Scores of one dimension on a split, as `metrics/dimension_metrics` defines them. None: not measured, or undefined.

    Args:
        ccc: Concordance correlation coefficient.
        pearson: Pearson's r.
        rmse: Root of the mean squared error, in the corpus's scale.
        utterances: Utterances whose true value is known; the scores are over them.
        unknown: Utterances whose true value is unknown.
    """

    ccc: float | None = None
    pearson: float | None = None
    rmse: float | None = None
    utterances: int = 0
    unknown: int = 0


@dataclass(kw_only=True)
class Scores(Record):
    """Scores of a model on a split: of its classes, of its dimensions, or of both. None: not measured.

    `metrics/emotion_metrics` and `metrics/dimension_metrics` define them.

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
        ccc: Mean of the dimensions' CCC.
        pearson: Mean of the dimensions' Pearson's r.
        rmse: Mean of the dimensions' RMSE, in the corpus's scale.
        dimensions: Scores of each dimension by its name.
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
    ccc: float | None = None
    pearson: float | None = None
    rmse: float | None = None
    dimensions: dict[str, DimensionScores] = field(default_factory=dict)

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
    """Scores on a subset of a split. None: not measured.

    Args:
        utterances: Their number, counted once per run that tests them.
        classes: Number of classes that occur; UA is the mean of their recalls.
        wa: Overall accuracy.
        ua: Mean recall.
        wf1: F1, weighted by support.
        ccc: Mean of the dimensions' CCC.
        pearson: Mean of the dimensions' Pearson's r.
        rmse: Mean of the dimensions' RMSE.
        dimensions: Scores of each dimension by its name.
    """

    utterances: int
    classes: int | None = None
    wa: float | None = None
    ua: float | None = None
    wf1: float | None = None
    ccc: float | None = None
    pearson: float | None = None
    rmse: float | None = None
    dimensions: dict[str, DimensionScores] = field(default_factory=dict)


@dataclass(kw_only=True)
class DimensionIntervals(Record):
    """95 % intervals `[low, high]` of the scores of one dimension over resampled speakers.

    Args:
        ccc: Interval of the CCC.
        pearson: Interval of Pearson's r.
        rmse: Interval of the RMSE.
    """

    ccc: list[float] | None = None
    pearson: list[float] | None = None
    rmse: list[float] | None = None

    def __post_init__(self):
        _check_intervals(self, ("ccc", "pearson", "rmse"))


@dataclass(kw_only=True)
class Intervals(Record):
    """95 % intervals `[low, high]` of scores over resampled speakers.

    Args:
        wa: Interval of the overall accuracy.
        ua: Interval of the mean recall.
        wf1: Interval of the weighted F1.
        ccc: Interval of the mean CCC.
        pearson: Interval of the mean Pearson's r.
        rmse: Interval of the mean RMSE.
        dimensions: Intervals of each dimension by its name.
        speakers: Number of speakers.
        resamples: Number of bootstrap samples.
    """

    wa: list[float] | None = None
    ua: list[float] | None = None
    wf1: list[float] | None = None
    ccc: list[float] | None = None
    pearson: list[float] | None = None
    rmse: list[float] | None = None
    dimensions: dict[str, DimensionIntervals] = field(default_factory=dict)
    speakers: int | None = None
    resamples: int | None = None

    def __post_init__(self):
        _check_intervals(self, ("wa", "ua", "wf1", "ccc", "pearson", "rmse"))


def _check_intervals(record: Record, names: Sequence[str]) -> None:
    for name in names:
        check_interval(name, getattr(record, name))


def check_interval(name: str, edges: Sequence[float] | None) -> None:
    """Raise a `ValueError` if an interval, unless it is None, is not two finite numbers."""
    if edges is not None and (len(edges) != 2 or not np.isfinite(edges).all()):
        raise ValueError(f"{name}: {show_value(edges)} must be two finite numbers, the ends of an interval.")
