"""CCC, Pearson's r and RMSE against slow loops, scipy and scikit-learn."""

import json
import math
import statistics
from pathlib import Path

import emofusion
import evaluate
import numpy as np
import pytest
from emofusion.metrics import DimensionMetrics
from emofusion.metrics.dimension_metrics.dimension_scores import compute_scores
from scipy.stats import pearsonr
from sklearn.metrics import root_mean_squared_error

FOLDER = Path(emofusion.__file__).parent / "metrics" / "dimension_metrics"
NAMES = ["valence", "arousal", "dominance"]


@pytest.fixture(scope="module")
def metric():
    return DimensionMetrics(keep_in_memory=True)


def draw(seed, rows=60, unknown=0.2):
    """Random predictions and references of three dimensions, a share of the references unknown."""
    rng = np.random.default_rng(seed)
    references = rng.uniform(1, 5, size=(rows, 3))
    predictions = 0.6 * references + rng.normal(1, 0.8, size=(rows, 3))
    references[rng.uniform(size=references.shape) < unknown] = np.nan
    return predictions, references


def slow_ccc(predicted, true):
    """Lin 1989 in plain Python, with the moments of the population."""
    pairs = [(x, y) for x, y in zip(predicted, true, strict=True) if not math.isnan(y)]
    xs, ys = zip(*pairs, strict=True)
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / len(pairs)
    return 2 * covariance / (statistics.pvariance(xs) + statistics.pvariance(ys) + (mean_x - mean_y) ** 2)


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_independent_references(metric, seed):
    predictions, references = draw(seed)
    scores = metric.compute(predictions=predictions, references=references, dimensions=NAMES)
    for place, name in enumerate(NAMES):
        x, y, found = predictions[:, place], references[:, place], scores["dimensions"][name]
        known = ~np.isnan(y)
        assert found["ccc"] == pytest.approx(slow_ccc(x, y), abs=1e-12)
        assert found["pearson"] == pytest.approx(pearsonr(x[known], y[known]).statistic, abs=1e-12)
        assert found["rmse"] == pytest.approx(root_mean_squared_error(y[known], x[known]), abs=1e-12)
        assert (found["utterances"], found["unknown"]) == (known.sum(), (~known).sum())
    for key in ("ccc", "pearson", "rmse"):
        assert scores[key] == pytest.approx(np.mean([found[key] for found in scores["dimensions"].values()]))


def test_ccc_punishes_a_shift_and_another_spread_and_pearson_does_not():
    true = np.linspace(1, 5, 9)
    shifted, squeezed = compute_scores(true + 1, true), compute_scores(0.5 * true + 1.5, true)
    assert shifted["pearson"] == pytest.approx(1)
    assert shifted["ccc"] == pytest.approx(2 * np.var(true) / (2 * np.var(true) + 1))
    assert squeezed["ccc"] == pytest.approx(0.8)
    assert compute_scores(true, true)["ccc"] == pytest.approx(1)
    assert compute_scores(6 - true, true)["ccc"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("predicted", "true", "ccc", "pearson", "rmse"),
    [
        ([3.1, 3.1, 3.1], [1.0, 2.0, 3.0], 0, 0, 1.370),  # constant predictions
        ([1.0, 2.0, 3.0], [0.1, 0.1, 0.1], 0, None, 2.068),  # constant references
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], None, None, 0),  # both, and equal
        ([0.2, 0.2, 0.2], [0.1, 0.1, 0.1], 0, None, 0.1),
        ([2.0], [3.0], None, None, 1),  # one utterance
        ([2.0, 2.5, 4.0], [None, 3.0, None], None, None, 0.5),
        ([2.0, 2.5], [None, float("nan")], None, None, None),
        ([1e200, 3e200, 2e200], [1e200, 3e200, 2e200], 1, 1, 0),
        ([1e-200, 3e-200], [1e-200, 3e-200], 1, 1, 0),
    ],
)
def test_scores_of_little_or_constant_data_are_defined(predicted, true, ccc, pearson, rmse):
    scores = compute_scores(predicted, true)
    assert json.loads(json.dumps(scores)) == scores
    for key, expected in (("ccc", ccc), ("pearson", pearson), ("rmse", rmse)):
        assert scores[key] == (None if expected is None else pytest.approx(expected, abs=1e-3)), key


def test_a_dimension_without_references_is_not_in_the_means():
    predictions, references = draw(5)
    references[:, 1] = np.nan
    scores = compute_scores(predictions, references, NAMES)
    others = compute_scores(predictions[:, [0, 2]], references[:, [0, 2]])
    assert scores["ccc"] == pytest.approx(others["ccc"])
    assert scores["dimensions"]["arousal"] == {
        **dict.fromkeys(("ccc", "pearson", "rmse")),
        "utterances": 0,
        "unknown": 60,
    }
    references[:, 1] = 2.0  # known, but constant: r is undefined, and so is its mean
    assert compute_scores(predictions, references)["pearson"] is None


def test_the_metric_loads_offline_by_path_and_collects_batches():
    predictions, references = draw(6, rows=12)
    metric = evaluate.load(str(FOLDER), keep_in_memory=True)
    for start in (0, 5):
        rows = slice(start, 5 if start == 0 else None)
        metric.add_batch(predictions=predictions[rows], references=references[rows].tolist())
    assert metric.compute() == compute_scores(predictions, references)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictions": [[1.0, 2.0]]}, r"predictions have the shape \(1, 2\) and references \(2, 2\)"),
        ({"predictions": [[1.0], [2.0]]}, r"shape \(2, 1\)"),
        ({"predictions": [[1.0, float("nan")], [1.0, 2.0]]}, r"predictions\[0\]\[1\] is nan: give a finite number"),
        ({"predictions": [[1.0, None], [1.0, 2.0]]}, r"predictions\[0\]\[1\] is nan"),
        ({"references": [[1.0, 2.0], [float("inf"), 2.0]]}, r"references\[1\]\[0\] is inf"),
        ({"references": [[1.0, 2.0], [1.0]]}, "references must be numbers of shape"),
        ({"references": [["1", "2"], ["3", "4"]]}, "references must be numbers of shape"),
        ({"references": [[True, False], [True, True]]}, "references must be numbers of shape"),
        ({"references": [[[1.0]], [[2.0]]]}, r"not \(2, 1, 1\)"),
        ({"predictions": [], "references": []}, "are empty"),
        ({"dimensions": ["valence"]}, r"\['valence'\] for 2 columns"),
        ({"dimensions": ["valence", "valence"]}, "give each column its own"),
        ({"predictions": [[10**400, 1], [1, 2]]}, "predictions must be numbers"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    given = {"predictions": [[1.0, 2.0], [2.0, 1.0]], "references": [[1.0, 2.0], [2.0, 1.0]]} | arguments
    with pytest.raises(ValueError, match=message) as error:
        compute_scores(**given)
    assert "\n" not in str(error.value)
