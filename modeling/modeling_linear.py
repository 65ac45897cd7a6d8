"""Linear layers that read the same input."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .modeling_lengths import works_by_row


def project(layers: Sequence[nn.Linear], states: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the outputs of linear layers for the same input; for a gradient on a GPU as one product (ours).

    A product of its own costs each layer nine launches of a training step: the casts of autocast, two products of the
    backward pass, the sum for the bias, and the sum of the gradients of the input. One product with joined weights saves
    most of them. Without a gradient, joining would cost as much as it saves, and on a CPU copies cost more than calls.

    Args:
        layers: Plain linear layers.
        states: `(..., in_features)`.
    """
    biases = [layer.bias for layer in layers]
    joins = len(layers) > 1 and torch.is_grad_enabled() and not works_by_row(states.device) and None not in biases
    if not joins:
        return tuple(F.linear(states, layer.weight, bias) for layer, bias in zip(layers, biases, strict=True))
    joined = F.linear(states, torch.cat([layer.weight for layer in layers]), torch.cat(biases))
    return joined.split([layer.out_features for layer in layers], dim=-1)
