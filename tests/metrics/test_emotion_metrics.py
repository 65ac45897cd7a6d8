import json
import subprocess
import sys
from pathlib import Path

import emofusion
import evaluate
import numpy as np
import pytest
from emofusion.metrics import EmotionMetrics
from sklearn import metrics as sk

FOLDER = Path(emofusion.__file__).parent / "metrics" / "emotion_metrics"


@pytest.fixture(scope="module")
def metric():
    return EmotionMetrics(keep_in_memory=True)


def random_case(seed, occurring):
    """Random class ids and probabilities of five classes; the references have only the `occurring` ones."""
    rng = np.random.default_rng(seed)
    references = rng.choice(occurring, 80)
    predictions = np.where(rng.random(80) < 0.5, references, rng.integers(0, 5, 80))
    return predictions, references, rng.dirichlet(np.ones(5), 80)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("occurring", [[0, 1, 2, 3, 4], [1, 3, 4], [2]])
def test_scores_agree_with_scikit_learn(metric, seed, occurring):
    predictions, references, probabilities = random_case(seed, occurring)
    scores = metric.compute(
        predictions=predictions, references=references, labels=list("abcde"), probabilities=probabilities
    )
    every, occurs = np.arange(5), np.unique(references)

    def sklearn(function, average, labels):
        return function(references, predictions, labels=labels, average=average, zero_division=0)

    assert scores["wa"] == pytest.approx(sk.accuracy_score(references, predictions))
    assert scores["ua"] == pytest.approx(sklearn(sk.recall_score, "macro", occurs))
    assert scores["wf1"] == pytest.approx(sklearn(sk.f1_score, "weighted", every))
    assert scores["macro_f1"] == pytest.approx(sklearn(sk.f1_score, "macro", occurs))
    assert scores["precision"] == pytest.approx(sklearn(sk.precision_score, None, every).tolist())
    assert scores["f1"] == pytest.approx(sklearn(sk.f1_score, None, every).tolist())
    assert scores["confusion_matrix"] == sk.confusion_matrix(references, predictions, labels=every).tolist()
    assert scores["support"] == [int((references == c).sum()) for c in every]
    assert scores["nll"] == pytest.approx(sk.log_loss(references, probabilities, labels=every))
    recall = sklearn(sk.recall_score, None, every)
    assert scores["recall"] == [pytest.approx(recall[c]) if c in occurs else None for c in every]


def test_ua_is_balanced_accuracy(metric):
    predictions, references, _ = random_case(7, [0, 1, 2, 3, 4])
    scores = metric.compute(predictions=predictions, references=references)
    assert scores["ua"] == pytest.approx(sk.balanced_accuracy_score(references, predictions))


def test_wa_and_ua_are_not_swapped(metric):
    scores = metric.compute(predictions=[0, 0, 0, 0], references=[0, 0, 0, 1])
    assert (scores["wa"], scores["ua"]) == (0.75, 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_agrees_with_a_slow_loop(metric, seed):
    _, references, probabilities = random_case(seed, [0, 1, 2, 3, 4])
    predictions = probabilities.argmax(axis=1)
    expected = 0.0
    for lower in range(15):
        inside = [
            (p[c], c == r)
            for p, c, r in zip(probabilities, predictions, references, strict=True)
            if lower / 15 < p[c] <= (lower + 1) / 15
        ]
        if inside:
            confidence, hit = np.mean(inside, axis=0)
            expected += len(inside) / 80 * abs(hit - confidence)
    scores = metric.compute(predictions=predictions, references=references, probabilities=probabilities)
    assert scores["ece"] == pytest.approx(expected)


def test_certain_correct_predictions_are_perfectly_calibrated(metric):
    scores = metric.compute(predictions=[0, 1], references=[0, 1], probabilities=np.eye(2))
    assert scores["ece"] == 0
    assert scores["nll"] == 0


def test_certain_wrong_predictions_have_a_finite_nll(metric):
    scores = metric.compute(predictions=[1, 0], references=[0, 1], probabilities=np.eye(2)[::-1])
    assert scores["ece"] == 1
    assert 30 < scores["nll"] < 40


def test_the_result_is_json_without_calibration_if_there_are_no_probabilities(metric):
    scores = metric.compute(predictions=np.array([0, 2]), references=np.array([0, 0]), labels=4)
    assert json.loads(json.dumps(scores)) == scores
    assert len(scores["recall"]) == 4
    assert not {"ece", "nll"} & set(scores)


def test_the_metric_loads_offline_by_path_and_collects_batches():
    metric = evaluate.load(str(FOLDER), keep_in_memory=True)
    metric.add_batch(predictions=[0, 1], references=[0, 0])
    metric.add_batch(predictions=[1], references=[1])
    assert metric.compute()["confusion_matrix"] == [[1, 1], [0, 1]]


def test_importing_the_room_does_not_import_evaluate():
    code = "import sys, emofusion.metrics; assert not {'evaluate', 'datasets', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictions": [0, 1, 1], "references": [0, 1]}, "3 predictions and 2 references"),
        ({"predictions": [0, 1], "references": []}, "2 predictions and 0 references"),
        ({"predictions": [], "references": []}, "empty"),
        ({"predictions": [0, 3], "references": [0, 1], "labels": ["a", "b"]}, r"predictions\[1\] is 3.*0 to 1"),
        ({"predictions": [0, 1], "references": [0, -1]}, r"references\[1\] is -1"),
        ({"predictions": [0.7, 1.0], "references": [0, 1]}, "predictions must be integer"),
        ({"predictions": [0, 1], "references": [None, 1]}, "references must be integer"),
        ({"predictions": [0, 1], "references": [[0.5, 0.5], [1.0, 0.0]]}, r"references .* shape \(2, 2\)"),
        ({"predictions": [[0], [0, 1]], "references": [0, 1]}, "predictions .* different lengths"),
        ({"probabilities": [[0.5, np.nan], [1, 0]]}, "finite"),
        ({"probabilities": [[0.5, 0.5]]}, r"shape \(2, classes\), not \(1, 2\)"),
        ({"probabilities": [[0.5, 0.5], [1.0]]}, "numbers of shape"),
        ({"probabilities": [0.5, 0.5]}, "shape"),
        ({"probabilities": [[2.0, -1.0], [0.5, 0.5]]}, "softmax"),
        ({"probabilities": np.eye(2), "labels": 3}, "2 columns, but there are 3 labels"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        EmotionMetrics(keep_in_memory=True).compute(**({"predictions": [0, 1], "references": [0, 1]} | arguments))
    assert "\n" not in str(error.value)
