"""Attention inside packed rows of any length (ours)."""

from itertools import accumulate

import torch
import torch.nn.functional as F

from .modeling_rows import Rows

# The sizes of heads and the dtypes that the kernels take.
HEAD_SIZES = range(8, 257, 8)
HALF_DTYPES = (torch.float16, torch.bfloat16)


def has_kernel(query: torch.Tensor, rows: Rows, key_value_rows: Rows) -> bool:
    """Return whether a GPU has a kernel for queries `(..., head size)` and the layouts of both sides."""
    is_known = query.dtype in HALF_DTYPES or query.dtype == torch.float32
    has_offsets = rows.offsets is not None and key_value_rows.offsets is not None
    return is_known and query.shape[-1] in HEAD_SIZES and has_offsets


def attend_inside_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rows: Rows,
    key_value_rows: Rows,
    dropout: float,
    scaling: float | None = None,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute scaled dot-product attention of each row of queries to the keys and values of the same row.

    Args:
        query: Packed, with `(heads, head size)` for each position.
        key: The same of the other side.
        value: As `key`.
        rows: The layout of the queries.
        key_value_rows: The layout of keys and values.
        dropout: Dropout on the attention weights.
        scaling: The factor of the scores; by default `head size ** -0.5`.
        mask: None, or for packed rows that attend to themselves a mask that broadcasts to `(1, heads, positions,
            positions)`.

    Returns:
        The same shape as `query`.
    """
    options = {"dropout_p": dropout, "scale": scaling}
    if rows.are_equal and key_value_rows.are_equal:
        heads = (state.transpose(1, 2) for state in (query, key, value))
        return F.scaled_dot_product_attention(*heads, attn_mask=mask, **options).transpose(1, 2)
    if mask is None and has_kernel(query, rows, key_value_rows):
        states = [state.flatten(0, 1) for state in (query, key, value)]
        return _attend_at_once(states, rows, key_value_rows, dropout, scaling).view(query.shape)
    contexts = []
    parts = zip(rows.split(query), key_value_rows.split(key), key_value_rows.split(value), strict=True)
    for row, end in zip(parts, accumulate(rows.lengths), strict=True):
        places = slice(end - len(row[0]), end)
        heads = (state[None].transpose(1, 2) for state in row)
        part = None if mask is None else mask[..., places, places]
        contexts.append(F.scaled_dot_product_attention(*heads, attn_mask=part, **options).transpose(1, 2).squeeze(0))
    return rows.join(contexts)


def _attend_at_once(
    states: list[torch.Tensor], rows: Rows, key_value_rows: Rows, dropout: float, scaling: float | None
) -> torch.Tensor:
    """Compute all rows in one kernel of a GPU, from states `(positions of all rows, heads, head size)`.

    Nested tensors reach the same kernels, but take 4.5 ms on the host instead of 0.04; `varlen_attn` of torch has no
    dropout. So the operators of both are called here.
    """
    layout = (rows.offsets, key_value_rows.offsets, rows.longest, key_value_rows.longest)
    if states[0].dtype in HALF_DTYPES:
        return torch.ops.aten._flash_attention_forward(*states, *layout, dropout, False, False, scale=scaling)[0]
    states, keeps_sums = [state[None] for state in states], torch.is_grad_enabled()
    arguments = (None, *layout, dropout, 0, keeps_sums)
    return torch.ops.aten._efficient_attention_forward(*states, *arguments, scale=scaling)[0][0]
