"""Linear layers that read the same input, computed as one product (ours)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .modeling_lengths import works_by_row


def joins(layers: Sequence[nn.Module], states: torch.Tensor) -> bool:
    """Return whether `project` computes layers as one product: for a gradient, where a GPU waits for launches.

    A layer by itself takes nine launches of a training step: the casts of autocast and their backward, two products, and the
    sums for the bias and for the gradient of the input. Without a gradient, joining weights would cost as much as it saves;
    on a CPU, the copies of weights cost more than the calls.

    Args:
        layers: Layers of the same input.
        states: The input.
    """
    is_plain = all(type(layer) is nn.Linear and layer.bias is not None for layer in layers)
    return is_plain and torch.is_grad_enabled() and not works_by_row(states.device)


def project(layers: Sequence[nn.Module], states: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the outputs of linear layers for the same input.

    Args:
        layers: The layers; an adapter or a quantised layer is called as the module that it is.
        states: `(..., in_features)`.
    """
    if len(layers) == 1 or not joins(layers, states):
        return tuple(layer(states) for layer in layers)
    weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    return F.linear(states, weight, bias).split([layer.out_features for layer in layers], dim=-1)
