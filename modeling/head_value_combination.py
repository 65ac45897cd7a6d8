"""Combinations of the values of dimensions that several models predict (ours)."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import initialization as init


class MeanValueCombination(nn.Module):
    """The mean of the members' values.

    Args:
        members: The number of models.
        dimensions: The number of dimensions.
        scale: The lowest and the highest value.
    """

    def __init__(self, members: int, dimensions: int, scale: Sequence[float]):
        super().__init__()
        self.members, self.dimensions = members, dimensions
        self.lowest, self.highest = scale

    def reset_parameters(self) -> None:
        """Initialise as the mean."""

    @property
    def weights(self) -> torch.Tensor:
        """The weights `(members,)`, non-negative with sum 1."""
        return torch.full((self.members,), 1 / self.members)

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of the scale in units of half the scale around its centre."""
        return (values - (self.lowest + self.highest) / 2) / ((self.highest - self.lowest) / 2)

    def to_values(self, units: torch.Tensor) -> torch.Tensor:
        """Return what `to_units` was given."""
        return (self.lowest + self.highest) / 2 + (self.highest - self.lowest) / 2 * units

    def member_units(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the units of each member, and which members have an input.

        Args:
            values: See `forward`.

        Returns:
            `(batch, members, dimensions)`, zero where a member has no input; and `(batch, members)`, bool.
        """
        values = values.unflatten(-1, (self.members, self.dimensions))
        has_input = ~values.isnan().any(dim=-1)
        return self.to_units(values).where(has_input[..., None], 0), has_input

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Combine the values of all members.

        Args:
            values: `(batch, members * dimensions)` in the scale, grouped by member. NaN means that a member has no input;
                the weights of the others are then scaled up.

        Returns:
            `(batch, dimensions)` in the scale; its centre for a row without input for any member.
        """
        units, has_input = self.member_units(values)
        return self.to_values(_weighted_mean(units, self.weights.to(units, non_blocking=True) * has_input))


class WeightedValueCombination(MeanValueCombination):
    """The weighted mean of the members' values; the weights are the softmax of a learned parameter."""

    def __init__(self, members: int, dimensions: int, scale: Sequence[float]):
        super().__init__(members, dimensions, scale)
        self.weight = nn.Parameter(torch.zeros(members))

    def reset_parameters(self) -> None:
        """Initialise as the mean."""
        init.zeros_(self.weight)

    @property
    def weights(self) -> torch.Tensor:
        """The weights `(members,)`, non-negative with sum 1."""
        return self.weight.softmax(dim=0)


class LinearValueCombination(MeanValueCombination):
    """Linear regression of each dimension on the members' values of it.

    A member without input counts as the mean of the others.
    """

    def __init__(self, members: int, dimensions: int, scale: Sequence[float]):
        super().__init__(members, dimensions, scale)
        self.weight = nn.Parameter(torch.empty(dimensions, members))
        self.bias = nn.Parameter(torch.empty(dimensions))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the mean."""
        init.constant_(self.weight, 1 / self.members)
        init.zeros_(self.bias)

    def features(self, values: torch.Tensor) -> torch.Tensor:
        """Return the inputs of the regression `(batch, members, dimensions)`, in units of half the scale.

        Its targets are `to_units` of the labels, its coefficients `weight` `(dimensions, members)` and `bias`
        `(dimensions,)`.

        Args:
            values: See `forward`.
        """
        units, has_input = self.member_units(values)
        return units.where(has_input[..., None], _weighted_mean(units, has_input.to(units.dtype))[:, None])

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """See [`MeanValueCombination.forward`]."""
        features = self.features(values)
        units = (features * self.weight.to(features.dtype).T).sum(dim=1) + self.bias.to(features.dtype)
        return self.to_values(units)


def _weighted_mean(units: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return `(batch, dimensions)` means over the members, zero where all weights `(batch, members)` are zero."""
    total = weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    return (units * (weights / total)[..., None]).sum(dim=1)


VALUE_COMBINATIONS = {
    "mean": MeanValueCombination,
    "weighted": WeightedValueCombination,
    "linear": LinearValueCombination,
}
