"""Combinations of log-probabilities, compared with numpy."""

import numpy as np
import pytest
import torch
from emofusion.modeling.head_score_combination import (
    COMBINATIONS,
    LogisticCombination,
    MeanCombination,
    MeanProbabilityCombination,
    WeightedCombination,
    WeightedProbabilityCombination,
)
from torch.testing import assert_close

MEMBERS, CLASSES = 3, 4
MIXTURES = ("mean_probability", "weighted_probability")
WEIGHTED = ("weighted", "weighted_probability")


def random_scores(rows: int = 5) -> torch.Tensor:
    """Return log-probabilities `(rows, members * classes)`."""
    random = torch.Generator().manual_seed(0)
    return (2 * torch.randn(rows, MEMBERS, CLASSES, generator=random)).log_softmax(dim=-1).flatten(1)


def without_input(scores: torch.Tensor, member: int) -> torch.Tensor:
    """Return the scores with a member that has no input in any row."""
    missing = scores.clone()
    missing[:, member * CLASSES : (member + 1) * CLASSES] = 0
    return missing


def product_of_experts(scores: torch.Tensor, weights: list[float]) -> np.ndarray:
    """Return the normalised product of the probabilities."""
    rows = []
    for row in scores.view(-1, MEMBERS, CLASSES).exp().numpy():
        product = np.prod([member**weight for member, weight in zip(row, weights, strict=True)], axis=0)
        rows.append(product / product.sum())
    return np.array(rows)


def test_mean_is_geometric_mean_of_probabilities():
    output = MeanCombination(MEMBERS, CLASSES)(random_scores())
    expected = product_of_experts(random_scores(), [1 / MEMBERS] * MEMBERS)
    np.testing.assert_allclose(output.exp().numpy(), expected, rtol=1e-5)


def test_weights_are_exponents_of_probabilities():
    combination = WeightedCombination(MEMBERS, CLASSES)
    with torch.no_grad():
        combination.weight.copy_(torch.tensor([0.2, 0.7, 0.1]).log() + 5)  # the softmax depends on differences only
    assert_close(combination.weights, torch.tensor([0.2, 0.7, 0.1]))
    expected = product_of_experts(random_scores(), [0.2, 0.7, 0.1])
    np.testing.assert_allclose(combination(random_scores()).exp().detach().numpy(), expected, rtol=1e-5)


def test_mixtures_are_means_of_probabilities():
    weighted = WeightedProbabilityCombination(MEMBERS, CLASSES)
    with torch.no_grad():
        weighted.weight.copy_(torch.tensor([0.2, 0.7, 0.1]).log() + 5)
    members = random_scores().view(-1, MEMBERS, CLASSES).exp()
    for combination, weights in (
        (weighted, [0.2, 0.7, 0.1]),
        (MeanProbabilityCombination(MEMBERS, CLASSES), [1 / 3] * 3),
    ):
        expected = torch.einsum("m,bmc->bc", torch.tensor(weights), members)
        assert_close(combination(random_scores()).exp(), expected)


def test_logistic_combination_is_linear_in_log_probabilities():
    combination = LogisticCombination(MEMBERS, CLASSES)
    torch.nn.init.normal_(combination.weight)
    torch.nn.init.normal_(combination.bias)
    scores = random_scores()
    expected = (scores @ combination.weight.T + combination.bias).softmax(dim=-1)
    assert_close(combination(scores).exp(), expected)


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_every_combination_is_initialised_as_mean(kind):
    mean = MeanProbabilityCombination if kind in MIXTURES else MeanCombination
    expected = mean(MEMBERS, CLASSES)(random_scores())
    assert_close(COMBINATIONS[kind](MEMBERS, CLASSES)(random_scores()), expected)


@pytest.mark.parametrize("kind", [kind for kind in COMBINATIONS if kind != "logistic"])
def test_member_without_input_is_left_out(kind):
    combination, others = COMBINATIONS[kind](MEMBERS, CLASSES), COMBINATIONS[kind](MEMBERS - 1, CLASSES)
    if kind in WEIGHTED:
        with torch.no_grad():
            combination.weight.copy_(torch.tensor([0.3, -0.5, 1.0]))
            others.weight.copy_(torch.tensor([0.3, 1.0]))
    scores = random_scores()
    kept = torch.cat([scores[:, :CLASSES], scores[:, 2 * CLASSES :]], dim=-1)
    assert_close(combination(without_input(scores, 1)), others(kept))


def test_logistic_combination_is_uniform_without_input():
    combination, scores = LogisticCombination(MEMBERS, CLASSES), random_scores()
    torch.nn.init.normal_(combination.weight)
    uniform = scores.clone()
    uniform[:, :CLASSES] = -np.log(CLASSES)
    assert_close(combination(without_input(scores, 0)), combination(uniform))


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_row_without_input_is_uniform(kind):
    combination = COMBINATIONS[kind](MEMBERS, CLASSES)
    scores = random_scores()
    scores[0] = 0
    output = combination(scores)
    assert_close(output[0].exp(), torch.full((CLASSES,), 1 / CLASSES))
    if kind in (*WEIGHTED, "logistic"):
        torch.nn.functional.cross_entropy(output, torch.arange(5) % CLASSES).backward()
        assert all(parameter.grad.isfinite().all() for parameter in combination.parameters())


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_one_member_rules_class_out_in_log_domain_only(kind):
    scores = random_scores(1)
    scores[0, 0] = -60.0
    combined = COMBINATIONS[kind](MEMBERS, CLASSES)(scores)[0, 0]
    assert combined > -15 if kind in MIXTURES else combined < -15
