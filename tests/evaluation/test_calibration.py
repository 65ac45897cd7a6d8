"""Temperature scaling and reliability against slow references."""

import numpy as np
import pytest
from emofusion.evaluation.calibration import BINS, fit_scaling, fit_temperature, measure_reliability, softmax
from emofusion.metrics import EmotionMetrics


def test_the_temperature_is_that_of_a_grid_search():
    rng = np.random.default_rng(0)
    for sharpness in (0.2, 1.0, 5.0):
        logits = rng.normal(size=(300, 4))
        labels = [rng.choice(4, p=np.exp(row) / np.exp(row).sum()) for row in logits]
        logits *= sharpness
        grid = np.geomspace(0.05, 20, 4000)
        losses = []
        for temperature in grid:
            shares = np.exp(logits / temperature)
            losses.append(-np.log(shares[np.arange(300), labels] / shares.sum(axis=1)).mean())
        assert fit_temperature(logits, np.array(labels)) == pytest.approx(grid[np.argmin(losses)], rel=2e-3)


def test_the_search_is_bounded_where_no_temperature_is_best():
    assert 0.01 <= fit_temperature(np.eye(3), np.arange(3)) < 0.05  # always correct: the lower, the better
    assert fit_temperature(-np.eye(3), np.arange(3)) == pytest.approx(100, rel=1e-3)  # always wrong


def test_reliability_has_the_accuracy_of_each_bin_and_the_ece_of_the_metric():
    rng = np.random.default_rng(1)
    probabilities = softmax(2 * rng.normal(size=(500, 4)))
    labels, predicted = rng.integers(4, size=500), probabilities.argmax(axis=1)
    confidence, correct = probabilities.max(axis=1), predicted == labels
    bins = measure_reliability(confidence, correct)
    scores = EmotionMetrics(keep_in_memory=True).compute(
        predictions=predicted, references=labels, labels=4, probabilities=probabilities
    )
    assert bins.ece == pytest.approx(scores["ece"])
    for number in range(BINS):
        inside = (bins.edges[number] < confidence) & (confidence <= bins.edges[number + 1])
        assert bins.counts[number] == inside.sum()
        assert bins.accuracy[number] == pytest.approx(correct[inside].mean() if inside.any() else 0)


def test_a_temperature_that_does_not_calibrate_the_validation_split_is_not_kept():
    rng = np.random.default_rng(0)
    scalings = []
    for _ in range(40):
        logits, labels = rng.normal(size=(10, 3)), rng.integers(3, size=10)
        scaling = fit_scaling(logits, labels)
        confidence = [softmax(logits / temperature).max(axis=1) for temperature in (1, scaling.temperature)]
        errors = [measure_reliability(shares, logits.argmax(axis=1) == labels).ece for shares in confidence]
        assert [scaling.ece, scaling.ece_scaled] == errors
        scalings.append(scaling)
    assert {scaling.kept is None for scaling in scalings} == {True, False}
    for scaling in scalings:
        assert scaling.kept == (None if scaling.ece_scaled > scaling.ece else scaling.temperature)
