"""Attention inside packed rows of any length, in one kernel of a GPU (ours)."""

import torch

from .modeling_lengths import Lengths

# The GPUs with such kernels (from Ampere on), and the sizes of heads and the dtypes that they take.
CAPABILITY = (8, 0)
HEAD_SIZES = range(8, 257, 8)
HALF_DTYPES = (torch.float16, torch.bfloat16)


def offsets_of_rows(lengths: Lengths, device: torch.device) -> torch.Tensor | None:
    """Return the first position of each packed row and the end of the last, `(rows + 1,)`, int32; None without kernels."""
    if device.type != "cuda" or not torch.version.cuda or torch.cuda.get_device_capability(device) < CAPABILITY:
        return None
    return torch.tensor([0, *lengths]).cumsum(0).int().to(device, non_blocking=True)


def has_kernel(query: torch.Tensor, *offsets: torch.Tensor | None) -> bool:
    """Return whether there is a kernel for queries `(..., head size)` and the offsets of both sides."""
    is_known = query.dtype in HALF_DTYPES or query.dtype == torch.float32
    return is_known and query.shape[-1] in HEAD_SIZES and all(places is not None for places in offsets)


def attend_inside_rows(
    states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    offsets: tuple[torch.Tensor, torch.Tensor],
    longest: tuple[int, int],
    dropout: float,
    scaling: float | None = None,
) -> torch.Tensor:
    """Compute scaled dot-product attention of each row of queries to the keys and values of the same row.

    Nested tensors reach the same kernels, but take 4.5 ms on the host instead of 0.04; `varlen_attn` of torch has no
    dropout. So the operators of both are called here.

    Args:
        states: Queries, keys and values, `(positions of all rows, heads, head size)`; see `has_kernel`.
        offsets: The `offsets_of_rows` of the queries, and those of keys and values.
        longest: The length of the longest row of both.
        dropout: Dropout on the attention weights.
        scaling: The factor of the scores; by default `head size ** -0.5`.

    Returns:
        The shape of the queries.
    """
    if states[0].dtype in HALF_DTYPES:
        arguments = (*offsets, *longest, dropout, False, False)
        return torch.ops.aten._flash_attention_forward(*states, *arguments, scale=scaling)[0]
    states, arguments = [state[None] for state in states], (None, *offsets, *longest, dropout, 0)
    keeps_sums = torch.is_grad_enabled()
    return torch.ops.aten._efficient_attention_forward(*states, *arguments, keeps_sums, scale=scaling)[0][0]
