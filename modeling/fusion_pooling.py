"""Pooling of packed rows."""

from collections.abc import Callable

import torch
from torch import nn

from .modeling_rows import Rows

ATTENTION_SIZE = 128  # as in SpeechBrain's ECAPA-TDNN


def build_pooling(name: str, size: int) -> nn.Module:
    """Return a pooling, a module from packed states and their layout to one vector per row.

    Args:
        name: `"mean"`, `"statistics"` or `"attentive_statistics"`.
        size: The channels of the states.
    """
    if name == "attentive_statistics":
        return AttentiveStatisticsPooling(size)
    return PlainPooling({"mean": masked_mean, "statistics": statistics_pooling}[name])


def masked_mean(packed: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Return the mean of each row, computed in float32 at least: the sum of many frames overflows in float16.

    Args:
        packed: States of the rows, packed, with `hidden` channels.
        rows: Their layout.

    Returns:
        `(batch, hidden)`.
    """
    dtype = torch.promote_types(packed.dtype, torch.float32)
    return _mean(rows.pad(packed), rows, dtype).to(packed.dtype)


def statistics_pooling(packed: torch.Tensor, rows: Rows, eps: float = 1e-5) -> torch.Tensor:
    """Return mean and standard deviation of each row (statistics pooling, as in Krishna 2021).

    `eps` under the root keeps the gradient finite for an utterance with one frame.

    Args:
        packed: States of the rows, packed, with `hidden` channels.
        rows: Their layout.
        eps: Added to the variance.

    Returns:
        `(batch, 2 * hidden)`: means, then population standard deviations, computed in float32.
    """
    dtype = torch.promote_types(packed.dtype, torch.float32)
    states = rows.pad(packed)
    if rows.key_mask is None:
        variance, mean = torch.var_mean(states.to(dtype), dim=1, correction=0)
    else:
        mean = _mean(states, rows, dtype)
        # The derivative of the variance by the mean is zero.
        centred = (states - mean.detach().unsqueeze(1)) * rows.key_mask.unsqueeze(-1)
        variance = _mean(centred.square(), rows, dtype)
    return torch.cat([mean, torch.sqrt(variance + eps)], dim=-1).to(packed.dtype)


class PlainPooling(nn.Module):
    """A pooling without parameters.

    Args:
        function: The pooling, such as `masked_mean`.
    """

    def __init__(self, function: Callable[[torch.Tensor, Rows], torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the result of the function."""
        return self.function(packed, rows)


class AttentiveStatisticsPooling(nn.Module):
    """Mean and standard deviation of each row, weighted by an attention over its positions (Okabe 2018, arXiv 1803.10963).

        e_t = v' tanh(W h_t + b)      a = softmax of e over the row
        mean = sum of a_t h_t         std = sqrt(sum of a_t (h_t - mean)^2 + eps)

    The paper adds a constant to every e_t, which the softmax removes. The width of the attention is ours.

    Args:
        size: The channels of the states.
        attention_size: The width of the hidden layer of the attention.
        eps: Added to the variance, so that the gradient is finite for an utterance with one frame.
    """

    def __init__(self, size: int, attention_size: int = ATTENTION_SIZE, eps: float = 1e-5):
        super().__init__()
        self.projection = nn.Linear(size, attention_size)
        # Not "score": peft takes a module of that name for the head of a classifier.
        self.weigh = nn.Linear(attention_size, 1, bias=False)
        self.eps = eps

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return `(batch, 2 * size)`, means, then standard deviations, computed in float32."""
        dtype = torch.promote_types(packed.dtype, torch.float32)
        scores = rows.pad(self.weigh(self.projection(packed).tanh()))
        if rows.key_mask is not None:
            scores = scores.masked_fill(~rows.key_mask.unsqueeze(-1), -torch.inf)
        weights, states = scores.softmax(dim=1, dtype=dtype), rows.pad(packed)
        mean = (weights * states).sum(dim=1)
        # The derivative of the variance by the mean is zero.
        variance = (weights * (states - mean.detach().unsqueeze(1)).square()).sum(dim=1)
        return torch.cat([mean, torch.sqrt(variance + self.eps)], dim=-1).to(packed.dtype)


def _mean(padded: torch.Tensor, rows: Rows, dtype: torch.dtype) -> torch.Tensor:
    """Return the mean of each row of `(batch, longest row, hidden)`, zero where padded."""
    if rows.key_mask is None:
        return padded.mean(dim=1, dtype=dtype)
    return padded.sum(dim=1, dtype=dtype) / rows.counts[:, None]
