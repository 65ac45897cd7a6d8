"""CCC, Pearson's r and RMSE of many samples at once, from sums over the utterances of each speaker."""

from collections.abc import Sequence

import numpy as np

from ..metrics.dimension_metrics.dimension_scores import SMALLEST
from .statistics import number_groups

# Values are clipped to this, in the same units, so that sums of their squares are finite.
LARGEST = 1e100


def group_moments(
    predicted: np.ndarray, references: np.ndarray, groups: Sequence[str | None], weights: np.ndarray | None = None
) -> np.ndarray:
    """Return sums over the utterances of each group, from which scores of any sample of groups follow.

    Values are taken in units of the references, from which scores are the same: their mean is 0, their variance 1.

    Args:
        predicted: Predicted values `(predictions, dimensions)`.
        references: True values `(predictions, dimensions)`, NaN where unknown; these predictions count nothing.
        groups: Group of each prediction, as its speaker. Each None is a group of its own.
        weights: Weight of each prediction `(predictions,)`, as the share of one run in several; by default 1.

    Returns:
        `(groups, dimensions, 7)`, groups in the order of their first prediction: sums of 1, x, y, x², y² and xy of the
        predictions x and references y, and the unit of the dimension, weighted like the first.
    """
    index, number = number_groups(groups)
    known = ~np.isnan(references)
    weights = known * (np.ones(len(known)) if weights is None else weights)[:, None]
    truth = np.where(known, references, 0.0)
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    centre = (weights * truth).sum(axis=0) / total
    distance = truth - centre
    largest = np.maximum(np.abs(distance).max(axis=0, initial=0.0), np.finfo(float).tiny)
    unit = largest * np.sqrt((weights * (distance / largest) ** 2).sum(axis=0) / total)
    unit = np.where(unit > 0, unit, 1.0)
    x, y = (np.clip((values - centre) / unit, -LARGEST, LARGEST) for values in (predicted, truth))
    sums = np.stack([np.ones(x.shape), x, y, x**2, y**2, x * y, np.broadcast_to(unit, x.shape)], axis=-1)
    moments = np.zeros((number, *sums.shape[1:]))
    np.add.at(moments, index, weights[..., None] * sums)
    return moments


def moment_scores(moments: np.ndarray) -> dict[str, np.ndarray]:
    """Return CCC, Pearson's r and RMSE of each dimension, as `metrics/dimension_metrics` defines them.

    Args:
        moments: `(..., dimensions, 7)`, from `group_moments`, summed over groups.

    Returns:
        Per score, an array `(..., dimensions)`; NaN where it is undefined.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        total = moments[..., 0]
        mean_x, mean_y, square_x, square_y, product, unit = np.moveaxis(moments[..., 1:] / total[..., None], -1, 0)
        of_x, of_y = square_x - mean_x**2, square_y - mean_y**2
        of_x, of_y = (np.where(values > SMALLEST, values, 0.0) for values in (of_x, of_y))
        covariance = np.where((of_x > 0) & (of_y > 0), product - mean_x * mean_y, 0.0)
        distance = (mean_x - mean_y) ** 2
        spread = of_x + of_y + np.where(distance > SMALLEST, distance, 0.0)
        ccc = np.where(spread > 0, 2 * covariance / spread, np.nan)
        pearson = np.where(of_x > 0, covariance / np.sqrt(of_x * of_y), np.where(of_y > 0, 0.0, np.nan))
        rmse = unit * np.sqrt(np.maximum(square_x - 2 * product + square_y, 0.0))
    return {"ccc": ccc, "pearson": pearson, "rmse": rmse}
