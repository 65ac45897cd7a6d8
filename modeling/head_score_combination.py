"""One answer from the log-probabilities of several classifiers (ours).

All of it is in the log domain, a product of experts: one that is sure that it is not so is heard. The other common
rule, a mixture `p = sum_m w_m softmax(l_m)` of probabilities, is another one and not offered.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init


class MeanCombination(nn.Module):
    r"""The renormalised mean of log-probabilities, \(l = \sum_m \log p_m / M\).

    Args:
        members: how many there are.
        classes: how many labels.
    """

    def __init__(self, members: int, classes: int):
        super().__init__()
        self.members, self.classes = members, classes

    def reset_parameters(self) -> None:
        """Begin as the mean."""

    @property
    def weights(self) -> torch.Tensor:
        """Of each member `(members,)`, at least 0 and together 1."""
        return torch.full((self.members,), 1 / self.members)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the labels; all equal for a row on which no member has an opinion.

        Args:
            scores: `(batch, members * classes)` log-probabilities, those of a member side by side; all zero, which no
                distribution is, where a member has no opinion. The weights of the others are then scaled up.

        Returns:
            `(batch, classes)`.
        """
        scores = scores.unflatten(-1, (self.members, self.classes))
        weights = self.weights.to(scores) * scores.any(dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
        return torch.einsum("bm,bmc->bc", weights, scores).log_softmax(dim=-1)


class WeightedCombination(MeanCombination):
    r"""The same with weights that are learned, \(l = \sum_m w_m \log p_m\), `w` being the softmax of a parameter."""

    def __init__(self, members: int, classes: int):
        super().__init__(members, classes)
        self.weight = nn.Parameter(torch.zeros(members))

    def reset_parameters(self) -> None:
        """Begin as the mean."""
        init.zeros_(self.weight)

    @property
    def weights(self) -> torch.Tensor:
        """Of each member `(members,)`, at least 0 and together 1."""
        return self.weight.softmax(dim=0)


class LogisticCombination(nn.Module):
    """Multinomial logistic regression on the log-probabilities; a member without an opinion counts as undecided.

    Args:
        members: how many there are.
        classes: how many labels.
    """

    def __init__(self, members: int, classes: int):
        super().__init__()
        self.members, self.classes = members, classes
        self.weight = nn.Parameter(torch.empty(classes, members * classes))
        self.bias = nn.Parameter(torch.empty(classes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin as the mean."""
        init.copy_(self.weight, torch.eye(self.classes).repeat(1, self.members) / self.members)
        init.zeros_(self.bias)

    def features(self, scores: torch.Tensor) -> torch.Tensor:
        """The log-probabilities `(batch, members * classes)`, those of an undecided member where there are none."""
        scores = scores.unflatten(-1, (self.members, self.classes))
        undecided = scores.new_tensor(1 / self.classes).log()
        return torch.where(scores.any(dim=-1, keepdim=True), scores, undecided).flatten(1)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """See [`MeanCombination.forward`]."""
        return F.linear(self.features(scores), self.weight, self.bias).log_softmax(dim=-1)


COMBINATIONS = {"mean": MeanCombination, "weighted": WeightedCombination, "logistic": LogisticCombination}
