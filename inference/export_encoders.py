"""Encoders on padded rows with masks: the states that the models compute row by row, in a form without lengths.

The lengths of rows are unknown in an exported graph. So nothing is packed, and padding is zero wherever a layer would read
it.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from ..configuration.configuration_checks import first_position
from ..modeling.encoder_audio import apply_layers, layer_arguments, layer_stack
from ..modeling.encoder_convolutions import wav2vec2_receptive_field
from ..modeling.encoder_vision import encode_images
from ..modeling.encoder_wav2vec2 import has_final_layer_norm
from ..modeling.modeling_emofusion import EmoFusionModel
from .export_spectrograms import log_mel_of_padded, whisper_features_of_padded

States = tuple[torch.Tensor, torch.Tensor]


def encode_padded(model: EmoFusionModel, name: str, values: torch.Tensor, mask: torch.Tensor) -> States:
    """Return the states of a modality, `(batch, positions, hidden)`, and their mask `(batch, positions)`, bool.

    A row without the modality has one valid position, with the learned embedding.

    Args:
        model: A model whose encoders have the attention "sdpa".
        name: The modality.
        values: Its main input.
        mask: The mask of the input, `(batch, positions)`, bool.
    """
    encode = {"audio": _encode_audio, "text": _encode_text, "video": _encode_video}[name]
    states, valid = encode(model, values, mask)
    is_own, is_first = mask.any(dim=1)[:, None], torch.arange(valid.shape[1]) == 0
    embedding = getattr(model.missing_modality_embeddings, name)
    return torch.where(is_own[..., None], states, embedding), valid & is_own | is_first & ~is_own


def encode_waveforms(
    encoder: PreTrainedModel, values: torch.Tensor, mask: torch.Tensor
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Return the states of all layers of a speech encoder, each `(batch, frames, hidden)`, and their mask.

    Args:
        encoder: A speech encoder of a supported type.
        values: `(batch, samples)` waveform.
        mask: `(batch, samples)`, bool. A row shorter than the receptive field has one frame.
    """
    trunk, is_whisper = layer_stack(encoder), encoder.config.model_type == "whisper"
    if is_whisper:
        states, valid = whisper_features_of_padded(encoder, values, mask)
        states = states + encoder.embed_positions.weight[: states.shape[1]]
    else:
        states, valid = _convolve(encoder, values, mask)
        states = _embed(encoder, states, valid)
    if len(trunk.layers) == 0:
        return (states,), valid
    states, _ = apply_layers(trunk.layers, states, layer_arguments(encoder, states, valid))
    if is_whisper or has_final_layer_norm(encoder.config):
        states = (*states[:-1], trunk.layer_norm(states[-1]))
    return states, valid


def _convolve(encoder: PreTrainedModel, values: torch.Tensor, mask: torch.Tensor) -> States:
    field, hop = wav2vec2_receptive_field(encoder.config), math.prod(encoder.config.conv_stride)
    samples = mask.sum(dim=1).clamp_min(field)
    # As many samples as whole hops need: then the frames of each layer are a simple expression of those of the last one.
    width = values.shape[1]
    states = F.pad(values * mask, (0, (width + hop - 1) // hop * hop + field - hop - width))[:, None]
    for layer in encoder.feature_extractor.conv_layers:
        if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
            states = layer.activation(_group_norm(layer, layer.conv(states), samples))
        else:
            states = layer(states)
    return states.transpose(1, 2), torch.arange(states.shape[2]) < ((samples - field) // hop + 1)[:, None]


def _group_norm(layer: nn.Module, states: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Normalise each channel `(batch, channels, frames)` over the frames of its row, which padding is not part of."""
    (kernel,), (stride,), norm = layer.conv.kernel_size, layer.conv.stride, layer.layer_norm
    counts = ((samples - kernel) // stride + 1)[:, None]
    valid = (torch.arange(states.shape[2]) < counts)[:, None]
    counts = counts[..., None]
    centred = states - (states * valid).sum(dim=2, keepdim=True) / counts
    variance = (centred * valid).square().sum(dim=2, keepdim=True) / counts
    return centred * torch.rsqrt(variance + norm.eps) * norm.weight[:, None] + norm.bias[:, None]


def _embed(encoder: PreTrainedModel, features: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    states = encoder.feature_projection(features)
    if isinstance(states, tuple):  # all but HuBERT also return the normalised features
        states = states[0]
    trunk, valid = encoder.encoder, valid[..., None]
    if hasattr(trunk.pos_conv_embed, "conv"):
        positions = trunk.pos_conv_embed(states * valid)
    else:  # data2vec-audio stacks several
        positions = states * valid
        for layer in trunk.pos_conv_embed.layers:
            positions = layer(positions.transpose(1, 2)).transpose(1, 2) * valid
    states = states + positions
    return states if has_final_layer_norm(encoder.config) else trunk.layer_norm(states)


def _encode_audio(model: EmoFusionModel, values: torch.Tensor, mask: torch.Tensor) -> States:
    if hasattr(model, "spectrogram"):
        states, valid = log_mel_of_padded(model.spectrogram, values, mask)
        states = model.audio_encoder.run_stem(states, valid)
        return model.audio_encoder.run_stages(states, valid, 0, len(model.config.depths))[:2]
    states, valid = encode_waveforms(model.audio_encoder, values, mask)
    return _last_or_sum(model, "audio", states), valid


def _encode_text(model: EmoFusionModel, values: torch.Tensor, mask: torch.Tensor) -> States:
    encoder, config = model.text_encoder, model.text_encoder.config
    start = first_position(config)
    outputs = encoder(
        input_ids=values.masked_fill(~mask, config.pad_token_id),
        attention_mask=_at_least_one(mask).long(),
        position_ids=torch.arange(start, start + values.shape[1])[None],
        output_hidden_states=model.config.use_weighted_layer_sum,
        return_dict=True,
    )
    return _last_or_sum(model, "text", outputs.hidden_states or (outputs.last_hidden_state,)), mask


def _encode_video(model: EmoFusionModel, values: torch.Tensor, mask: torch.Tensor) -> States:
    vectors = encode_images(model.vision_encoder, values.flatten(0, 1))
    return vectors.unflatten(0, values.shape[:2]), mask


def _last_or_sum(model: EmoFusionModel, name: str, states: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return model.layer_sums[name](states) if model.config.use_weighted_layer_sum else states[-1]


def _at_least_one(mask: torch.Tensor) -> torch.Tensor:
    return mask | (torch.arange(mask.shape[1]) == 0)
