"""The convolutions of the wav2vec 2.0 family as matrix products, with frames before channels (ours).

Nothing is padded or transposed. Rows, or on a CPU pieces of them, lie one behind the other, each from a multiple of the hop
on: then the frames of a row are those that it has alone, at every layer, and frames that reach into the next row are
dropped at the end.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .modeling_lengths import Lengths, lengths_mask, works_by_row
from .modeling_modules import are_unchanged
from .modeling_rows import Rows

# Frames that are computed at once on a CPU (8 s): tensors of more than 32 MB are mapped anew for each layer, which costs as
# much as a layer. A GPU computes all at once, because each of its calls costs a launch.
FRAMES_AT_ONCE = 400


class Piece(NamedTuple):
    """Frames of a row: `start` to `start + frames`."""

    row: int
    start: int
    frames: int


def wav2vec2_receptive_field(config: PreTrainedConfig) -> int:
    """Return the receptive field of the first frame in samples (400 for wav2vec 2.0)."""
    field = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        field = (field - 1) * stride + kernel
    return field


class FrontEnd(NamedTuple):
    """The convolutional front end of an encoder: its layers, its receptive field and hop in samples, the dtype of products."""

    layers: nn.ModuleList
    field: int
    hop: int
    dtype: torch.dtype


def product_dtype(weight: torch.Tensor) -> torch.dtype:
    """Return the dtype in which products with a weight are computed: that of autocast, if it is on."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def convolve_waveform(
    encoder: PreTrainedModel, input_values: torch.Tensor, lengths: Lengths
) -> tuple[torch.Tensor, Rows]:
    """Run the convolutional front end; rows shorter than the receptive field are padded with silence to that length.

    Args:
        encoder: An encoder of the wav2vec 2.0 family.
        input_values: `(batch, samples)` waveform.
        lengths: The samples of each row.

    Returns:
        Features, packed, and the layout of their frames.
    """
    config, layers = encoder.config, encoder.feature_extractor.conv_layers
    field, hop = wav2vec2_receptive_field(config), math.prod(config.conv_stride)
    rows = Rows([(max(length, field) - field) // hop + 1 for length in lengths], input_values.device)
    weight = layers[0].conv.weight
    input_values = input_values.to(weight.dtype)
    if not are_unchanged(encoder.feature_extractor):
        waveforms = _waveforms(input_values, lengths, field)
        return rows.join([encoder.feature_extractor(waveform[None])[0].T for waveform in waveforms]), rows
    front_end = FrontEnd(layers, field, hop, product_dtype(weight))
    convolve = _convolve_in_pieces if works_by_row(weight.device) else _convolve_at_once
    features = convolve(front_end, input_values, lengths, rows)
    return features.unflatten(0, (len(lengths), -1)) if rows.are_equal else features[None], rows


def _waveforms(input_values: torch.Tensor, lengths: Lengths, field: int) -> list[torch.Tensor]:
    """Return the samples of each row, and silence behind them up to the receptive field."""
    rows = zip(input_values.unbind(), lengths, strict=True)
    return [F.pad(row[:length], (0, max(field - length, 0))) for row, length in rows]


def _convolve_in_pieces(front_end: FrontEnd, input_values: torch.Tensor, lengths: Lengths, rows: Rows) -> torch.Tensor:
    """Return the features of all rows, `(frames of all rows, channels)`, computed in pieces of the rows."""
    (first_layer, *layers), field, hop, dtype = front_end
    waveforms = _waveforms(input_values, lengths, field)
    first = [_first_layer(first_layer, waveform, dtype) for waveform in waveforms]
    others = [(layer, _flat_weight(layer.conv, dtype)) for layer in layers]
    features = []
    for pieces in _group_pieces(rows.lengths, FRAMES_AT_ONCE):
        spans = [(piece.frames - 1) * hop + field for piece in pieces]
        slots = [math.ceil(span / hop) for span in spans]
        segments = [
            F.pad(waveforms[row][start * hop : start * hop + span], (0, slot * hop - span))
            for (row, start, _), span, slot in zip(pieces, spans, slots, strict=True)
        ]
        # The last windows of all layers end in this silence; a frame of a lower layer is never missing.
        joined = F.pad(torch.cat(segments), (0, math.ceil(field / hop) * hop))
        hidden_states = _apply_first([first[piece.row] for piece in pieces], first_layer.conv, joined, slots, hop)
        for layer, flat_weight in others:
            hidden_states = _activate(layer, _convolve(hidden_states, layer.conv, flat_weight))
        places = hidden_states[: sum(slots)].split(slots)
        features += [place[: piece.frames] for place, piece in zip(places, pieces, strict=True)]
    return torch.cat(features)


def _convolve_at_once(front_end: FrontEnd, input_values: torch.Tensor, lengths: Lengths, rows: Rows) -> torch.Tensor:
    """Return the same as `_convolve_in_pieces`, computed in few calls for any number of rows, as a GPU wants it.

    The windows of the first layer are cut from the padded rows, in groups of one hop. Rows one behind the other are groups
    picked from them, and the last group is repeated, so that the last windows of all layers exist.
    """
    (first_layer, *layers), field, hop, dtype = front_end
    device, tail = input_values.device, math.ceil(field / hop)
    slots = Rows([count - 1 + tail for count in rows.lengths], device)
    width = slots.longest
    (kernel,), (stride,) = first_layer.conv.kernel_size, first_layer.conv.stride
    valid = lengths_mask(lengths, device, input_values.shape[1])
    silent = torch.where(valid, input_values, 0)
    silent = F.pad(silent, (0, width * hop + kernel - silent.shape[1]))
    windows = silent.unfold(1, kernel, stride)[:, : width * hop // stride].unflatten(1, (width, -1))
    picked = slots.index
    picked = torch.cat([picked, picked[-1:].expand(tail)])
    hidden_states = _first_layer_at_once(front_end, windows, lengths, picked)
    for layer in layers:
        hidden_states = _activate(layer, _convolve(hidden_states, layer.conv, _flat_weight(layer.conv, dtype)))
    places = torch.arange(rows.total, device=device) + (tail - 1) * rows.numbers
    return hidden_states.index_select(0, places)


def _first_layer_at_once(
    front_end: FrontEnd, windows: torch.Tensor, lengths: Lengths, picked: torch.Tensor
) -> torch.Tensor:
    """Apply the first layer to groups of windows.

    Args:
        front_end: The front end.
        windows: `(batch, groups, windows, kernel)` of padded rows.
        lengths: The samples of each row.
        picked: The groups to compute, as places in `(batch * groups,)`.

    Returns:
        `(windows of these groups, channels)`.
    """
    layer, dtype = front_end.layers[0], front_end.dtype
    conv, norm = layer.conv, getattr(layer, "layer_norm", None)
    weight, groups = conv.weight.squeeze(1), windows.flatten(0, 1).index_select(0, picked)
    if not isinstance(norm, nn.GroupNorm):
        bias = None if conv.bias is None else conv.bias.to(dtype)
        return _activate(layer, F.linear(groups.flatten(0, 1).to(dtype), weight.to(dtype), bias))
    rows, counts = picked // windows.shape[1], [max(length, front_end.field) for length in lengths]
    counts = tuple((count - windows.shape[3]) // conv.stride[0] + 1 for count in counts)
    valid = lengths_mask(counts, windows.device, windows.shape[1] * windows.shape[2])
    mean, scaled, shift = fold_group_norm(windows, weight, conv.bias, norm, dtype, valid.view(*windows.shape[:3], 1))
    centred = (groups - mean.index_select(0, rows)).to(dtype)
    return layer.activation(torch.baddbmm(shift, centred, scaled.index_select(0, rows)).flatten(0, 1))


def _group_pieces(frames: Lengths, most: int) -> Iterator[list[Piece]]:
    """Cut rows into pieces of at most `most` frames, and yield them in order in groups of at most as many."""
    group: list[Piece] = []
    for row, count in enumerate(frames):
        for start in range(0, count, most):
            piece = Piece(row, start, min(most, count - start))
            if group and sum(other.frames for other in group) + piece.frames > most:
                yield group
                group = []
            group.append(piece)
    yield group


def _apply_first(
    first: Sequence[Callable], conv: nn.Conv1d, waveform: torch.Tensor, slots: Sequence[int], hop: int
) -> torch.Tensor:
    """Apply the first layer of each piece to its windows.

    Args:
        first: The layer as a function of windows, for each piece.
        conv: Its convolution.
        waveform: `(samples,)` of all pieces, and silence.
        slots: The hops from the start of each piece to the start of the next.
        hop: The samples of a hop.

    Returns:
        `(frames, channels)`.
    """
    (kernel,), (stride,) = conv.kernel_size, conv.stride
    windows = waveform.unfold(0, kernel, stride)
    counts = [slot * hop // stride for slot in slots]
    counts[-1] = len(windows) - sum(counts[:-1])
    rows = [apply(row) for apply, row in zip(first, windows.split(counts), strict=True)]
    return torch.cat(rows) if len(rows) > 1 else rows[0]


def _first_layer(
    layer: nn.Module, waveform: torch.Tensor, dtype: torch.dtype
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the first layer for the windows of one row, `(windows, kernel)` to `(windows, channels)`.

    Args:
        layer: The layer: a convolution of one channel, its normalisation, its activation.
        waveform: `(samples,)` of the row; the normalisation of a channel is over all its frames.
        dtype: The dtype of products.
    """
    conv, norm = layer.conv, getattr(layer, "layer_norm", None)
    weight = conv.weight.squeeze(1)
    if isinstance(norm, nn.GroupNorm):
        windows = waveform.unfold(0, conv.kernel_size[0], conv.stride[0])
        mean, scaled, shift = fold_group_norm(windows[None], weight, conv.bias, norm, dtype)
        return lambda windows: layer.activation(torch.addmm(shift, (windows - mean[0]).to(dtype), scaled))
    weight, bias = weight.to(dtype), None if conv.bias is None else conv.bias.to(dtype)
    return lambda windows: _activate(layer, F.linear(windows.to(dtype), weight, bias))


def fold_group_norm(
    windows: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    norm: nn.GroupNorm,
    dtype: torch.dtype,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the factors of a convolution and the group normalisation after it, with one channel per group (ours).

    A channel of the convolution is w . x, for its weight w and a window x of the waveform. Over frames its mean is w . m
    and its variance w C w', with the mean m and the covariance C of the windows. So the normalised channel is a product
    of x - m with w times a scale, plus a shift, and no frame is computed to normalise it. Statistics are computed in float64:
    in w C w' large numbers cancel where low frequencies, as hum, are loudest.

    Args:
        windows: The windows of all frames of a row, in groups, `(..., groups, windows, kernel)`.
        weight: Weights w of all channels, `(channels, kernel)`.
        bias: Bias of the convolution, `(channels,)`, which the normalisation removes again; or None.
        norm: The module with weight, bias and epsilon; `num_groups` equals the channels, as in wav2vec 2.0.
        dtype: The dtype of the product.
        valid: Which windows are those of frames, `(..., groups, windows, 1)`, bool; None if all are.

    Returns:
        The mean m `(..., 1, kernel)`, at least in float32; the scaled weights `(..., kernel, channels)`; and the shift
        `(channels,)`.
    """
    with torch.autocast(weight.device.type, enabled=False):
        wide = torch.promote_types(weight.dtype, torch.float32)
        exact = wide if weight.device.type == "mps" else torch.float64  # which that device lacks
        windows, channels = windows.to(exact), weight.to(exact)
        count = windows.shape[-3] * windows.shape[-2] if valid is None else valid.sum(dim=(-3, -2))[..., None]
        mean = (windows if valid is None else windows * valid).sum(dim=(-3, -2))[..., None, :] / count
        centred = windows - mean.unsqueeze(-3)
        centred = centred if valid is None else centred * valid
        covariance = (centred.transpose(-1, -2) @ centred).sum(dim=-3) / count
        variance = ((channels @ covariance) * channels).sum(dim=-1)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        scaled = (scale.unsqueeze(-1) * channels).to(dtype).transpose(-1, -2)
        shift = norm.bias if bias is None else norm.bias + (bias - bias)  # a gradient of zero, as in transformers
        return mean.to(wide), scaled, shift.to(dtype)


def _flat_weight(conv: nn.Conv1d, dtype: torch.dtype) -> torch.Tensor:
    """Return the weight of a convolution as `(out, kernel * in)`."""
    return conv.weight.to(dtype).transpose(1, 2).flatten(1)


def _convolve(hidden_states: torch.Tensor, conv: nn.Conv1d, weight: torch.Tensor) -> torch.Tensor:
    """Apply a convolution without padding to `(frames, channels)`, as products of blocks of `stride` frames.

    With kernel 2 and stride 2 a window is a block. With kernel 3 and stride 2 it is a block and the first frame of the
    next one, whose product is added.
    """
    (kernel,), (stride,), channels = conv.kernel_size, conv.stride, conv.in_channels
    hidden_states = hidden_states.to(weight.dtype)[: len(hidden_states) // stride * stride]
    blocks = hidden_states.unflatten(0, (-1, stride)).flatten(1)
    count = len(blocks) - math.ceil(kernel / stride) + 1
    width = min(kernel, stride) * channels
    bias = None if conv.bias is None else conv.bias.to(weight.dtype)
    output = F.linear(blocks[:count, :width], weight[:, :width], bias)
    for first in range(stride, kernel, stride):
        width = min(stride, kernel - first) * channels
        part = weight[:, first * channels : first * channels + width]
        output.addmm_(blocks[first // stride : first // stride + count, :width], part.T)
    return output


def _activate(layer: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
    """Apply the normalisation over channels, if the layer has one, and the activation to `(frames, channels)`."""
    if hasattr(layer, "layer_norm"):
        hidden_states = layer.layer_norm(hidden_states)
    return layer.activation(hidden_states)
