"""The speech encoder, run stage by stage.

transformers' own forward of the wav2vec 2.0 family does three things that an utterance's result must not depend on:
group normalisation takes its statistics over padding too, clips shorter than the convolutions' reach fail, and so do
training clips shorter than a SpecAugment span. Running the stages ourselves mends all three and lets a model stop
behind any layer: `conv_features` -> `embed_frames` -> `run_layers`.

Only public submodules of the encoder are called, and the encoder stays a plain transformers model with its own keys.
"""

from contextlib import contextmanager

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

SUPPORTED_MODEL_TYPES = ("wav2vec2", "hubert")


def build_audio_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A speech encoder with random weights."""
    return prepare_audio_encoder(AutoModel.from_config(config))


def prepare_audio_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Refuse, by name, what cannot be run in stages.

    Raises:
        ValueError: if the encoder's type, or an option of its configuration, is not supported.
    """
    config = encoder.config
    if config.model_type not in SUPPORTED_MODEL_TYPES:
        raise ValueError(
            f"audio_config names the model_type {config.model_type!r}; choose one of {', '.join(SUPPORTED_MODEL_TYPES)}."
        )
    if getattr(config, "add_adapter", False):
        raise ValueError("audio_config has add_adapter=True, which would shorten the frames; set it to False.")
    return encoder


def freeze_audio_layers(encoder: PreTrainedModel, feature_encoder: bool, num_layers: int) -> None:
    """Freeze the convolutional front end, or all up to layer `num_layers` (-1: the whole encoder).

    Parameters that can then not receive a gradient are frozen as well.
    """
    config, trunk = encoder.config, encoder.encoder
    modules = [encoder.feature_extractor] if feature_encoder or num_layers else []
    if num_layers:
        modules += [encoder.feature_projection, trunk.pos_conv_embed, trunk.dropout, *trunk.layers[:num_layers]]
        norm_is_below = not _norms_at_the_end(encoder) or num_layers == len(trunk.layers)
        modules += [trunk.layer_norm] if norm_is_below else []
    for module in [encoder] if num_layers == -1 else modules:
        module.requires_grad_(False).eval()
    masks_frames = config.apply_spec_augment and config.mask_time_prob > 0 and not num_layers
    if not masks_frames and hasattr(encoder, "masked_spec_embed"):
        encoder.masked_spec_embed.requires_grad_(False)


def receptive_field(config: PreTrainedConfig) -> int:
    """Samples that the first frame reaches over (400 for wav2vec 2.0)."""
    reach = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        reach = (reach - 1) * stride + kernel
    return reach


