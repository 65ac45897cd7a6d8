"""Errors of speaker verification: whether two recordings are of one speaker."""

from collections.abc import Sequence

import numpy as np


def detection_errors(labels: Sequence[int], scores: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates of false acceptances and of misses at every threshold.

    Args:
        labels: Labels of the trials `(trials,)`: 1 if both recordings are of one speaker, else 0.
        scores: Similarities `(trials,)`.

    Returns:
        Both rates `(thresholds,)`, from a threshold above all scores down to the lowest score, which accepts all trials.

    Raises:
        ValueError: If one of the two labels does not occur, another label does, or a score is not finite.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must both be of shape (trials,).")
    if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) < 2:
        raise ValueError("labels must be 0 (other speaker) and 1 (same speaker), and both must occur.")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite numbers.")
    order = np.argsort(-scores, kind="stable")
    accepted = np.cumsum([labels[order] == 0, labels[order] == 1], axis=1)
    last_of_its_score = np.append(np.diff(scores[order]) != 0, True)
    false, true = np.concatenate([np.zeros((2, 1)), accepted[:, last_of_its_score]], axis=1)
    return false / false[-1], 1 - true / true[-1]


def equal_error_rate(labels: Sequence[int], scores: Sequence[float]) -> float:
    """Return the equal error rate: that of false acceptances and misses where both are equal (interpolated).

    Args:
        labels: Labels, as in [`detection_errors`], which raises for invalid ones.
        scores: Similarities.
    """
    false_acceptance, miss = detection_errors(labels, scores)
    surplus = false_acceptance - miss  # rises from -1 to 1
    after = int(np.argmax(surplus >= 0))
    share = -surplus[after - 1] / (surplus[after] - surplus[after - 1])
    return float(miss[after - 1] + share * (miss[after] - miss[after - 1]))


def min_dcf(
    labels: Sequence[int], scores: Sequence[float], p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Return the minimum detection cost over all thresholds, as in NIST's speaker recognition evaluations.

    It is divided by the cost of accepting all trials or none, whichever is lower: 1 means that scores do not help.

    Args:
        labels: Labels, as in [`detection_errors`], which raises for invalid ones.
        scores: Similarities.
        p_target: Prior probability that a trial is of one speaker.
        c_miss: Cost of a miss.
        c_fa: Cost of a false acceptance.
    """
    false_acceptance, miss = detection_errors(labels, scores)
    cost = c_miss * p_target * miss + c_fa * (1 - p_target) * false_acceptance
    return float(cost.min() / min(c_miss * p_target, c_fa * (1 - p_target)))
