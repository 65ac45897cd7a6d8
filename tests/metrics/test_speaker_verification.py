import itertools

import numpy as np
import pytest
from emofusion.metrics.speaker_verification import detection_errors, equal_error_rate, min_dcf


def operating_points(labels, scores):
    """Count (false acceptances, misses) in a loop, at a threshold above all scores and at every score."""
    points = []
    for threshold in [max(scores) + 1, *sorted(set(scores), reverse=True)]:
        accepted = [score >= threshold for score in scores]
        false = sum(yes and not label for yes, label in zip(accepted, labels, strict=True)) / labels.count(0)
        miss = sum(label and not yes for yes, label in zip(accepted, labels, strict=True)) / labels.count(1)
        points.append((false, miss))
    return points


def slow_equal_error_rate(labels, scores):
    points = operating_points(labels, scores)
    for (false_a, miss_a), (false_b, miss_b) in itertools.pairwise(points):
        if false_a <= miss_a and false_b >= miss_b:
            # intersection of the line through both points with the diagonal
            position = (miss_a - false_a) / ((miss_a - false_a) + (false_b - miss_b))
            return miss_a + position * (miss_b - miss_a)
    raise AssertionError


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distinct", [3, 1000])
def test_detection_errors_are_those_of_a_slow_count(seed, distinct):
    random = np.random.default_rng(seed)
    labels = [1, 0, *random.integers(0, 2, 60).tolist()]
    scores = (random.integers(0, distinct, 62) / distinct + 0.3 * np.array(labels)).round(4).tolist()
    np.testing.assert_allclose(np.array(detection_errors(labels, scores)).T, operating_points(labels, scores))
    assert equal_error_rate(labels, scores) == pytest.approx(slow_equal_error_rate(labels, scores))
    for settings in ({}, {"p_target": 0.5}, {"p_target": 0.05, "c_miss": 10.0, "c_fa": 2.0}):
        p, miss_cost, false_cost = ({"p_target": 0.01, "c_miss": 1.0, "c_fa": 1.0} | settings).values()
        costs = [miss_cost * p * m + false_cost * (1 - p) * f for f, m in operating_points(labels, scores)]
        expected = min(costs) / min(miss_cost * p, false_cost * (1 - p))
        assert min_dcf(labels, scores, **settings) == pytest.approx(expected)


def test_perfect_and_constant_scores():
    assert equal_error_rate([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1]) == 0
    assert min_dcf([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1]) == 0
    assert equal_error_rate([1, 0, 1, 0], [0.5] * 4) == 0.5
    assert min_dcf([1, 0, 1, 0], [0.5] * 4) == 1
    assert equal_error_rate([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1]) == 1


def test_a_shift_of_all_scores_changes_nothing():
    random = np.random.default_rng(0)
    labels, scores = [0, 1] * 50, random.normal(size=100) + np.array([0, 1] * 50)
    assert equal_error_rate(labels, scores) == equal_error_rate(labels, np.tanh(scores))
    assert 0.2 < equal_error_rate(labels, scores) < 0.45


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "both must occur"),
        ([], [], "both must occur"),
        ([0, 2], [0.1, 0.2], "0 .other speaker. and 1"),
        ([0, 1], [0.1], "shape"),
        ([0, 1], [0.1, float("nan")], "finite"),
    ],
)
def test_bad_trials_are_one_sentence(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        equal_error_rate(labels, scores)
