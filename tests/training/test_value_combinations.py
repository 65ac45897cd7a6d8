"""Combinations of dimensions, fitted to the values of members."""

import numpy as np
import pytest
import torch
from emofusion.evaluation.task import load_task
from emofusion.modeling.head_value_combination import LinearValueCombination
from emofusion.training.late_fusion.combinations import fit_linear, fit_value_combinations
from emofusion.training.late_fusion.soup import build_soup
from sklearn.linear_model import Ridge
from testing_common import CASES
from transformers.trainer_utils import PredictionOutput

TASK = load_task("dimensions", ["valence", "arousal"], scale=(1, 5))
MEMBERS = 2


def draw(rows=80, noise=(0.2, 0.2)):
    """Return values of two members, the first of which knows the valence and the second the arousal, and the labels."""
    random = np.random.default_rng(0)
    labels = random.uniform(1, 5, (rows, 2))
    values = np.full((rows, MEMBERS, 2), 3.0) + 0.05 * random.normal(size=(rows, MEMBERS, 2))
    for place, level in enumerate(noise):
        values[:, place, place] = labels[:, place] + level * random.normal(size=rows)
    return values.reshape(rows, -1), labels


def ccc(x, y):
    return 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def combined(combination, values):
    with torch.no_grad():
        return combination(torch.from_numpy(values)).numpy()


def test_each_dimension_is_taken_from_the_member_that_knows_it():
    values, labels = draw()
    fitted, _ = fit_value_combinations(PredictionOutput(values, labels, {}), MEMBERS, TASK)
    scores = {kind: ccc(combined(one, values)[:, 0], labels[:, 0]) for kind, one in fitted.items()}
    assert scores["linear"] > 0.98 > scores["mean"]
    assert fitted["linear"].weight.argmax(dim=1).tolist() == [0, 1]


def test_weights_have_the_best_mean_ccc():
    values, labels = draw(noise=(0.1, 3.0))
    fitted, _ = fit_value_combinations(PredictionOutput(values, labels, {}), MEMBERS, TASK)

    def score(share):
        mixed = (np.array([share, 1 - share])[:, None] * values.reshape(-1, MEMBERS, 2)).sum(axis=1)
        return np.mean([ccc(mixed[:, place], labels[:, place]) for place in range(2)])

    best = max(np.linspace(0, 1, 1001), key=score)
    assert fitted["weighted"].weights[0].item() == pytest.approx(best, abs=2e-3)


@pytest.mark.parametrize("inverse_strength", [1e-2, 1.0])
def test_linear_regression_is_that_of_scikit_learn_around_the_mean(inverse_strength):
    values, labels = draw(noise=(0.5, 1.0))
    labels[::7, 1] = np.nan
    linear = LinearValueCombination(MEMBERS, 2, (1, 5)).double()
    fit_linear(linear, torch.from_numpy(values), torch.from_numpy(labels), inverse_strength)
    for place in range(2):
        known = np.isfinite(labels[:, place])
        inputs = (values.reshape(-1, MEMBERS, 2)[known, :, place] - 3) / 2
        target = (labels[known, place] - 3) / 2
        reference = Ridge(alpha=1 / inverse_strength).fit(inputs, target - inputs.mean(axis=1))
        expected = 3 + 2 * (reference.predict(inputs) + inputs.mean(axis=1))
        assert combined(linear, values)[known, place] == pytest.approx(expected)


def test_a_member_whose_values_hardly_differ_does_not_explode():
    values, labels = draw()
    values[:, 1::2] = 3 + 1e-4 * np.random.default_rng(1).normal(size=(len(values), MEMBERS))
    fitted, _ = fit_value_combinations(PredictionOutput(values, labels, {}), MEMBERS, TASK)
    assert np.abs(combined(fitted["linear"], 3 + 100 * (values - 3))[:, 1] - 3).max() < 1


def test_labels_and_inputs_that_are_missing_are_left_out():
    values, labels = draw()
    values[:5, :2], labels[5:10], labels[:, 1] = np.nan, np.nan, np.nan
    fitted, _ = fit_value_combinations(PredictionOutput(values, labels, {}), MEMBERS, TASK)
    assert all(np.isfinite(combined(one, values)).all() for one in fitted.values())


def test_regressors_of_other_scales_have_no_soup():
    fields = {"problem_type": "regression", "dimensions": ["valence"], "num_labels": 1}
    one, other = (CASES[0].model(**fields, dimension_scale=scale) for scale in ([1, 5], [1, 7]))
    mean = build_soup({"a": one, "b": one}).state_dict()
    assert all(mean[name].equal(value) for name, value in one.state_dict().items() if value.is_floating_point())
    with pytest.raises(ValueError, match="differ in class, sizes, or order or scale of labels"):
        build_soup({"a": one, "b": other})
