"""Rows of different lengths one behind the other, so that encoders compute no padding (ours).

A packed tensor is `(1, positions of all rows, ...)`. Rows of equal length need no packing and stay `(batch, positions,
...)`; layers that treat every position alike accept both. Lengths are Python numbers: nothing waits for the device.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .modeling_lengths import Lengths, lengths_mask, works_by_row
from .modeling_row_attention import attend_inside_rows, has_kernel, offsets_of_rows

# The name of `packed_attention` among the attention functions of transformers.
# Remote code of the Hub, which may be of another version, registers its own.
PACKED_ATTENTION = f"packed_sdpa_{__name__.replace('.', '_')}"
# A bucket ends where a row is shorter than this share of the bucket's longest row.
BUCKET_SHARE = 0.75


def is_uniform(lengths: Lengths) -> bool:
    """Return whether all rows have the same length."""
    return min(lengths) == max(lengths)


def pack_rows(padded: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    """Pack the valid positions of `(batch, positions, ...)`, which come first in each row."""
    if is_uniform(lengths):
        return padded[:, : lengths[0]]
    if works_by_row(padded.device):
        return join_rows([row[:length] for row, length in zip(padded.unbind(), lengths, strict=True)])
    return padded.flatten(0, 1).index_select(0, row_places(lengths, padded.device, padded.shape[1]))[None]


def pad_rows(packed: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    """Return `(batch, longest row, ...)`, zero where padded; the inverse of `pack_rows`."""
    if is_uniform(lengths):
        return packed
    if works_by_row(packed.device):
        return stack_rows(split_rows(packed, lengths))
    longest, sizes = max(lengths), packed.shape[2:]
    places = row_places(lengths, packed.device, longest)
    padded = packed.new_zeros(len(lengths) * longest, *sizes).index_copy_(0, places, packed.squeeze(0))
    return padded.unflatten(0, (len(lengths), longest))


def row_numbers(lengths: Lengths, device: torch.device) -> torch.Tensor:
    """Return the number of the row of each packed position, `(positions of all rows,)`."""
    counts = torch.tensor(lengths).to(device, non_blocking=True)
    return torch.repeat_interleave(counts, output_size=sum(lengths))


def row_places(lengths: Lengths, device: torch.device, width: int) -> torch.Tensor:
    """Return the place of each packed position in flattened rows of `width` positions, `(positions of all rows,)`.

    Args:
        lengths: The length of every row.
        device: Device of the places.
        width: The positions of a padded row.
    """
    return lengths_mask(lengths, device, width).flatten().nonzero_static(size=sum(lengths))[:, 0]


def split_rows(packed: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, ...]:
    """Return the rows of a packed tensor, each `(positions, ...)`."""
    return packed.unbind() if is_uniform(lengths) else packed.squeeze(0).split(list(lengths))


def join_rows(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the packed tensor of rows; the inverse of `split_rows`."""
    if is_uniform([len(row) for row in rows]):
        return torch.stack(list(rows))
    return torch.cat(list(rows))[None]


def stack_rows(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return `(rows, longest row, ...)`, zero where padded."""
    longest = max(map(len, rows))
    return torch.stack([F.pad(row, (0, 0) * (row.ndim - 1) + (0, longest - len(row))) for row in rows])


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
    run: Callable[[torch.Tensor, torch.Tensor | None], Sequence[torch.Tensor]],
    packed: torch.Tensor,
    lengths: Lengths,
) -> tuple[torch.Tensor, ...]:
    """Run layers that cannot take packed rows, on padded rows of similar length.

    Args:
        run: A function of `(rows, positions, ...)` and its mask `(rows, positions)`, bool, or None if all rows are as
            long; it returns any number of tensors `(rows, positions, ...)`.
        packed: Its packed input.
        lengths: The length of every row.

    Returns:
        The tensors that `run` returned, packed.
    """
    rows = split_rows(packed, lengths)
    results: dict[int, tuple[torch.Tensor, ...]] = {}
    for bucket in length_buckets(lengths):
        counts = [lengths[row] for row in bucket]
        mask = None if is_uniform(counts) else lengths_mask(counts, packed.device)
        outputs = run(stack_rows([rows[row] for row in bucket]), mask)
        unpadded = zip(*(output.unbind() for output in outputs), strict=True)
        for row, states in zip(bucket, unpadded, strict=True):
            results[row] = tuple(state[: lengths[row]] for state in states)
    return tuple(map(join_rows, zip(*(results[row] for row in range(len(lengths))), strict=True)))


def use_packed_attention(encoder: PreTrainedModel) -> None:
    """Let `packed_attention` take the place of the attention "sdpa" of an encoder."""
    if encoder.config._attn_implementation == "sdpa":
        encoder.set_attn_implementation(PACKED_ATTENTION)


def takes_packed_rows(encoder: PreTrainedModel) -> bool:
    """Return whether the layers of an encoder attend by row; if not, rows are padded for them."""
    return encoder.config._attn_implementation == PACKED_ATTENTION


def attention_arguments(lengths: Lengths, device: torch.device) -> dict[str, Any]:
    """Return the arguments of layers with packed rows as input, which pass them on to `packed_attention`."""
    if is_uniform(lengths):
        return {}
    return {"row_lengths": tuple(lengths), "row_offsets": offsets_of_rows(lengths, device)}


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    row_lengths: tuple[int, ...] | None = None,
    row_offsets: torch.Tensor | None = None,
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
        row_lengths: The lengths of packed rows; None if the rows are not packed.
        row_offsets: See `offsets_of_rows` in `modeling_row_attention`.
        **kwargs: Other arguments of attention functions.

    Returns:
        `(batch, positions, heads, head size)`, and None for the weights.
    """
    if row_lengths is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    if attention_mask is None and has_kernel(query, row_offsets):
        states, longest = tuple(state.squeeze(0).transpose(0, 1) for state in (query, key, value)), max(row_lengths)
        context = attend_inside_rows(states, (row_offsets,) * 2, (longest,) * 2, dropout, scaling)
        return context[None], None
    contexts, start = [], 0
    for rows in zip(*(states.split(list(row_lengths), dim=2) for states in (query, key, value)), strict=True):
        places = slice(start, start + rows[0].shape[2])
        start = places.stop
        mask = None if attention_mask is None else attention_mask[..., places, places]
        contexts.append(F.scaled_dot_product_attention(*rows, attn_mask=mask, dropout_p=dropout, scale=scaling))
    return torch.cat([context.transpose(1, 2) for context in contexts], dim=1), None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)
