"""Errors of speaker verification: is this the same voice?"""

from collections.abc import Sequence

import numpy as np


def detection_errors(labels: Sequence[int], scores: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Share of false acceptances and of misses at every threshold.

    Args:
        labels: `(trials,)`, 1 where both recordings are of one speaker, else 0.
        scores: `(trials,)`, the higher the more alike.

    Returns:
        Both `(thresholds,)`, from a threshold above all scores down to the lowest score, which accepts all.

    Raises:
        ValueError: if there is no trial of either kind, a label is another number, or a score is not finite.
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
    """The error where as many impostors are accepted as speakers are missed (interpolated between thresholds).

    Args:
        labels: as in `detection_errors`, and the same errors are raised.
        scores: see there.
    """
    false_acceptance, miss = detection_errors(labels, scores)
    surplus = false_acceptance - miss  # rises from -1 to 1
    after = int(np.argmax(surplus >= 0))
    share = -surplus[after - 1] / (surplus[after] - surplus[after - 1])
    return float(miss[after - 1] + share * (miss[after] - miss[after - 1]))


def min_dcf(
    labels: Sequence[int], scores: Sequence[float], p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Least detection cost over all thresholds, as a share of that of the better of accepting none and accepting all.

    The cost function of NIST's speaker recognition evaluations; 1 means that the scores are worth nothing.

    Args:
        labels: as in `detection_errors`, and the same errors are raised.
        scores: see there.
        p_target: prior probability that a trial is of one speaker.
        c_miss: cost of a miss.
        c_fa: cost of a false acceptance.
    """
    false_acceptance, miss = detection_errors(labels, scores)
    cost = c_miss * p_target * miss + c_fa * (1 - p_target) * false_acceptance
    return float(cost.min() / min(c_miss * p_target, c_fa * (1 - p_target)))
