"""Combinations of the values of dimensions, compared with loops."""

import math

import pytest
import torch
from emofusion.modeling.head_value_combination import VALUE_COMBINATIONS, LinearValueCombination
from torch.testing import assert_close

MEMBERS, DIMENSIONS, SCALE = 3, 2, (1.0, 5.0)
# The members without input, of each row.
MISSING = ((), (1,), (0, 2), (0, 1, 2))


def random_combination(kind):
    torch.manual_seed(0)
    combination = VALUE_COMBINATIONS[kind](MEMBERS, DIMENSIONS, SCALE)
    for parameter in combination.parameters():
        torch.nn.init.normal_(parameter)
    return combination


def random_values() -> torch.Tensor:
    values = 1 + 4 * torch.rand(len(MISSING), MEMBERS, DIMENSIONS, generator=torch.Generator().manual_seed(1))
    for row, missing in enumerate(MISSING):
        values[row, list(missing)] = math.nan
    return values.flatten(1)


def by_loops(combination, row: int, dimension: int) -> float:
    known = [
        (member, random_values().view(-1, MEMBERS, DIMENSIONS)[row, member, dimension].item())
        for member in range(MEMBERS)
        if member not in MISSING[row]
    ]
    if isinstance(combination, LinearValueCombination):
        mean = sum(value for _, value in known) / len(known) if known else 3.0
        full = dict.fromkeys(range(MEMBERS), mean) | dict(known)
        weights = combination.weight[dimension].tolist()
        units = sum(weight * (full[member] - 3) / 2 for member, weight in enumerate(weights))
        return 3 + 2 * (units + combination.bias[dimension].item())
    weights = combination.weights.tolist()
    total = sum(weights[member] for member, _ in known)
    return sum(weights[member] * value for member, value in known) / total if known else 3.0


@pytest.mark.parametrize("kind", VALUE_COMBINATIONS)
def test_combination_equals_formula(kind):
    combination = random_combination(kind)
    output = combination(random_values())
    expected = [[by_loops(combination, row, column) for column in range(DIMENSIONS)] for row in range(len(MISSING))]
    assert_close(output, torch.tensor(expected))
    if kind != "mean":
        output.square().sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in combination.parameters())


@pytest.mark.parametrize("kind", VALUE_COMBINATIONS)
def test_every_combination_is_initialised_as_mean(kind):
    mean = VALUE_COMBINATIONS["mean"](MEMBERS, DIMENSIONS, SCALE)(random_values())
    assert_close(VALUE_COMBINATIONS[kind](MEMBERS, DIMENSIONS, SCALE)(random_values()), mean)


def test_features_and_units_are_those_of_least_squares():
    combination, values = random_combination("linear").double(), random_values().double()
    features = combination.features(values)
    assert features.shape == (len(MISSING), MEMBERS, DIMENSIONS)
    units = torch.einsum("bmd,dm->bd", features, combination.weight) + combination.bias
    assert_close(combination.to_units(combination(values)), units)
    assert combination(values).dtype == torch.float64
