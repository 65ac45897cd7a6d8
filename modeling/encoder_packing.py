"""Encoders on rows without padding: attention inside packed rows, and buckets for layers that cannot take those (ours)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .modeling_lengths import Lengths
from .modeling_row_attention import attend_inside_rows
from .modeling_rows import Rows, stack_rows

# The name of `packed_attention` among the attention functions of transformers.
# Remote code of the Hub, which may be of another version, registers its own.
PACKED_ATTENTION = f"packed_sdpa_{__name__.replace('.', '_')}"
# A bucket ends where a row is shorter than this share of the bucket's longest row.
BUCKET_SHARE = 0.75


def length_buckets(lengths: Lengths) -> list[list[int]]:
    """Return the numbers of rows in groups of similar length, the longest first.

    Several processes get one group: where weights are sharded (FSDP), all must call the layers as often.
    """
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return [list(range(len(lengths)))]
    buckets: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not buckets or lengths[row] < BUCKET_SHARE * lengths[buckets[-1][0]]:
            buckets.append([])
        buckets[-1].append(row)
    return buckets


def run_in_buckets(
    run: Callable[[torch.Tensor, torch.Tensor | None], Sequence[torch.Tensor]], packed: torch.Tensor, rows: Rows
) -> tuple[torch.Tensor, ...]:
    """Run layers that cannot take packed rows, on padded rows of similar length.

    Args:
        run: A function of `(rows, positions, ...)` and its mask `(rows, positions)`, bool, or None if all rows are as
            long; it returns any number of tensors `(rows, positions, ...)`.
        packed: Its packed input.
        rows: The layout.

    Returns:
        The tensors that `run` returned, packed.
    """
    parts = rows.split(packed)
    results: dict[int, tuple[torch.Tensor, ...]] = {}
    for bucket in length_buckets(rows.lengths):
        layout = Rows([rows.lengths[row] for row in bucket], packed.device)
        outputs = run(stack_rows([parts[row] for row in bucket]), layout.key_mask)
        unpadded = zip(*(output.unbind() for output in outputs), strict=True)
        for row, states in zip(bucket, unpadded, strict=True):
            results[row] = tuple(state[: rows.lengths[row]] for state in states)
    return tuple(map(rows.join, zip(*(results[row] for row in range(len(parts))), strict=True)))


def use_packed_attention(encoder: PreTrainedModel) -> None:
    """Let `packed_attention` take the place of the attention "sdpa" of an encoder."""
    if encoder.config._attn_implementation == "sdpa":
        encoder.set_attn_implementation(PACKED_ATTENTION)


def takes_packed_rows(encoder: PreTrainedModel) -> bool:
    """Return whether the layers of an encoder attend by row; if not, rows are padded for them."""
    return encoder.config._attn_implementation == PACKED_ATTENTION


def attention_arguments(rows: Rows) -> dict[str, Any]:
    """Return the arguments of layers with packed rows as input, which pass them on to `packed_attention`."""
    return {} if rows.are_equal else {"row_layout": rows}


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    row_layout: Rows | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """Compute scaled dot-product attention inside each row; an attention function of transformers.

    Args:
        module: The attention module.
        query: `(batch, heads, positions, head size)`.
        key: As `query`.
        value: As `query`.
        attention_mask: None, or a mask that broadcasts to `(batch, heads, positions, positions)`.
        dropout: Dropout on the attention weights.
        scaling: The factor of the scores.
        row_layout: The layout of packed rows; None if the rows are not packed.
        **kwargs: Other arguments of attention functions.

    Returns:
        `(batch, positions, heads, head size)`, and None for the weights.
    """
    if row_layout is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    states = tuple(state.transpose(1, 2) for state in (query, key, value))
    return attend_inside_rows(*states, row_layout, row_layout, dropout, scaling, attention_mask), None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)
