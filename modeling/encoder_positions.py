"""The convolutional positions of the wav2vec 2.0 family, without padding (ours)."""

import torch
import torch.nn.functional as F
from torch import nn

from .encoder_convolutions import product_dtype
from .modeling_lengths import works_by_row
from .modeling_modules import are_unchanged
from .modeling_rows import Rows

# Frames of a block: more make the weights of a block larger, fewer the windows. Measured on an H200 with 128 taps.
BLOCK = 8


def embed_positions(embed: nn.Module, hidden_states: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Return the positions of packed states.

    Args:
        embed: The positional convolution of an encoder, or the stack of several of data2vec-audio.
        hidden_states: Packed `(1, frames of all rows, hidden)`, or `(batch, frames, hidden)`.
        rows: The layout.

    Returns:
        The same shape.
    """
    is_changed = not are_unchanged(embed)
    if not works_by_row(hidden_states.device) and not is_changed:
        return _embed_in_blocks(embed, hidden_states, rows)
    if rows.are_equal:
        return embed(hidden_states)
    if is_changed or not hasattr(embed, "conv"):
        return rows.join([embed(row[None])[0] for row in rows.split(hidden_states)])
    conv, weight = embed.conv, embed.conv.weight  # which its parametrization computes: once for all rows
    positions = []
    for row in rows.split(hidden_states):
        states = F.conv1d(row.T[None], weight, conv.bias, padding=conv.padding, groups=conv.groups)
        positions.append(embed.activation(embed.padding(states))[0].T)
    return rows.join(positions)


def _embed_in_blocks(embed: nn.Module, hidden_states: torch.Tensor, rows: Rows) -> torch.Tensor:
    for layer in getattr(embed, "layers", (embed,)):
        hidden_states = convolve_in_blocks(layer.conv, hidden_states, rows)
        if hasattr(layer, "layer_norm"):
            hidden_states = layer.layer_norm(hidden_states)
        hidden_states = layer.activation(hidden_states)
    return hidden_states


def convolve_in_blocks(conv: nn.Conv1d, hidden_states: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Apply a grouped convolution to each row, as one product for each group.

    The output frames of a block are a product of its window, the frames that any of them reads, with the weights shifted by
    one frame for each output frame. With blocks of 8 frames and 128 taps 6 % of the factors are zeros. cuDNN's grouped
    convolution takes 17 times as long in bfloat16, and is what a stock encoder spends most of its time on.

    Args:
        conv: The convolution; frames that it adds behind a row are left out.
        hidden_states: Packed `(1, frames of all rows, channels)`, or `(batch, frames, channels)`.
        rows: The layout.

    Returns:
        The same shape.
    """
    weight = conv.weight  # which a parametrization computes
    device, dtype = hidden_states.device, product_dtype(weight)
    groups, (taps,), (border,) = conv.groups, conv.kernel_size, conv.padding
    # Zeros before, between and behind the rows, so that no window holds frames of two.
    places = torch.arange(rows.total, device=device) + border * rows.numbers
    blocks = -(-(rows.total + border * (len(rows.lengths) - 1)) // BLOCK)
    spaced = torch.zeros(blocks * BLOCK + taps, conv.in_channels, dtype=dtype, device=device)
    spaced = spaced.index_copy_(0, places + border, hidden_states.flatten(0, 1).to(dtype))
    by_group = spaced.unflatten(1, (groups, -1)).transpose(0, 1).contiguous()
    windows = by_group.unfold(1, BLOCK + taps, BLOCK).transpose(2, 3).flatten(2)
    weight = weight.to(dtype).unflatten(0, (groups, -1)).transpose(2, 3)
    shifted = [F.pad(weight, (0, 0, shift, BLOCK - shift)) for shift in range(BLOCK)]
    products = windows @ torch.stack(shifted, dim=1).flatten(3).flatten(1, 2).transpose(1, 2)
    states = products.unflatten(2, (BLOCK, -1)).flatten(1, 2).transpose(0, 1).flatten(1).index_select(0, places)
    states = states if conv.bias is None else states + conv.bias.to(dtype)
    return states.unflatten(0, hidden_states.shape[:2])
