"""Linear layers whose weights a GPU casts, and multiplies, in one operation instead of one each (ours)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .modeling_lengths import works_by_row
from .modeling_modules import is_plain_linear

# Linear layers with the same input.
Group = tuple[nn.Linear, ...]
# The weight `(outputs of all layers, inputs)` and the bias of groups.
Joined = Mapping[Group, tuple[torch.Tensor, torch.Tensor]]


def join_weights(groups: Sequence[Group], device: torch.device) -> Joined:
    """Return the weights of groups of layers as one weight and one bias each, where that saves launches of a GPU.

    A linear layer by itself takes nine launches of a training step: the casts of autocast and their backward, two products,
    and the sums for the bias and for the gradient of the input. Under autocast all weights here are cast together, and
    are parts of one tensor. Without autocast, only layers of the same input are joined, for a gradient; without a gradient,
    joining them would cost as much as it saves. On a CPU, the copies of weights cost more than the calls.

    Args:
        groups: Layers with the same input; a layer alone is a group of one. Groups with a layer that must be called, as one
            with an adapter, are left out.
        device: The device of the layers.
    """
    has_autocast = torch.is_autocast_enabled(device.type)
    if works_by_row(device) or not (has_autocast or torch.is_grad_enabled()):
        return {}
    groups = [group for group in groups if all(map(is_plain_linear, group))]
    if not (has_autocast and all(layer.weight.dtype == torch.float32 for group in groups for layer in group)):
        together = [group for group in groups if len(group) > 1] if torch.is_grad_enabled() else []
        return {group: tuple(map(torch.cat, _weights_of(group))) for group in together}
    if not groups:
        return {}
    weights, biases = zip(*map(_weights_of, groups), strict=True)
    parts = (*weights, *biases)
    joined = torch.cat([tensor.flatten() for part in parts for tensor in part])
    pieces = joined.to(torch.get_autocast_dtype(device.type)).split([sum(map(torch.numel, part)) for part in parts])
    return {
        group: (weight.view(-1, group[0].in_features), bias)
        for group, weight, bias in zip(groups, pieces[: len(groups)], pieces[len(groups) :], strict=True)
    }


def project(layers: Group, states: torch.Tensor, joined: Joined) -> tuple[torch.Tensor, ...]:
    """Return the outputs of layers for the same input.

    Args:
        layers: The layers.
        states: `(..., in_features)`.
        joined: The result of `join_weights`, with this group or without it.
    """
    if layers not in joined:
        return tuple(layer(states) for layer in layers)
    outputs = F.linear(states, *joined[layers])
    return (outputs,) if len(layers) == 1 else outputs.split([layer.out_features for layer in layers], dim=-1)


def _weights_of(layers: Group) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    return [layer.weight for layer in layers], [layer.bias for layer in layers]
