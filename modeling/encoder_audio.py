"""The speech encoder, run stage by stage: `conv_features` -> `embed_frames` -> `run_layers`.

Stages let a model stop behind any layer and go on later, and let an utterance's result be its own: whatever its batch
mates, its padding and its length. Only public submodules of the encoder are called, and the encoder stays a plain
transformers model with its own keys.
"""

import math
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

from .encoder_spec_augment import masks_time
from .encoder_wav2vec2 import MODEL_TYPES, convolve_waveform, first_reach, normalises_at_the_end, project_and_place
from .encoder_whisper import FIRST_REACH, FRAME_HOP, convolve_spectrogram, place_frames

SUPPORTED_MODEL_TYPES = (*MODEL_TYPES, "whisper")
# Options that would make frames of other lengths, or mix the rows of a batch.
REFUSED_OPTIONS = {
    "add_adapter": "shortens the frames",
    "conv_pos_batch_norm": "normalises over the batch",
}


def build_audio_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A speech encoder with random weights."""
    return prepare_audio_encoder(AutoModel.from_config(config))


def prepare_audio_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """What of a model is run here (of Whisper its encoder), or a refusal by name.

    Raises:
        ValueError: if the encoder's type, or an option of its configuration, is not supported.
    """
    config = encoder.config
    if config.model_type not in SUPPORTED_MODEL_TYPES:
        raise ValueError(
            f"audio_config names the model_type {config.model_type!r}; choose one of {', '.join(SUPPORTED_MODEL_TYPES)}."
        )
    for option, effect in REFUSED_OPTIONS.items():
        if getattr(config, option, False):
            raise ValueError(f"audio_config has {option}=True, which {effect}; set it to False.")
    return encoder.get_encoder() if _is_whisper(config) else encoder


def freeze_audio_layers(encoder: PreTrainedModel, feature_encoder: bool, num_layers: int) -> None:
    """Freeze the convolutional front end, or all up to layer `num_layers` (-1: the whole encoder).

    Parameters that can then not receive a gradient are frozen as well, and so are Whisper's positions, as ever.
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
        norm_is_below = not _norm_is_last(config) or num_layers == len(trunk.layers)
        modules += [trunk.layer_norm] if norm_is_below else []
    for module in [encoder] if num_layers == -1 else modules:
        module.requires_grad_(False).eval()
    if (num_layers or not masks_time(config)) and hasattr(encoder, "masked_spec_embed"):
        encoder.masked_spec_embed.requires_grad_(False)


def frame_hop(config: PreTrainedConfig) -> int:
    """Samples from one frame to the next (320 at 16 kHz, 20 ms, for all usual checkpoints)."""
    return FRAME_HOP if _is_whisper(config) else math.prod(config.conv_stride)


def receptive_field(config: PreTrainedConfig) -> int:
    """Samples of the waveform that the first frame sees (400 for wav2vec 2.0; the next one sees a hop further)."""
    return FIRST_REACH if _is_whisper(config) else first_reach(config)


def layer_stack(encoder: PreTrainedModel) -> nn.Module:
    """The submodule that holds the transformer layers as `layers`, and their `layer_norm`."""
    return encoder if _is_whisper(encoder.config) else encoder.encoder


def self_attention(layer: nn.Module) -> nn.Module:
    """The self-attention of a transformer layer."""
    return layer.self_attn if hasattr(layer, "self_attn") else layer.attention


