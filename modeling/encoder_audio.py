"""The speech encoder, run stage by stage: `conv_features` -> `embed_frames` -> `run_layers`.

Stages let a model stop after any layer and continue later. They also make the result of an utterance independent of
its batch mates, padding and length, and they compute no padding: between stages rows are packed. Only public submodules of
the encoder are called; the encoder stays a plain transformers model with its own parameter names.
"""

import math
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

from .encoder_building import build_encoder
from .encoder_convolutions import convolve_waveform, wav2vec2_receptive_field
from .encoder_layers import read_layers, run_functions
from .encoder_packing import attention_arguments, run_in_buckets, takes_packed_rows, use_packed_attention
from .encoder_spec_augment import masks_frames
from .encoder_wav2vec2 import (
    MODEL_TYPES,
    embed_wav2vec2_features,
    has_final_layer_norm,
)
from .encoder_whisper import FRAME_HOP, RECEPTIVE_FIELD, convolve_spectrogram, embed_whisper_features
from .modeling_lengths import Lengths
from .modeling_rows import Rows

SUPPORTED_MODEL_TYPES = (*MODEL_TYPES, "whisper")
# Options that change the frame rate or mix the rows of a batch, and their effect.
REFUSED_OPTIONS = {
    "add_adapter": "shortens the frames",
    "conv_pos_batch_norm": "normalises over the batch",
}


def build_audio_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a speech encoder with random weights."""
    return prepare_audio_encoder(build_encoder("audio_config", config))


def prepare_audio_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Return the encoder of a speech model (of Whisper, without the decoder).

    Raises:
        ValueError: If the model type, or an option of its configuration, is not supported.
    """
    config = encoder.config
    if config.model_type not in SUPPORTED_MODEL_TYPES:
        raise ValueError(
            f"audio_config names the model_type {config.model_type!r}; choose one of {', '.join(SUPPORTED_MODEL_TYPES)}."
        )
    for option, effect in REFUSED_OPTIONS.items():
        if getattr(config, option, False):
            raise ValueError(f"audio_config has {option}=True, which {effect}; set it to False.")
    encoder = encoder.get_encoder() if _is_whisper(config) else encoder
    use_packed_attention(encoder)
    return encoder


def freeze_audio_layers(encoder: PreTrainedModel, feature_encoder: bool, num_layers: int) -> None:
    """Freeze the first layers of a speech encoder.

    Parameters that can no longer receive a gradient are frozen as well. Whisper's positions are always frozen.

    Args:
        encoder: A speech encoder of a supported type.
        feature_encoder: Whether to freeze the convolutional front end.
        num_layers: The number of transformer layers to freeze, with everything below them; -1 means the whole encoder.
    """
    config, trunk = encoder.config, layer_stack(encoder)
    if _is_whisper(config):
        encoder.embed_positions.requires_grad_(False)
        convolutions, embeddings = [encoder.conv1, encoder.conv2], [encoder.embed_positions]
    else:
        convolutions = [encoder.feature_extractor]
        embeddings = [encoder.feature_projection, trunk.pos_conv_embed, trunk.dropout]
    modules = convolutions if feature_encoder or num_layers else []
    if num_layers:
        modules = [*modules, *embeddings, *trunk.layers[:num_layers]]
        norm_is_below = not _has_final_layer_norm(config) or num_layers == len(trunk.layers)
        modules += [trunk.layer_norm] if norm_is_below else []
    for module in [encoder] if num_layers == -1 else modules:
        module.requires_grad_(False).eval()
    if (num_layers or not masks_frames(config)) and hasattr(encoder, "masked_spec_embed"):
        encoder.masked_spec_embed.requires_grad_(False)


def frame_hop(config: PreTrainedConfig) -> int:
    """Return the samples from one frame to the next (320, 20 ms at 16 kHz, for all usual checkpoints)."""
    return FRAME_HOP if _is_whisper(config) else math.prod(config.conv_stride)


def receptive_field(config: PreTrainedConfig) -> int:
    """Return the receptive field of the first frame in samples (400 for wav2vec 2.0)."""
    return RECEPTIVE_FIELD if _is_whisper(config) else wav2vec2_receptive_field(config)


def layer_stack(encoder: PreTrainedModel) -> nn.Module:
    """Return the submodule that holds the transformer layers as `layers`, and their `layer_norm`."""
    return encoder if _is_whisper(encoder.config) else encoder.encoder


def self_attention(layer: nn.Module) -> nn.Module:
    """Return the self-attention of a transformer layer."""
    return layer.self_attn if hasattr(layer, "self_attn") else layer.attention


def conv_features(encoder: PreTrainedModel, input_values: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Rows]:
    """Run the convolutional front end; Whisper's starts with a log-mel spectrogram.

    Args:
        encoder: A speech encoder of a supported type.
        input_values: `(batch, samples)` waveform.
        lengths: The samples of each row. A row shorter than the receptive field, or empty, gives one frame.

    Returns:
        Features, packed, and the layout of their frames.

    Raises:
        ValueError: If a recording is longer than the encoder's maximum.
    """
    convolve = convolve_spectrogram if _is_whisper(encoder.config) else convolve_waveform
    return convolve(encoder, input_values, lengths)


