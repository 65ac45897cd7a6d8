"""The first stages of the wav2vec 2.0 family: wav2vec 2.0, HuBERT, WavLM and data2vec-audio.

In the forward pass of transformers, normalisation and positional convolutions read padding, clips shorter than the
receptive field fail, and training clips shorter than a SpecAugment span fail. Running the stages here avoids all
three. The convolutions are computed as matrix products, with frames before channels: no padding, no transposes.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrize import cached
from transformers import PreTrainedConfig, PreTrainedModel

from .encoder_packing import is_uniform, join_rows, split_rows
from .encoder_spec_augment import spec_augment
from .modeling_lengths import Lengths

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")


def wav2vec2_receptive_field(config: PreTrainedConfig) -> int:
    """Return the receptive field of the first frame in samples (400 for wav2vec 2.0)."""
    field = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        field = (field - 1) * stride + kernel
    return field


def has_final_layer_norm(config: PreTrainedConfig) -> bool:
    """Return whether the encoder's layer normalisation comes after its layers instead of before them."""
    return getattr(config, "do_stable_layer_norm", False)


def convolve_waveform(
    encoder: PreTrainedModel, input_values: torch.Tensor, lengths: Lengths
) -> tuple[torch.Tensor, Lengths]:
    """Run the convolutional front end; rows shorter than the receptive field are padded with silence to that length.

    The waveforms of all rows lie one behind the other, each from a multiple of the hop on: then the frames of a row are
    those that it has alone, at every layer, and frames that reach into the next row are dropped at the end.

    Args:
        encoder: An encoder of the wav2vec 2.0 family.
        input_values: `(batch, samples)` waveform.
        lengths: The samples of each row.

    Returns:
        Features `(1, frames of all rows, channels)`, or `(batch, frames, channels)` for rows of equal length; and the
        number of frames of each row.
    """
    config = encoder.config
    field, hop = wav2vec2_receptive_field(config), math.prod(config.conv_stride)
    samples = [max(length, field) for length in lengths]
    frames = tuple((length - field) // hop + 1 for length in samples)
    slots = [math.ceil(length / hop) for length in samples]
    layers = encoder.feature_extractor.conv_layers
    weight = layers[0].conv.weight
    dtype = torch.get_autocast_dtype(weight.device.type) if torch.is_autocast_enabled(weight.device.type) else None
    rows = [
        F.pad(row[:length], (0, slot * hop - length))
        for row, length, slot in zip(input_values.unbind(), lengths, slots, strict=True)
    ]
    # The last windows of all layers end in this silence; a frame of a lower layer is never missing.
    waveform = F.pad(torch.cat(rows), (0, math.ceil(field / hop) * hop)).to(weight.dtype)
    hidden_states = _first_convolution(layers[0], waveform, [slot * hop for slot in slots], samples, dtype)
    for layer in layers[1:]:
        hidden_states = _activate(layer, _convolve(hidden_states, layer.conv, dtype))
    places = hidden_states[: sum(slots)].split(slots)
    return join_rows([place[:count] for place, count in zip(places, frames, strict=True)]), frames


def _first_convolution(
    layer: nn.Module, waveform: torch.Tensor, slots: Sequence[int], samples: Sequence[int], dtype: torch.dtype | None
) -> torch.Tensor:
    """Apply the first layer to the waveforms of all rows.

    Args:
        layer: The layer: a convolution of one channel, its normalisation, its activation.
        waveform: `(samples,)` of all rows, and silence.
        slots: The samples from the start of each row to the start of the next.
        samples: The valid samples of each row.
        dtype: The dtype of products; None for that of the weights.

    Returns:
        `(frames, channels)`.
    """
    conv = layer.conv
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    windows, weight = waveform.unfold(0, kernel, stride), conv.weight.squeeze(1)
    norm = getattr(layer, "layer_norm", None)
    if not isinstance(norm, nn.GroupNorm):
        return _activate(layer, F.linear(_cast(windows, dtype), _cast(weight, dtype), conv.bias))
    counts = [slot // stride for slot in slots]
    counts[-1] = len(windows) - sum(counts[:-1])
    valid = [(length - kernel) // stride + 1 for length in samples]
    rows = [
        layer.activation(convolve_and_normalise(row, frames, weight, conv.bias, norm, dtype))
        for row, frames in zip(windows.split(counts), valid, strict=True)
    ]
    return torch.cat(rows) if len(rows) > 1 else rows[0]


def convolve_and_normalise(
    windows: torch.Tensor,
    frames: int,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    norm: nn.GroupNorm,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Compute a convolution and a group normalisation with one channel per group in one product (ours).

    A channel of the convolution is w . x, for its weight w and a window x of the waveform. Over frames its mean is w . m
    and its variance w C w', with the mean m and the covariance C of the windows. So the normalised channel is a product
    of x - m with w times a scale, and no frame is computed to normalise it. Statistics are computed in float32 at least.

    Args:
        windows: The windows x of one row, `(windows, kernel)`.
        frames: The number of windows that count for the statistics, the first ones.
        weight: Weights w of all channels, `(channels, kernel)`.
        bias: Bias of the convolution, `(channels,)`, which the normalisation removes again; or None.
        norm: The module with weight, bias and epsilon; `num_groups` equals the channels, as in wav2vec 2.0.
        dtype: The dtype of the product; None for that of `weight`.

    Returns:
        `(windows, channels)`.
    """
    with torch.autocast(weight.device.type, enabled=False):
        wide, dtype = torch.promote_types(weight.dtype, torch.float32), dtype or weight.dtype
        windows, channels = windows.to(wide), weight.to(wide)
        centred = windows - windows[:frames].mean(dim=0)
        covariance = centred[:frames].T @ centred[:frames] / frames
        variance = ((channels @ covariance) * channels).sum(dim=-1)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        shift = norm.bias if bias is None else norm.bias + (bias - bias)  # a gradient of zero, as in transformers
        return torch.addmm(shift.to(dtype), centred.to(dtype), (scale[:, None] * channels).to(dtype).T)


def _convolve(hidden_states: torch.Tensor, conv: nn.Conv1d, dtype: torch.dtype | None) -> torch.Tensor:
    """Apply a convolution without padding to `(frames, channels)`, as products of blocks of `stride` frames.

    With kernel 2 and stride 2 a window is a block. With kernel 3 and stride 2 it is a block and the first frame of the
    next one, whose product is added.
    """
    (kernel,), (stride,), channels = conv.kernel_size, conv.stride, conv.in_channels
    weight = _cast(conv.weight, dtype).transpose(1, 2).flatten(1)  # (out, kernel * in)
    hidden_states = _cast(hidden_states, dtype)[: len(hidden_states) // stride * stride]
    blocks = hidden_states.unflatten(0, (-1, stride)).flatten(1)
    count = len(blocks) - math.ceil(kernel / stride) + 1
    width = min(kernel, stride) * channels
    output = F.linear(blocks[:count, :width], weight[:, :width], _cast(conv.bias, dtype))
    for first in range(stride, kernel, stride):
        width = min(stride, kernel - first) * channels
        part = weight[:, first * channels : first * channels + width]
        shifted = blocks[first // stride : first // stride + count, :width]
        output.addmm_(shifted, part.T)
    return output


def _activate(layer: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
    """Apply the normalisation over channels, if the layer has one, and the activation to `(frames, channels)`."""
    if hasattr(layer, "layer_norm"):
        hidden_states = layer.layer_norm(hidden_states)
    return layer.activation(hidden_states)


def _cast(states: torch.Tensor | None, dtype: torch.dtype | None) -> torch.Tensor | None:
    return states if states is None or dtype is None else states.to(dtype)


def embed_wav2vec2_features(encoder: PreTrainedModel, features: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    """Apply the projection, SpecAugment in training, and convolutional positions.

    Args:
        encoder: An encoder of the wav2vec 2.0 family.
        features: Packed `(1, frames of all rows, channels)`, or `(batch, frames, channels)`.
        lengths: The frames of each row.

    Returns:
        The same shape, with `hidden` channels.
    """
    hidden_states = encoder.feature_projection(features)
    if isinstance(hidden_states, tuple):  # all but HuBERT also return the normalised features
        hidden_states = hidden_states[0]
    if encoder.feature_projection.training:
        mask_embedding = getattr(encoder, "masked_spec_embed", None)
        hidden_states = spec_augment(encoder.config, hidden_states, lengths, mask_embedding)
    trunk = encoder.encoder
    with cached():  # the weight of the convolution, which its parametrization computes, is the same for all rows
        if is_uniform(lengths):
            positions = trunk.pos_conv_embed(hidden_states)
        else:
            rows = split_rows(hidden_states, lengths)
            positions = join_rows([trunk.pos_conv_embed(row[None])[0] for row in rows])
    hidden_states = hidden_states + positions
    if not has_final_layer_norm(encoder.config):
        hidden_states = trunk.layer_norm(hidden_states)
    return trunk.dropout(hidden_states)
