"""Statistics against slow references: loops, scipy's tests, scikit-learn."""

import itertools

import numpy as np
import pytest
from emofusion.evaluation.statistics import (
    confusion_scores,
    exchange_test,
    group_confusions,
    interval,
    resample,
    sign_test,
    speaker_intervals,
)
from emofusion.metrics import EmotionMetrics
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix


def draw(rng, utterances=200, classes=4, right=0.6):
    """Labels, and predictions that are correct with a probability of at least `right`."""
    labels = rng.integers(classes, size=utterances)
    predicted = np.where(rng.uniform(size=utterances) < right, labels, rng.integers(classes, size=utterances))
    return labels, predicted


def take(score):
    """Return a function of confusion matrices to a score."""
    return lambda confusion: confusion_scores(confusion)[score]


def metric(confusion):
    """Return the metric's scores of a confusion matrix of whole counts."""
    rows = [(true, guess) for (true, guess), count in np.ndenumerate(confusion.astype(int)) for _ in range(count)]
    labels, predicted = zip(*rows, strict=True)
    scores = EmotionMetrics(keep_in_memory=True).compute(
        predictions=predicted, references=labels, labels=len(confusion)
    )
    return {name: scores[name] for name in ("wa", "ua", "wf1")}


def test_scores_of_many_confusion_matrices_are_those_of_the_metric():
    counts = np.random.default_rng(1).integers(0, 9, size=(5, 2, 4, 4))
    counts[0, 0, 2] = 0  # a class that does not occur
    counts[1, 1, :, 3] = 0  # a class that is never predicted
    counts[2, 0, 1], counts[2, 0, :, 1] = 0, 0  # neither
    scores = confusion_scores(counts)
    for place in np.ndindex(5, 2):
        assert {name: values[place] for name, values in scores.items()} == pytest.approx(metric(counts[place]))


def test_a_group_has_the_confusion_matrix_of_its_utterances():
    rng = np.random.default_rng(2)
    labels, predicted = draw(rng)
    speakers = rng.choice(["a", "b", "c"], size=200).tolist()
    counts = group_confusions(labels, np.eye(4)[predicted], speakers)
    for place, speaker in enumerate(dict.fromkeys(speakers)):
        own = np.array(speakers) == speaker
        assert np.array_equal(counts[place], confusion_matrix(labels[own], predicted[own], labels=range(4)))
    alone = group_confusions(labels[:3], np.eye(4)[predicted[:3]], [None, "a", None])
    assert alone.sum(axis=(1, 2)).tolist() == [1, 1, 1]


def test_a_resample_is_a_reproducible_sum_over_drawn_speakers():
    counts = np.random.default_rng(3).integers(0, 5, size=(2, 7, 3, 3)).astype(float)
    drawn = resample(counts, seed=4, resamples=20)
    assert np.array_equal(drawn, resample(counts, seed=4, resamples=20))
    assert not np.array_equal(drawn, resample(counts, seed=5, resamples=20))
    weights = np.random.default_rng(4).multinomial(7, np.full(7, 1 / 7), size=20)
    for number, times in enumerate(weights):
        for system in range(2):
            expected = sum(times[speaker] * counts[system, speaker] for speaker in range(7))
            assert np.allclose(drawn[system, number], expected)


def test_speaker_intervals_are_those_of_a_slow_bootstrap():
    rng = np.random.default_rng(5)
    labels, predicted = draw(rng)
    speakers = np.array([f"s{number}" for number in rng.integers(10, size=200)])
    intervals = speaker_intervals(labels, predicted, speakers.tolist(), 4)
    assert (intervals["speakers"], intervals["resamples"]) == (10, 10_000)
    names, values = np.unique(speakers), []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(speakers == name) for name in rng.choice(names, size=10)])
        values.append((labels[rows] == predicted[rows]).mean())
    assert intervals["wa"] == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist(), abs=0.01)
    assert intervals == speaker_intervals(labels, predicted, speakers.tolist(), 4)


def test_speaker_intervals_are_wider_than_utterance_intervals_if_speakers_differ():
    rng = np.random.default_rng(6)
    speakers = np.repeat(np.arange(10), 100)
    labels = rng.integers(4, size=1000)
    right = rng.uniform(size=1000) < np.repeat(rng.uniform(0.2, 1.0, size=10), 100)
    predicted = np.where(right, labels, (labels + 1) % 4)
    low, high = speaker_intervals(labels, predicted, speakers.tolist(), 4)["wa"]
    alone = interval(confusion_scores(resample(group_confusions(labels, np.eye(4)[predicted], [None] * 1000)))["wa"])
    assert high - low > 2 * (alone[1] - alone[0])


@pytest.mark.parametrize("speakers", [[*"abcde"] * 4, [*"abcdefghij", None]])
def test_few_or_unknown_speakers_have_no_interval(speakers):
    labels = np.arange(len(speakers)) % 4
    assert speaker_intervals(labels, labels, speakers, 4) == {}


def test_the_sign_test_is_that_of_scipy():
    rng = np.random.default_rng(7)
    first, second = (rng.uniform(size=150) < right for right in (0.5, 0.65))
    found = sign_test(first.astype(float), second.astype(float))
    assert (found["first"], found["second"]) == ((first & ~second).sum(), (~first & second).sum())
    assert found["p"] == pytest.approx(binomtest(found["first"], found["first"] + found["second"]).pvalue)
    several = sign_test(np.array([1, 0.5, 0.2, 1.0]), np.array([0.5, 0, 0.4, 1.0]))
    assert several == {"first": 2, "second": 1, "p": 1.0}
    assert sign_test(np.ones(4), np.ones(4))["p"] == 1


@pytest.mark.parametrize("score", ["wa", "ua"])
def test_the_exchange_test_is_that_of_a_loop(score):
    rng = np.random.default_rng(8)
    first, second = rng.integers(0, 6, size=(2, 7, 3, 3)).astype(float)
    second[:, range(3), range(3)] += 2
    second *= first.sum(axis=2, keepdims=True) / second.sum(axis=2, keepdims=True)  # the same utterances

    def difference(ways):
        one = sum(second[place] if swapped else first[place] for place, swapped in enumerate(ways))
        other = sum(first[place] if swapped else second[place] for place, swapped in enumerate(ways))
        return confusion_scores(other)[score] - confusion_scores(one)[score]

    observed = abs(difference([0] * 7))
    every = [abs(difference(ways)) >= observed - 1e-12 for ways in itertools.product([0, 1], repeat=7)]
    assert exchange_test(first, second, take(score)) == np.mean(every)
    assert exchange_test(first, first, take(score)) == 1


def test_with_many_speakers_exchanges_are_sampled_and_p_is_positive():
    rng = np.random.default_rng(9)
    first, second = rng.integers(0, 6, size=(2, 14, 3, 3)).astype(float)
    p = exchange_test(first, second, take("wa"))
    ways = (np.arange(2**14)[:, None] >> np.arange(14) & 1).astype(float)
    one = np.tensordot(ways, first, axes=1) + np.tensordot(1 - ways, second, axes=1)
    other = first.sum(axis=0) + second.sum(axis=0) - one
    every = np.abs(confusion_scores(one)["wa"] - confusion_scores(other)["wa"])
    assert p == pytest.approx((every >= every[0] - 1e-12).mean(), abs=0.02)
    perfect, wrong = np.tile(np.eye(3) * 5, (40, 1, 1)), np.tile((np.ones((3, 3)) - np.eye(3)) * 2.5, (40, 1, 1))
    assert exchange_test(wrong, perfect, take("ua")) == 1 / 10_001