def conv_features(
    encoder: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The convolutional front end.

    Args:
        encoder: of the wav2vec 2.0 family.
        input_values: `(batch, samples)` waveform; rows shorter than the first frame's reach count as padded with
            silence up to it.
        mask: `(batch, samples)`, bool, ones first; no row is all zero.

    Returns:
        Features `(batch, frames, channels)` and their mask `(batch, frames)`, bool.
    """
    reach = receptive_field(encoder.config)
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
    states = hidden_states.float()
    valid = (torch.arange(states.shape[-1], device=lengths.device) < lengths[:, None]).unsqueeze(1)
    counts = lengths[:, None, None]
    mean = (states * valid).sum(dim=-1, keepdim=True) / counts
    centred = states - mean
    variance = (centred.square() * valid).sum(dim=-1, keepdim=True) / counts
    scale = norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
    return (centred * scale + norm.bias[:, None]).to(hidden_states.dtype)


def embed_frames(encoder: PreTrainedModel, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """From convolutional features to the first layer's input: projection, SpecAugment in training, positions.

    Args:
        encoder: of the wav2vec 2.0 family.
        features: `(batch, frames, channels)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`.
    """
    hidden_states = encoder.feature_projection(features)
    if isinstance(hidden_states, tuple):  # wav2vec 2.0 also returns the normalised features
        hidden_states = hidden_states[0]
    if encoder.feature_projection.training:
        hidden_states = spec_augment(encoder, hidden_states, mask)
    trunk = encoder.encoder
    # Padding must look to the positional convolution like the nothing beyond an utterance's end.
    hidden_states = hidden_states * mask.unsqueeze(-1)
    hidden_states = hidden_states + trunk.pos_conv_embed(hidden_states)
    if not _norms_at_the_end(encoder):
        hidden_states = trunk.layer_norm(hidden_states)
    return trunk.dropout(hidden_states)


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
        encoder: of the wav2vec 2.0 family.
        hidden_states: `(batch, frames, hidden)`, the input of layer `start`.
        mask: `(batch, frames)`, bool.
        start: first layer.
        stop: layer before which to stop.
        output_attentions: whether to record attention maps; only the eager implementation has any.

    Returns:
        The states `(batch, frames, hidden)`, the input of every layer that ran and then its output, and the
        attention maps `(batch, heads, frames, frames)`.
    """
    trunk = encoder.encoder
    attention_mask = create_bidirectional_mask(config=encoder.config, inputs_embeds=hidden_states, attention_mask=mask)
    states = [hidden_states]
    with _recorded_attentions(trunk.layers[start:stop] if output_attentions else ()) as attentions:
        for layer in trunk.layers[start:stop]:
            hidden_states = layer(hidden_states, attention_mask=attention_mask)
            states.append(hidden_states)
    if start < stop == len(trunk.layers) and _norms_at_the_end(encoder):
        hidden_states = trunk.layer_norm(hidden_states)
        states[-1] = hidden_states
    return hidden_states, tuple(states), tuple(attentions)


def spec_augment(encoder: PreTrainedModel, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """SpecAugment (Park et al. 2019) with the encoder's own settings, on the device and for clips of any length.

    As in transformers a row gets `mask_time_prob * frames / mask_time_length` spans, rounded at random, but at least
    `mask_time_min_masks`; spans may overlap, and a row shorter than one span is left alone.

    Args:
        encoder: whose configuration says how much is masked.
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`.
    """
    config = encoder.config
    if not config.apply_spec_augment:
        return hidden_states
    if config.mask_time_prob > 0:
        spans = random_spans(
            mask.sum(dim=1), mask.shape[1], config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
        )
        embedding = encoder.masked_spec_embed.to(hidden_states.dtype)
        hidden_states = torch.where(spans.unsqueeze(-1), embedding, hidden_states)
    if config.mask_feature_prob > 0:
        batch, _, size = hidden_states.shape
        sizes = torch.full((batch,), size, device=hidden_states.device)
        spans = random_spans(
            sizes, size, config.mask_feature_prob, config.mask_feature_length, config.mask_feature_min_masks
        )
        hidden_states = hidden_states.masked_fill(spans.unsqueeze(1), 0.0)
    return hidden_states


def random_spans(lengths: torch.Tensor, size: int, probability: float, span: int, min_spans: int) -> torch.Tensor:
    """Random spans of `span` positions inside each row's first `lengths` positions.

    Args:
        lengths: `(batch,)`.
        size: positions of the mask.
        probability: of a position to be masked, were there no overlaps.
        span: positions of one span.
        min_spans: spans that every row gets at least, if it is as long as one.

    Returns:
        `(batch, size)`, bool.
    """
    device = lengths.device
    most = max(int(probability * size / span) + 1, min_spans)
    wanted = (probability * lengths / span + torch.rand(lengths.shape, device=device)).long().clamp_min(min_spans)
    wanted = torch.where(lengths >= span, wanted, 0)
    starts = (torch.rand(len(lengths), most, device=device) * (lengths - span + 1)[:, None]).long()
    distance = torch.arange(size, device=device) - starts.unsqueeze(-1)
    chosen = torch.arange(most, device=device) < wanted[:, None]
    return ((distance >= 0) & (distance < span) & chosen.unsqueeze(-1)).any(dim=1)


def _norms_at_the_end(encoder: PreTrainedModel) -> bool:
    return getattr(encoder.config, "do_stable_layer_norm", False)


@contextmanager
def _recorded_attentions(layers):
    """Collect the weights that the layers' attentions return while the context is open."""
    attentions = []

    def record(module, args, output):
        if output[1] is not None:
            attentions.append(output[1])

    hooks = [layer.attention.register_forward_hook(record) for layer in layers]
    try:
        yield attentions
    finally:
        for hook in hooks:
            hook.remove()
