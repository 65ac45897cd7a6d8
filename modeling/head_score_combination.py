"""Combinations of the log-probabilities of several classifiers (ours; the papers say only that scores are fused).

`mean`, `weighted` and `logistic` combine in the log domain, as a product of experts, in which one classifier can rule a
class out. `mean_probability` and `weighted_probability` are mixtures of the probabilities, in which none can.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init


class MeanCombination(nn.Module):
    r"""The renormalised mean of log-probabilities, \(l = \sum_m \log p_m / M\).

    Args:
        members: The number of classifiers.
        classes: The number of labels.
    """

    def __init__(self, members: int, classes: int):
        super().__init__()
        self.members, self.classes = members, classes

    def reset_parameters(self) -> None:
        """Initialise as the mean."""

    @property
    def weights(self) -> torch.Tensor:
        """The weights `(members,)`, non-negative with sum 1."""
        return torch.full((self.members,), 1 / self.members)

    def member_weights(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the weights `(batch, members)`: sum 1 over the members with input, zeros for a row without any."""
        weights = self.weights.to(scores, non_blocking=True) * scores.any(dim=-1)
        return weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Combine the scores of all members.

        Args:
            scores: `(batch, members * classes)` log-probabilities, grouped by member. All zeros, which is no
                distribution, mean that a member has no input; the weights of the others are then scaled up.

        Returns:
            Log-probabilities `(batch, classes)`; uniform for a row without input for any member.
        """
        scores = scores.unflatten(-1, (self.members, self.classes))
        return torch.einsum("bm,bmc->bc", self.member_weights(scores), scores).log_softmax(dim=-1)


class WeightedCombination(MeanCombination):
    r"""The weighted mean \(l = \sum_m w_m \log p_m\), renormalised; `w` is the softmax of a learned parameter."""

    def __init__(self, members: int, classes: int):
        super().__init__(members, classes)
        self.weight = nn.Parameter(torch.zeros(members))

    def reset_parameters(self) -> None:
        """Initialise as the mean."""
        init.zeros_(self.weight)

    @property
    def weights(self) -> torch.Tensor:
        """The weights `(members,)`, non-negative with sum 1."""
        return self.weight.softmax(dim=0)


class MeanProbabilityCombination(MeanCombination):
    r"""The logarithm of the mean of probabilities, \(l = \log \sum_m p_m / M\)."""

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """See [`MeanCombination.forward`]."""
        scores = scores.unflatten(-1, (self.members, self.classes))
        # The logarithm of a weight of zero has no finite gradient; a row without input is uniform.
        weights = self.member_weights(scores).clamp_min(torch.finfo(scores.dtype).tiny)
        return (scores + weights.log()[..., None]).logsumexp(dim=1).log_softmax(dim=-1)


class WeightedProbabilityCombination(MeanProbabilityCombination, WeightedCombination):
    r"""The mixture \(l = \log \sum_m w_m p_m\); `w` is the softmax of a learned parameter."""


class LogisticCombination(nn.Module):
    """Multinomial logistic regression on the log-probabilities; a member without input counts as uniform.

    Args:
        members: The number of classifiers.
        classes: The number of labels.
    """

    def __init__(self, members: int, classes: int):
        super().__init__()
        self.members, self.classes = members, classes
        self.weight = nn.Parameter(torch.empty(classes, members * classes))
        self.bias = nn.Parameter(torch.empty(classes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the mean."""
        init.copy_(self.weight, torch.eye(self.classes).repeat(1, self.members) / self.members)
        init.zeros_(self.bias)

    def features(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities `(batch, members * classes)`, uniform for members without input."""
        scores = scores.unflatten(-1, (self.members, self.classes))
        uniform = scores.new_full((), 1 / self.classes).log()
        return torch.where(scores.any(dim=-1, keepdim=True), scores, uniform).flatten(1)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """See [`MeanCombination.forward`]."""
        return F.linear(self.features(scores).to(self.weight.dtype), self.weight, self.bias).log_softmax(dim=-1)


COMBINATIONS = {
    "mean": MeanCombination,
    "weighted": WeightedCombination,
    "mean_probability": MeanProbabilityCombination,
    "weighted_probability": WeightedProbabilityCombination,
    "logistic": LogisticCombination,
}
