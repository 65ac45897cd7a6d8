"""Uncertainty of scores: bootstrap intervals over speakers, and paired tests of two systems."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
# Fewer speakers do not show how much speakers differ: with five, even a difference that all of them share has a p of
# more than 0.05.
MIN_SPEAKERS = 6
# Up to this number of speakers all 2 ** speakers exchanges are tried; with more, `RESAMPLES` are drawn.
MAX_EXACT = 13


def count_known(names: Iterable[str | None]) -> int | None:
    """Return the number of different speakers; None if one is unknown."""
    names = set(names)
    return None if None in names else len(names)


def count_speakers(labels: Iterable[int], speakers: Iterable[str | None], classes: int) -> list[int | None]:
    """Return the number of speakers of each class, None where one is unknown."""
    names = [set() for _ in range(classes)]
    for label, speaker in zip(labels, speakers, strict=True):
        names[label].add(speaker)
    return list(map(count_known, names))


def confusion_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return WA, UA and weighted F1 of many confusion matrices at once.

    Args:
        confusion: Counts `(..., classes, classes)`, possibly fractional; rows are true classes.

    Returns:
        Per score, an array `(...)`. UA is the mean over the classes that occur.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = support.sum(axis=-1)
    occurs = support > 0
    recall = np.divide(hits, support, out=np.zeros(hits.shape), where=occurs)
    f1 = np.divide(2 * hits, support + predicted, out=np.zeros(hits.shape), where=support + predicted > 0)
    return {
        "wa": hits.sum(axis=-1) / total,
        "ua": recall.sum(axis=-1) / occurs.sum(axis=-1),
        "wf1": (f1 * support).sum(axis=-1) / total,
    }


def group_confusions(labels: np.ndarray, shares: np.ndarray, groups: Sequence[str | None]) -> np.ndarray:
    """Return one confusion matrix per group.

    Args:
        labels: True class numbers `(utterances,)`.
        shares: Share of the runs that predict each class `(utterances, classes)`; one-hot for a single run.
        groups: Group of each utterance, as its speaker. Each None is a group of its own.

    Returns:
        Counts `(groups, classes, classes)`, with the groups in the order of their first utterance.
    """
    index, number = number_groups(groups)
    counts = np.zeros((number, shares.shape[1], shares.shape[1]))
    np.add.at(counts, (index, labels), shares)
    return counts


def number_groups(groups: Sequence[str | None]) -> tuple[list[int], int]:
    """Return the number of the group of each utterance, in the order of their first, and the number of groups.

    Args:
        groups: Group of each utterance. Each None is a group of its own.
    """
    numbers = {}
    index = [
        numbers.setdefault(number if group is None else group, len(numbers)) for number, group in enumerate(groups)
    ]
    return index, len(numbers)


def resample(counts: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Return the confusion matrices, or other sums, of bootstrap samples of the groups.

    Args:
        counts: Counts `(..., groups, classes, classes)`, or `(..., groups, dimensions, sums)`. All leading entries, as
            systems, get the same samples: they are paired.
        seed: Seed of the samples.
        resamples: Number of samples.

    Returns:
        Counts `(..., resamples, classes, classes)`, or sums likewise.
    """
    groups = counts.shape[-3]
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    return np.einsum("rg,...gtp->...rtp", drawn.astype(float), counts, optimize=True)


def interval(values: np.ndarray) -> list[float]:
    """Return the percentile interval of bootstrap values: the middle 95 %."""
    edge = (1 - LEVEL) / 2
    return np.quantile(values, [edge, 1 - edge]).tolist()


def speaker_intervals(labels: np.ndarray, predicted: np.ndarray, speakers: Sequence[str | None], classes: int) -> dict:
    """Return 95 % intervals of WA, UA and weighted F1 over resampled speakers.

    Utterances of one speaker are alike, so intervals over resampled utterances would be too narrow. With ten speakers,
    as in IEMOCAP, intervals over speakers still tend to be too narrow.

    Args:
        labels: True class numbers `(utterances,)`.
        predicted: Predicted class numbers `(utterances,)`.
        speakers: Speaker of each utterance.
        classes: Number of classes.

    Returns:
        `[low, high]` per score, `speakers` (their number) and `resamples`; empty if a speaker is unknown or there are
        fewer than six.
    """
    known = set(speakers)
    if None in known or len(known) < MIN_SPEAKERS:
        return {}
    scores = confusion_scores(resample(group_confusions(labels, np.eye(classes)[predicted], speakers)))
    return {
        **{name: interval(values) for name, values in scores.items()},
        "speakers": len(known),
        "resamples": RESAMPLES,
    }


def sign_test(first: np.ndarray, second: np.ndarray) -> dict:
    """Test whether two systems are correct equally often, over utterances: McNemar's exact test.

    Args:
        first: Whether the first system is correct on each utterance `(utterances,)`, or the share of its runs that are;
            with shares this is the sign test.
        second: The same of the second system.

    Returns:
        `first` and `second`, the numbers of utterances on which each is better, and the two-sided `p`.
    """
    from scipy.stats import binomtest

    better = {"first": int((first > second).sum()), "second": int((second > first).sum())}
    differ = sum(better.values())
    return better | {"p": float(binomtest(better["first"], differ).pvalue) if differ else 1.0}


def exchange_test(
    first: np.ndarray, second: np.ndarray, score: Callable[[np.ndarray], np.ndarray], seed: int = 0
) -> float | None:
    """Test the difference of a score between two systems, over speakers: the paired permutation test.

    The predictions of the two systems are exchanged for every subset of the speakers. Up to thirteen speakers all
    subsets are tried; with more, 10,000 are drawn, and p is that of Phipson and Smyth 2010, which is never zero.

    Args:
        first: Counts of the first system `(speakers, classes, classes)`, or other sums `(speakers, ...)`.
        second: Counts of the second system.
        score: Returns the score `(subsets,)` of counts `(subsets, classes, classes)`.
        seed: Seed of the drawn subsets.

    Returns:
        The two-sided p; None if the score is undefined for a system.
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
        return score(other) - score(one)

    observed = difference(np.ones((1, speakers)))
    if not np.isfinite(observed).all():
        return None
    extreme = int((np.abs(difference(kept)) >= np.abs(observed) - 1e-12).sum())
    return extreme / len(kept) if exact else (extreme + 1) / (len(kept) + 1)
