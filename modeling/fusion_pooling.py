"""Pooling of a sequence over its valid frames."""

import torch


def masked_mean(hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over valid frames, computed in float32 at least: the sum of many frames overflows in float16.

    Args:
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool; every row has at least one valid frame.

    Returns:
        `(batch, hidden)`.
    """
    dtype = torch.promote_types(hidden_states.dtype, torch.float32)
    weights = mask.unsqueeze(-1).to(dtype)
    return ((hidden_states * weights).sum(dim=1) / weights.sum(dim=1)).to(hidden_states.dtype)


def statistics_pooling(hidden_states: torch.Tensor, mask: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Return mean and standard deviation over valid frames (statistics pooling, as in Krishna 2021).

    `eps` under the root keeps the gradient finite for an utterance with one frame.

    Args:
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool; every row has at least one valid frame.
        eps: Added to the variance.

    Returns:
        `(batch, 2 * hidden)`: means, then population standard deviations, computed in float32.
    """
    states = hidden_states.float()
    mean = masked_mean(states, mask)
    variance = masked_mean((states - mean.unsqueeze(1)).square(), mask)
    return torch.cat([mean, torch.sqrt(variance + eps)], dim=-1).to(hidden_states.dtype)
