"""How sure the scores are: temperature scaling, intervals by speaker, and paired tests."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
# Fewer speakers tell nothing of how much speakers differ: with five, not even a difference that all of them share has
# a p below 0.05.
MIN_SPEAKERS = 6
# Up to so many speakers every exchange is tried, which is 8192; with more, `RESAMPLES` are drawn.
MAX_EXACT = 13
TEMPERATURES = 0.01, 100.0  # where every answer is right, none is too low: that is where the search ends


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the highest likelihood (Guo et al. 2017, section 4.2), between 0.01 and 100.

    Args:
        logits: `(utterances, classes)`, of the validation part.
        labels: class numbers `(utterances,)`.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits = np.asarray(logits, dtype=np.float64)
    true = logits[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return float((logsumexp(sharpness * logits, axis=1) - sharpness * true).mean())

    # In the inverse temperature the loss is convex, so there is one minimum in its logarithm too.
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def confusion_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """WA, UA and weighted F1 of many confusion matrices at once.

    Args:
        confusion: counts `(..., classes, classes)`, which may be fractions; rows are true classes.

    Returns:
        Per score, an array `(...)`. UA is over the classes that occur.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, guesses = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = support.sum(axis=-1)
    occurs = support > 0
    recall = np.divide(hits, support, out=np.zeros(hits.shape), where=occurs)
    f1 = np.divide(2 * hits, support + guesses, out=np.zeros(hits.shape), where=support + guesses > 0)
    return {
        "wa": hits.sum(axis=-1) / total,
        "ua": recall.sum(axis=-1) / occurs.sum(axis=-1),
        "wf1": (f1 * support).sum(axis=-1) / total,
    }


def group_confusions(labels: np.ndarray, shares: np.ndarray, groups: Sequence[str | None]) -> np.ndarray:
    """A confusion matrix per group.

    Args:
        labels: true class numbers `(utterances,)`.
        shares: how often each class was the answer `(utterances, classes)`: one 1 a row, or fractions over several runs.
        groups: the group of every utterance, as its speaker; None is a group of its own for every such utterance.

    Returns:
        Counts `(groups, classes, classes)`; the groups are in the order in which they first occur.
    """
    numbers = {}
    index = [
        numbers.setdefault(number if group is None else group, len(numbers)) for number, group in enumerate(groups)
    ]
    counts = np.zeros((len(numbers), shares.shape[1], shares.shape[1]))
    np.add.at(counts, (index, labels), shares)
    return counts


def resample(counts: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Confusion matrices of as many groups, drawn with replacement: the bootstrap over groups.

    Args:
        counts: `(..., groups, classes, classes)`; systems before the groups are drawn alike, which pairs them.
        seed: the draw is the same for the same seed.
        resamples: how many.

    Returns:
        `(..., resamples, classes, classes)`.
    """
    groups = counts.shape[-3]
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    return np.einsum("rg,...gtp->...rtp", drawn.astype(float), counts, optimize=True)


def interval(values: np.ndarray) -> list[float]:
    """The middle 95 % of bootstrap values (the percentile interval)."""
    edge = (1 - LEVEL) / 2
    return np.quantile(values, [edge, 1 - edge]).tolist()


def speaker_intervals(labels: np.ndarray, answers: np.ndarray, speakers: Sequence[str | None], classes: int) -> dict:
    """95 % intervals of WA, UA and weighted F1 over resampled speakers.

    A speaker's utterances are alike, so resampling utterances would give intervals that are too narrow. With ten
    speakers, as IEMOCAP has them, these are still rather too narrow than too wide.

    Args:
        labels: true class numbers `(utterances,)`.
        answers: predicted ones.
        speakers: of the utterances.
        classes: how many there are.

    Returns:
        Per score [low, high], with `speakers`, their number, and `resamples`; empty where a speaker is not known or
        there are fewer than six.
    """
    known = set(speakers)
    if None in known or len(known) < MIN_SPEAKERS:
        return {}
    scores = confusion_scores(resample(group_confusions(labels, np.eye(classes)[answers], speakers)))
    return {
        **{name: interval(values) for name, values in scores.items()},
        "speakers": len(known),
        "resamples": RESAMPLES,
    }


def sign_test(first: np.ndarray, second: np.ndarray) -> dict:
    """McNemar's exact test: are the utterances that only one system has right shared out as a coin would?

    Args:
        first: how often a system is right about each utterance `(utterances,)`: 0 or 1, or a share of several runs,
            with which this is the sign test over utterances.
        second: the same of the other system.

    Returns:
        `first` and `second`, on how many utterances each is the better one, and the two-sided `p`.
    """
    from scipy.stats import binomtest

    better = {"first": int((first > second).sum()), "second": int((second > first).sum())}
    differ = sum(better.values())
    return better | {"p": float(binomtest(better["first"], differ).pvalue) if differ else 1.0}


def exchange_test(first: np.ndarray, second: np.ndarray, score: str, seed: int = 0) -> float:
    """Permutation test over speakers: would a difference as large appear if the systems' names meant nothing?

    For every speaker the answers of the two systems are exchanged or not: all ways are tried up to thirteen
    speakers, and 10,000 are drawn with more (p is then that of Phipson and Smyth 2010, never zero).

    Args:
        first: counts `(speakers, classes, classes)` of a system.
        second: of the other.
        score: a name of `confusion_scores`.
        seed: of the draw.

    Returns:
        The two-sided p.
    """
    speakers = len(first)
    if exact := speakers <= MAX_EXACT:
        kept = (np.arange(2**speakers)[:, None] >> np.arange(speakers)) & 1
    else:
        kept = np.random.default_rng(seed).integers(0, 2, size=(RESAMPLES, speakers))
    kept = kept.astype(float)

    def difference(kept: np.ndarray) -> np.ndarray:
        one = np.tensordot(kept, first, axes=1) + np.tensordot(1 - kept, second, axes=1)
        other = first.sum(axis=0) + second.sum(axis=0) - one
        return confusion_scores(other)[score] - confusion_scores(one)[score]

    observed = difference(np.ones((1, speakers)))
    extreme = int((np.abs(difference(kept)) >= np.abs(observed) - 1e-12).sum())
    return extreme / len(kept) if exact else (extreme + 1) / (len(kept) + 1)
