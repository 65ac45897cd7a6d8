"""The first stages of the wav2vec 2.0 family: wav2vec 2.0, HuBERT, WavLM and data2vec-audio.

transformers' own forward does three things that an utterance's result must not depend on: normalisation and positional
convolutions reach into padding, clips shorter than the convolutions' reach fail, and so do training clips shorter than
a SpecAugment span. Running the stages ourselves mends all three.
"""

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .encoder_spec_augment import spec_augment

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")


def first_reach(config: PreTrainedConfig) -> int:
    """Samples that the first frame reaches over (400 for wav2vec 2.0)."""
    reach = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        reach = (reach - 1) * stride + kernel
    return reach


def normalises_at_the_end(config: PreTrainedConfig) -> bool:
    """Whether the encoder's last normalisation stands behind its layers rather than before them."""
    return getattr(config, "do_stable_layer_norm", False)


def convolve_waveform(
    encoder: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The convolutional front end; rows shorter than the first frame's reach count as followed by silence up to it.

    Args:
        encoder: of the wav2vec 2.0 family.
        input_values: `(batch, samples)` waveform.
        mask: `(batch, samples)`, bool, ones first; no row is all zero.

    Returns:
        Features `(batch, frames, channels)` and their mask `(batch, frames)`, bool.
    """
    reach = first_reach(encoder.config)
    lengths = mask.sum(dim=1).clamp_min(reach)
    hidden_states = (input_values * mask)[:, None]
    if hidden_states.shape[-1] < reach:
        hidden_states = nn.functional.pad(hidden_states, (0, reach - hidden_states.shape[-1]))
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
    """Group normalisation with one channel a group, its statistics over the valid frames only (ours).

    Args:
        hidden_states: `(batch, channels, frames)`.
        lengths: `(batch,)`, valid frames of each row, at least one.
        norm: whose weight, bias and epsilon are used; `num_groups` equals the channels, as in wav2vec 2.0.

    Returns:
        `(batch, channels, frames)`; equal to `norm` on each row cut to its length. What lies behind is not defined.
    """
    states = hidden_states.to(torch.promote_types(hidden_states.dtype, torch.float32))
    valid = (torch.arange(states.shape[-1], device=lengths.device) < lengths[:, None]).unsqueeze(1)
    counts = lengths[:, None, None]
    mean = (states * valid).sum(dim=-1, keepdim=True) / counts
    centred = states - mean
    variance = (centred.square() * valid).sum(dim=-1, keepdim=True) / counts
    scale = norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
    return (centred * scale + norm.bias[:, None]).to(hidden_states.dtype)


def project_and_place(encoder: PreTrainedModel, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Projection, SpecAugment in training, and convolutional positions.

    Args:
        encoder: of the wav2vec 2.0 family.
        features: `(batch, frames, channels)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`.
    """
    hidden_states = encoder.feature_projection(features)
    if isinstance(hidden_states, tuple):  # all but HuBERT also return the normalised features
        hidden_states = hidden_states[0]
    if encoder.feature_projection.training:
        masked_frame = getattr(encoder, "masked_spec_embed", None)
        hidden_states = spec_augment(encoder.config, hidden_states, mask, masked_frame)
    trunk, frames = encoder.encoder, mask.unsqueeze(-1)
    hidden_states = hidden_states * frames
    hidden_states = hidden_states + _convolved_positions(trunk.pos_conv_embed, hidden_states, frames)
    if not normalises_at_the_end(encoder.config):
        hidden_states = trunk.layer_norm(hidden_states)
    return trunk.dropout(hidden_states)


def _convolved_positions(pos_conv_embed: nn.Module, hidden_states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Padding must look to every positional convolution like the nothing beyond an utterance's end."""
    if not hasattr(pos_conv_embed, "layers"):
        return pos_conv_embed(hidden_states)
    for layer in pos_conv_embed.layers:  # data2vec-audio stacks them, and each would see what the last left in padding
        hidden_states = layer((hidden_states * frames).transpose(1, 2)).transpose(1, 2)
    return hidden_states
