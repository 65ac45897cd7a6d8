"""Scores of emotion recognition from one confusion matrix, with numpy alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

CALIBRATION_BINS = 15


def compute_scores(
    predictions: Any, references: Any, labels: Sequence[str] | int | None = None, probabilities: Any = None
) -> dict[str, Any]:
    """Return the scores of the metric, which needs `evaluate`, and a folder for its cache; this function needs neither.

    Args:
        predictions: As in `EmotionMetrics`.
        references: As in `EmotionMetrics`.
        labels: As in `EmotionMetrics`.
        probabilities: As in `EmotionMetrics`.

    Raises:
        ValueError: If class ids are not integers, there are none, or probabilities are no distributions.
    """
    predicted, true = check_pairs(predictions, references)
    if not len(true):
        raise ValueError("predictions and references are empty: give at least one class id.")
    if probabilities is not None:
        probabilities = _distributions(probabilities, len(true))
    classes = _count_classes(labels, probabilities, predicted, true)
    confusion = np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, classes)
    scores = _scores(confusion)
    if probabilities is not None:
        scores["ece"] = _expected_calibration_error(probabilities, predicted, true)
        likelihood = probabilities[np.arange(len(true)), true]
        scores["nll"] = float(-np.log(likelihood.clip(min=np.finfo(np.float64).eps)).mean())
    return scores


def check_pairs(predictions: Any, references: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and true class ids `(examples,)` as arrays of int64.

    Args:
        predictions: As in `EmotionMetrics`.
        references: As in `EmotionMetrics`.

    Raises:
        ValueError: If they are not integers in one dimension, or their numbers differ.
    """
    predicted, true = _check_class_ids(predictions, "predictions"), _check_class_ids(references, "references")
    if len(predicted) != len(true):
        raise ValueError(f"There are {len(predicted)} predictions and {len(true)} references: give the same number.")
    return predicted, true


def _check_class_ids(values: Any, name: str) -> np.ndarray:
    try:
        ids = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be one list of class ids, not lists of different lengths.") from error
    if ids.ndim != 1:
        raise ValueError(f"{name} must be class ids of shape (examples,), not an array of shape {ids.shape}.")
    if ids.size and not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"{name} must be integer class ids, not {ids.dtype}: take the argmax of scores or soft labels."
        )
    return ids.astype(np.int64)


def _scores(confusion: np.ndarray) -> dict[str, Any]:
    hits, support, guesses = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = support > 0
    recall = hits / np.maximum(support, 1)
    precision = hits / np.maximum(guesses, 1)
    f1 = 2 * hits / np.maximum(support + guesses, 1)
    return {
        "wa": float(hits.sum() / support.sum()),
        "ua": float(recall[occurs].mean()),
        "wf1": float(f1 @ support / support.sum()),
        "macro_f1": float(f1[occurs].mean()),
        "recall": [value if known else None for value, known in zip(recall.tolist(), occurs, strict=True)],
        "precision": precision.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion_matrix": confusion.tolist(),
    }


def _expected_calibration_error(probabilities: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> float:
    confidence = probabilities[np.arange(len(true)), predicted]
    inner_edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    bins = np.digitize(confidence, inner_edges, right=True)
    # |accuracy - confidence| of a bin times its share of the examples; the count of the bin cancels.
    surplus = np.bincount(bins, weights=(predicted == true) - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(surplus).sum() / len(true))


def _distributions(values: Any, examples: int) -> np.ndarray:
    try:
        probabilities = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("probabilities must be numbers of shape (examples, classes).") from error
    if probabilities.ndim != 2 or len(probabilities) != examples:
        raise ValueError(f"probabilities must have shape ({examples}, classes), not {probabilities.shape}.")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be finite, but there are NaN or infinite values.")
    if (probabilities < 0).any() or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-2):
        raise ValueError("Every row of probabilities must be at least 0 and sum to 1: apply a softmax to logits.")
    return probabilities


def _count_classes(
    labels: Sequence[str] | int | None, probabilities: np.ndarray | None, predicted: np.ndarray, true: np.ndarray
) -> int:
    columns = None if probabilities is None else probabilities.shape[1]
    if labels is not None:
        classes = labels if isinstance(labels, int) else len(labels)
    else:
        classes = columns or int(max(predicted.max(), true.max())) + 1
    if columns not in (None, classes):
        raise ValueError(f"probabilities have {columns} columns, but there are {classes} labels.")
    for name, ids in (("predictions", predicted), ("references", true)):
        wrong = np.flatnonzero((ids < 0) | (ids >= classes))
        if len(wrong):
            raise ValueError(f"{name}[{wrong[0]}] is {ids[wrong[0]]}, but the class ids are 0 to {classes - 1}.")
    return classes
