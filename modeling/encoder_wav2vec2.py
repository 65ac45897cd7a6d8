"""The first stages of the wav2vec 2.0 family: wav2vec 2.0, HuBERT, WavLM and data2vec-audio.

In the forward pass of transformers, normalisation and positional convolutions read padding, clips shorter than the
receptive field fail, and training clips shorter than a SpecAugment span fail. Running the stages here avoids all
three.
"""

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .encoder_spec_augment import spec_augment

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
    encoder: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the convolutional front end; rows shorter than the receptive field are padded with silence to that length.

    Args:
        encoder: An encoder of the wav2vec 2.0 family.
        input_values: `(batch, samples)` waveform.
        mask: `(batch, samples)`, bool, ones first; no row is all zero.

    Returns:
        Features `(batch, frames, channels)` and their mask `(batch, frames)`, bool.
    """
    shortest = wav2vec2_receptive_field(encoder.config)
    lengths = mask.sum(dim=1).clamp_min(shortest)
    dtype = encoder.feature_extractor.conv_layers[0].conv.weight.dtype
    hidden_states = (input_values * mask)[:, None].to(dtype)
    if hidden_states.shape[-1] < shortest:
        hidden_states = nn.functional.pad(hidden_states, (0, shortest - hidden_states.shape[-1]))
    for layer in encoder.feature_extractor.conv_layers:
        conv = layer.conv
        lengths = torch.div(lengths - conv.kernel_size[0], conv.stride[0], rounding_mode="floor") + 1
        if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
            hidden_states = layer.activation(masked_instance_norm(conv(hidden_states), lengths, layer.layer_norm))
        else:
            hidden_states = layer(hidden_states)
    frames = torch.arange(hidden_states.shape[-1], device=lengths.device)
    return hidden_states.transpose(1, 2), frames < lengths[:, None]


def masked_instance_norm(hidden_states: torch.Tensor, lengths: torch.Tensor, norm: nn.GroupNorm) -> torch.Tensor:
    """Apply group normalisation with one channel per group and statistics over valid frames only (ours).

    Args:
        hidden_states: `(batch, channels, frames)`.
        lengths: `(batch,)`, the number of valid frames of each row, at least one.
        norm: The module with weight, bias and epsilon; `num_groups` equals the channels, as in wav2vec 2.0.

    Returns:
        `(batch, channels, frames)`; equal to `norm` on each row cut to its length, and undefined where padded.
    """
    states = hidden_states.to(torch.promote_types(hidden_states.dtype, torch.float32))
    valid = (torch.arange(states.shape[-1], device=lengths.device) < lengths[:, None]).unsqueeze(1)
    counts = lengths[:, None, None]
    mean = (states * valid).sum(dim=-1, keepdim=True) / counts
    centred = states - mean
    variance = (centred.square() * valid).sum(dim=-1, keepdim=True) / counts
    scale = norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
    return (centred * scale + norm.bias[:, None]).to(hidden_states.dtype)


def embed_wav2vec2_features(encoder: PreTrainedModel, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Apply the projection, SpecAugment in training, and convolutional positions.

    Args:
        encoder: An encoder of the wav2vec 2.0 family.
        features: `(batch, frames, channels)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`.
    """
    hidden_states = encoder.feature_projection(features)
    if isinstance(hidden_states, tuple):  # all but HuBERT also return the normalised features
        hidden_states = hidden_states[0]
    if encoder.feature_projection.training:
        mask_embedding = getattr(encoder, "masked_spec_embed", None)
        hidden_states = spec_augment(encoder.config, hidden_states, mask, mask_embedding)
    trunk, frames = encoder.encoder, mask.unsqueeze(-1)
    hidden_states = hidden_states * frames
    hidden_states = hidden_states + _positional_convolution(trunk.pos_conv_embed, hidden_states, frames)
    if not has_final_layer_norm(encoder.config):
        hidden_states = trunk.layer_norm(hidden_states)
    return trunk.dropout(hidden_states)


def _positional_convolution(
    pos_conv_embed: nn.Module, hidden_states: torch.Tensor, frames: torch.Tensor
) -> torch.Tensor:
    """Return the positional convolution of `hidden_states`; every convolution sees zeros where padded."""
    if not hasattr(pos_conv_embed, "layers"):
        return pos_conv_embed(hidden_states)
    for layer in pos_conv_embed.layers:  # data2vec-audio stacks several
        hidden_states = layer((hidden_states * frames).transpose(1, 2)).transpose(1, 2)
    return hidden_states