def conv_features(
    encoder: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The convolutional front end; Whisper's begins with a log-mel spectrogram.

    Args:
        encoder: a speech encoder of a supported type.
        input_values: `(batch, samples)` waveform. A row shorter than the first frame's reach has one frame.
        mask: `(batch, samples)`, bool, ones first; no row is all zero.

    Returns:
        Features `(batch, frames, channels)` and their mask `(batch, frames)`, bool.

    Raises:
        ValueError: if a recording is longer than the encoder can take.
    """
    convolve = convolve_spectrogram if _is_whisper(encoder.config) else convolve_waveform
    return convolve(encoder, input_values, mask)


def embed_frames(encoder: PreTrainedModel, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """From convolutional features to the first layer's input: projection, SpecAugment in training, positions.

    Args:
        encoder: a speech encoder of a supported type.
        features: `(batch, frames, channels)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`.
    """
    embed = place_frames if _is_whisper(encoder.config) else project_and_place
    return embed(encoder, features, mask)


def run_layers(
    encoder: PreTrainedModel,
    hidden_states: torch.Tensor,
    mask: torch.Tensor,
    start: int,
    stop: int,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Transformer layers `start` to `stop` (excluded), and the final normalisation behind the last one.

    Layer drop is left out: it hangs distributed training and saves nothing that matters here.

    Args:
        encoder: a speech encoder of a supported type.
        hidden_states: `(batch, frames, hidden)`, the input of layer `start`.
        mask: `(batch, frames)`, bool.
        start: first layer.
        stop: layer before which to stop.
        output_attentions: whether to record attention maps; only the eager implementation has any.

    Returns:
        The states `(batch, frames, hidden)`, the input of every layer that ran and then its output, and the
        attention maps `(batch, heads, frames, frames)`.
    """
    if start == stop:
        return hidden_states, (hidden_states,), ()
    trunk = layer_stack(encoder)
    context = layer_context(encoder, hidden_states, mask)
    states, attentions = apply_layers(trunk.layers[start:stop], hidden_states, context, output_attentions)
    if stop == len(trunk.layers) and _norm_is_last(encoder.config):
        states = (*states[:-1], trunk.layer_norm(states[-1]))
    return states[-1], states, attentions


def apply_layers(
    layers: nn.ModuleList, hidden_states: torch.Tensor, context: dict[str, Any], output_attentions: bool = False
) -> tuple[tuple[torch.Tensor, ...], tuple[Any, ...]]:
    """Transformer layers one after the other.

    Args:
        layers: of a speech encoder of a supported type.
        hidden_states: `(batch, frames, hidden)`, the input of the first.
        context: what every layer is called with besides, as `layer_context` gives it.
        output_attentions: whether to record what their attentions return besides their output.

    Returns:
        The input of every layer and then the last one's output, `(batch, frames, hidden)`; and what was recorded, which
        is the attention maps `(batch, heads, frames, frames)` where the implementation has any.
    """
    states = [hidden_states]
    with _recorded_attentions(layers if output_attentions else ()) as attentions:
        for layer in layers:
            hidden_states = layer(hidden_states, **context)
            if isinstance(hidden_states, tuple):  # WavLM hands its position bias on, which every layer already has
                hidden_states = hidden_states[0]
            states.append(hidden_states)
    return tuple(states), tuple(attentions)


def layer_context(encoder: PreTrainedModel, hidden_states: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
    """What a layer is called with besides its states: the attention mask, and WavLM's position bias.

    Args:
        encoder: a speech encoder of a supported type.
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool.
    """
    if encoder.config.model_type == "wavlm":  # its first layer has the bias of all, wherever the run starts
        batch, frames = mask.shape
        bias = encoder.encoder.layers[0].attention.compute_bias(frames, frames)
        return {"attention_mask": mask, "position_bias": bias.repeat(batch, 1, 1)}
    return {
        "attention_mask": create_bidirectional_mask(
            config=encoder.config, inputs_embeds=hidden_states, attention_mask=mask
        )
    }


def _is_whisper(config: PreTrainedConfig) -> bool:
    return config.model_type == "whisper"


def _norm_is_last(config: PreTrainedConfig) -> bool:
    return _is_whisper(config) or normalises_at_the_end(config)


@contextmanager
def _recorded_attentions(layers):
    """Collect the weights that the layers' attentions return while the context is open."""
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
