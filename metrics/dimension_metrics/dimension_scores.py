"""Scores of predicted dimensions of emotion, with numpy alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

NAMES = ("ccc", "pearson", "rmse")
# Predictions vary if their variance is above this, in units of that of the references. Below it are roundings of float32.
SMALLEST = 1e-12


def compute_scores(predictions: Any, references: Any, dimensions: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the scores of the metric, which needs `evaluate`, and a folder for its cache; this function needs neither.

    Args:
        predictions: As in `DimensionMetrics`.
        references: As in `DimensionMetrics`.
        dimensions: As in `DimensionMetrics`.

    Raises:
        ValueError: If the shapes differ, there are no utterances, or a prediction is not finite.
    """
    predicted, true = check_pairs(predictions, references)
    if not true.size:
        raise ValueError("predictions and references are empty: give at least one utterance and one dimension.")
    names = [str(number) for number in range(true.shape[1])] if dimensions is None else list(dimensions)
    if len(names) != true.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"dimensions has the names {names} for {true.shape[1]} columns: give each column its own.")
    scores = {name: score_dimension(*columns) for name, *columns in zip(names, predicted.T, true.T, strict=True)}
    return {**average(list(scores.values())), "dimensions": scores}


def score_dimension(predicted: np.ndarray, true: np.ndarray) -> dict[str, float | int | None]:
    """Return the scores of one dimension.

    With means m, variances v and covariance c of the predictions x and the references y over the utterances, all of
    them divided by their number (the population's, as in Lin 1989):

        ccc = 2 c / (v_x + v_y + (m_x - m_y) ** 2)        pearson = c / sqrt(v_x v_y)

    Args:
        predicted: Predicted values `(utterances,)`, finite.
        true: True values `(utterances,)`, NaN where unknown. Such utterances are left out.

    Returns:
        `ccc`, `pearson` and `rmse`; `utterances` and `unknown`, the numbers of known and of unknown references. CCC and
        Pearson's r are None with fewer than two known references, or where the references do not vary (CCC only if the
        predictions are the same constant). Both are 0 where the predictions do not vary, by less than a millionth of the
        standard deviation of the references.
    """
    known = ~np.isnan(true)
    counts = {"utterances": int(known.sum()), "unknown": int((~known).sum())}
    if not counts["utterances"]:
        return dict.fromkeys(NAMES) | counts
    x, y = np.asarray(predicted, dtype=np.float64)[known], np.asarray(true, dtype=np.float64)[known]
    # Squares of very large or small values would leave the range of floats; a power of two rounds nothing.
    exponent = int(np.frexp(max(np.abs(x).max(), np.abs(y).max()))[1])
    x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
    rmse = float(np.ldexp(np.sqrt(np.mean((x - y) ** 2)), exponent))
    return {**_correlate(x, y), "rmse": rmse, **counts}


def _correlate(x: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
    if len(x) < 2:
        return {"ccc": None, "pearson": None}
    # The mean of equal numbers may differ from them by rounding, so that their variance would not be zero.
    centred = [values - values.mean() if np.ptp(values) else np.zeros(len(values)) for values in (x, y)]
    of_x, of_y = (float(np.mean(values**2)) for values in centred)
    of_x = of_x if of_x > SMALLEST * of_y else 0.0
    covariance = float(np.mean(centred[0] * centred[1])) if of_x else 0.0
    spread = of_x + of_y + float(x.mean() - y.mean()) ** 2
    pearson = None if of_y == 0 else 0.0
    if of_x > 0 and of_y > 0:
        pearson = float(np.clip(covariance / np.sqrt(of_x) / np.sqrt(of_y), -1, 1))
    return {"ccc": 2 * covariance / spread if spread > 0 else None, "pearson": pearson}


def average(scores: Sequence[dict[str, float | int | None]]) -> dict[str, float | None]:
    """Return the mean of each score over the dimensions that have known references.

    Args:
        scores: Scores of each dimension, from `score_dimension`.

    Returns:
        The means; None where the score of such a dimension is None, or no reference is known.
    """
    measured = [dimension for dimension in scores if dimension["utterances"]]
    means = {}
    for name in NAMES:
        values = [dimension[name] for dimension in measured]
        means[name] = float(np.mean(values)) if values and None not in values else None
    return means


def check_pairs(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and references `(utterances, dimensions)` as arrays of float64.

    Args:
        predictions: Finite values; of a single dimension they may have the shape `(utterances,)`.
        references: The same; None or NaN is an unknown value.

    Raises:
        ValueError: If they are not such values, or have different shapes.
    """
    predicted, true = _check_values(predictions, "predictions"), _check_values(references, "references", unknown=True)
    if predicted.shape != true.shape:
        raise ValueError(
            f"predictions have the shape {predicted.shape} and references {true.shape}: give one value of each for every "
            "utterance and dimension."
        )
    return predicted, true


def _check_values(values: Any, name: str, unknown: bool = False) -> np.ndarray:
    try:
        array = np.asarray(values)
        if array.dtype == bool or array.dtype.kind not in "iufO":
            raise TypeError
        array = array.astype(np.float64)  # None becomes NaN
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be numbers of shape (utterances, dimensions).") from error
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name} must have the shape (utterances, dimensions), not {array.shape}.")
    wrong = np.isinf(array) if unknown else ~np.isfinite(array)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(f"{name}[{row}][{column}] is {array[row, column]}: give a finite number.")
    return array
