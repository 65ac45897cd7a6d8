"""Linear layers that read the same input, computed as one product (ours)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .modeling_lengths import works_by_row
from .modeling_modules import is_plain_linear


def joins(layers: Sequence[nn.Module], states: torch.Tensor) -> bool:
    """Return whether to compute layers as one product: for a gradient, where a GPU waits for launches.

    A layer by itself takes nine launches of a training step: the casts of autocast and their backward, two products, and the
    sums for the bias and for the gradient of the input. Without a gradient, joining weights would cost as much as it saves;
    on a CPU, the copies of weights cost more than the calls.

    Args:
        layers: Layers of the same input.
        states: The input.
    """
    return torch.is_grad_enabled() and not works_by_row(states.device) and all(map(is_plain_linear, layers))


def project_jointly(layers: Sequence[nn.Linear], states: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the outputs of linear layers with biases for the same input.

    Args:
        layers: The layers.
        states: `(..., in_features)`.
    """
    weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    return F.linear(states, weight, bias).split([layer.out_features for layer in layers], dim=-1)
