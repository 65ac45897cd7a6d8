"""Scores of predictions, of subsets of them, and what they are measured with."""

import numpy as np
import pytest
from emofusion.evaluation.predictions import calibrate
from emofusion.evaluation.scores import break_down, measure, score
from emofusion.metrics import EmotionMetrics
from testing_predictions import CLASSES, LABELS, make
from transformers.trainer_utils import PredictionOutput


def test_scores_are_those_of_the_metric():
    predictions = make()
    scores = score(PredictionOutput(predictions.logits, predictions.labels, {}), LABELS)
    shares = np.exp(predictions.logits) / np.exp(predictions.logits).sum(axis=1, keepdims=True)
    expected = EmotionMetrics(keep_in_memory=True).compute(
        predictions=predictions.logits.argmax(axis=1),
        references=predictions.labels,
        labels=LABELS,
        probabilities=shares,
    )
    for name, value in expected.items():
        assert getattr(scores, name) == (pytest.approx(value) if isinstance(value, float) else value), name
    assert scores.ece_scaled is None


def test_temperature_scaling_changes_calibration_alone():
    splits = calibrate({"validation": make(seed=1), "test": make(seed=2)}, CLASSES)
    measured = measure(splits, LABELS)
    test = measured["metrics"]["test"]
    assert test.wa == pytest.approx((splits["test"].predicted == splits["test"].labels).mean())
    assert test.nll_scaled != pytest.approx(test.nll)
    validation = measured["metrics"]["validation"]
    assert validation.nll_scaled < validation.nll  # the temperature is fitted there
    assert measured["intervals"].speakers == 7
    assert set(measured["breakdown"]) == {"scripted", "improvised", "text seen in training", "text not seen"}


def test_unknown_speakers_have_no_intervals():
    assert measure({"test": make(speakers=[None] * 40)}, LABELS)["intervals"] is None


def test_subsets_have_the_scores_of_their_rows():
    predictions = make()
    subsets = break_down(predictions)
    assert list(subsets) == ["scripted", "improvised", "text seen in training", "text not seen"]
    assert [subset.utterances for subset in subsets.values()] == [14, 13, 10, 30]
    rows = [number for number in range(40) if number % 3 == 1]
    pairs = [(predictions.labels[row], predictions.logits[row].argmax()) for row in rows]
    recalls = {
        label: [predicted == true for true, predicted in pairs if true == label]
        for label in {true for true, _ in pairs}
    }
    assert subsets["improvised"].wa == pytest.approx(np.mean([true == predicted for true, predicted in pairs]))
    assert subsets["improvised"].ua == pytest.approx(np.mean([np.mean(recall) for recall in recalls.values()]))
    assert subsets["improvised"].classes == len(recalls)


def test_rows_of_unknown_property_are_in_no_subset():
    assert break_down(make(scripted=[None] * 40, text_seen=[None] * 40)) == {}
    assert list(break_down(make(scripted=[None] * 40, text_seen=[False] * 40))) == ["text not seen"]
