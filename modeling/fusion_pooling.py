"""Pooling of packed rows."""

import torch

from .fusion_rows import Rows


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
    states = rows.pad(packed).to(dtype)
    if rows.key_mask is None:
        variance, mean = torch.var_mean(states, dim=1, correction=0)
    else:
        mean = _mean(states, rows, dtype)
        centred = (states - mean.unsqueeze(1)) * rows.key_mask.unsqueeze(-1)
        variance = _mean(centred.square(), rows, dtype)
    return torch.cat([mean, torch.sqrt(variance + eps)], dim=-1).to(packed.dtype)


def _mean(padded: torch.Tensor, rows: Rows, dtype: torch.dtype) -> torch.Tensor:
    """Return the mean of each row of `(batch, longest row, hidden)`, zero where padded."""
    if rows.key_mask is None:
        return padded.mean(dim=1, dtype=dtype)
    if rows.valid is None:
        return padded.sum(dim=1, dtype=dtype) / rows.counts[:, None]
    return (padded * rows.valid.unsqueeze(-1)).sum(dim=1, dtype=dtype) / rows.valid.sum(dim=1, keepdim=True)