def embed_frames(encoder: PreTrainedModel, features: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Compute the input of the first layer: projection, SpecAugment in training, positions.

    Args:
        encoder: A speech encoder of a supported type.
        features: Packed features.
        rows: The layout.

    Returns:
        The same shape, with `hidden` channels.
    """
    embed = embed_whisper_features if _is_whisper(encoder.config) else embed_wav2vec2_features
    return embed(encoder, features, rows)


def run_layers(
    encoder: PreTrainedModel,
    hidden_states: torch.Tensor,
    rows: Rows,
    start: int,
    stop: int,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Run transformer layers `start` to `stop` (excluded), and the final normalisation after the last layer.

    Layer drop is not applied: it can deadlock distributed training.

    Args:
        encoder: A speech encoder of a supported type.
        hidden_states: Packed, the input of layer `start`.
        rows: The layout.
        start: The first layer.
        stop: The layer before which to stop.
        output_attentions: Whether to record attention maps; only the eager implementation has them.

    Returns:
        The packed states; the input of every layer and the output of the last one, packed; and the attention maps
        `(batch, heads, frames, frames)`.
    """
    if start == stop:
        return hidden_states, (hidden_states,), ()
    trunk, attentions = layer_stack(encoder), ()
    layers = trunk.layers[start:stop]
    if takes_packed_rows(encoder):
        states, attentions = run_packed_layers(encoder, layers, hidden_states, rows), ()
    elif output_attentions:
        padded = rows.pad(hidden_states)
        states, attentions = apply_layers(layers, padded, layer_arguments(encoder, padded, rows.mask), True)
        states = tuple(map(rows.pack, states))
    else:
        states = run_in_buckets(
            lambda padded, mask: apply_layers(layers, padded, layer_arguments(encoder, padded, mask))[0],
            hidden_states,
            rows,
        )
    if stop == len(trunk.layers) and _has_final_layer_norm(encoder.config):
        states = (*states[:-1], trunk.layer_norm(states[-1]))
    return states[-1], states, attentions


def run_packed_layers(
    encoder: PreTrainedModel, layers: nn.ModuleList, hidden_states: torch.Tensor, rows: Rows
) -> tuple[torch.Tensor, ...]:
    """Run transformer layers whose attention takes packed rows, in sequence.

    Args:
        encoder: The encoder of the layers.
        layers: The layers.
        hidden_states: Packed, the input of the first layer.
        rows: The layout.

    Returns:
        The input of every layer and the output of the last one, packed.
    """
    if (read := read_layers(encoder.config, layers)) is not None:
        return run_functions(read, hidden_states, rows)
    return apply_layers(layers, hidden_states, {"attention_mask": None} | attention_arguments(rows))[0]


def apply_layers(
    layers: nn.ModuleList, hidden_states: torch.Tensor, arguments: dict[str, Any], output_attentions: bool = False
) -> tuple[tuple[torch.Tensor, ...], tuple[Any, ...]]:
    """Run transformer layers in sequence.

    Args:
        layers: Layers of a speech encoder of a supported type.
        hidden_states: `(batch, frames, hidden)`, the input of the first layer.
        arguments: The other arguments of each layer; see `layer_arguments`.
        output_attentions: Whether to record the second return value of the layers' attentions.

    Returns:
        The input of every layer and the output of the last one, `(batch, frames, hidden)`; and the recorded values,
        for a self-attention the maps `(batch, heads, frames, frames)` if the implementation has them.
    """
    states = [hidden_states]
    with _recorded_attentions(layers if output_attentions else ()) as attentions:
        for layer in layers:
            hidden_states = layer(hidden_states, **arguments)
            if isinstance(hidden_states, tuple):  # WavLM also returns its position bias
                hidden_states = hidden_states[0]
            states.append(hidden_states)
    return tuple(states), tuple(attentions)


def layer_arguments(
    encoder: PreTrainedModel, hidden_states: torch.Tensor, mask: torch.Tensor | None
) -> dict[str, Any]:
    """Return the arguments of a layer besides its padded states: the attention mask, and WavLM's position bias.

    Args:
        encoder: A speech encoder of a supported type.
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool; None if nothing is padded.
    """
    if encoder.config.model_type == "wavlm":  # computed by the first layer for all layers
        batch, frames, _ = hidden_states.shape
        bias = encoder.encoder.layers[0].attention.compute_bias(frames, frames)
        return {"attention_mask": mask, "position_bias": bias.repeat(batch, 1, 1)}
    return {
        "attention_mask": create_bidirectional_mask(
            config=encoder.config, inputs_embeds=hidden_states, attention_mask=mask
        )
    }


def _is_whisper(config: PreTrainedConfig) -> bool:
    return config.model_type == "whisper"


def _has_final_layer_norm(config: PreTrainedConfig) -> bool:
    return _is_whisper(config) or has_final_layer_norm(config)


@contextmanager
def _recorded_attentions(layers):
    """Collect the attention weights of `layers` while the context is open."""
    attentions = []

    def record(module, args, output):
        if output[1] is not None:
            attentions.append(output[1])

    hooks = [self_attention(layer).register_forward_hook(record) for layer in layers]
    try:
        yield attentions
    finally:
        for hook in hooks:
            hook.remove()
