"""Outputs of the models, and of their first stage."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class Encoded(ModelOutput):
    """Output of the first stage of a model, its frozen layers; all inputs of the second stage.

    The form of a modality depends on the frozen layers. Speech: the waveform if nothing is frozen; the features of the
    convolutions; or the states after the last frozen layer. Text: the token ids, or the states if the whole encoder is
    frozen. Video: the frames, or one vector per frame if the encoder is frozen. A row without the modality has an
    all-zero mask. With `use_weighted_layer_sum` the states of all frozen layers are kept, in a dimension before the
    last.

    Args:
        audio (`torch.Tensor`, *optional*):
            `(batch, samples)` waveform or `(batch, frames, hidden)`.
        audio_mask (`torch.Tensor`, *optional*):
            `(batch, samples)` or `(batch, frames)`, bool.
        text (`torch.Tensor`, *optional*):
            `(batch, tokens)` ids or `(batch, tokens, hidden)`.
        text_mask (`torch.Tensor`, *optional*):
            `(batch, tokens)`, bool.
        video (`torch.Tensor`, *optional*):
            `(batch, frames, channels, height, width)` or `(batch, frames, hidden)`.
        video_mask (`torch.Tensor`, *optional*):
            `(batch, frames)`, bool.
        word_spans, syllable_spans, phone_spans (`torch.Tensor`, *optional*):
            `(batch, segments, 2)` in seconds, -1 where padded; only the levels that the fusion reads.
        lengths (`dict[str, tuple[int, ...]]`, *optional*):
            For each modality the number of valid positions of every row, on the host; 0 where a row lacks it.
    """

    audio: torch.Tensor | None = None
    audio_mask: torch.Tensor | None = None
    text: torch.Tensor | None = None
    text_mask: torch.Tensor | None = None
    video: torch.Tensor | None = None
    video_mask: torch.Tensor | None = None
    word_spans: torch.Tensor | None = None
    syllable_spans: torch.Tensor | None = None
    phone_spans: torch.Tensor | None = None
    lengths: dict[str, tuple[int, ...]] | None = None


@dataclass
class EmotionOutput(ModelOutput):
    """Output of every model of the package.

    Args:
        loss (`torch.Tensor` of shape `()`, *optional*):
            The training loss, when `labels` are given.
        logits (`torch.Tensor` of shape `(batch, classes)` or `(batch, dimensions)`, *optional*):
            Scores before the softmax or, for a model of dimensions alone, their values in its scale; absent from
            models without a head.
        embedding (`torch.Tensor` of shape `(batch, embedding_size)`):
            The fused utterance embedding; of a model with heads and `context_layers`, after these layers: what the heads read.
        losses (`dict[str, torch.Tensor]`, *optional*):
            The named parts of `loss`, which is their sum; each has its weight already.
        dimensions (`torch.Tensor` of shape `(batch, dimensions)`, *optional*):
            For a model of classes and dimensions, the values of the dimensions in its scale, in float32.
        auxiliary_logits (`dict[str, torch.Tensor]`, *optional*, with `auxiliary_labels`):
            Scores `(batch, classes)` of the auxiliary heads by name.
        cross_attentions (`dict[str, torch.Tensor]`, *optional*, with `output_attentions=True`):
            Attention maps of the fusion `(batch, heads, queries, keys)` by name; in `"audio_text"` speech attends to
            text.
        gates (`dict[str, torch.Tensor]`, *optional*, with `output_attentions=True`):
            Gate values `(batch, frames, hidden)` by layer: the weight of the first of two sources.
        modality_embeddings (`dict[str, torch.Tensor]`, *optional*):
            For each modality, the inputs of discrepancy learning `(batch, hidden)`; zero where a row lacks it.
        fallbacks (`dict[str, torch.Tensor]`, *optional*):
            For each level of segments, `(batch,)`, bool: whether a row has none and frames are used instead.
        hidden_states (`dict[str, tuple[torch.Tensor]]`, *optional*, with `output_hidden_states=True`):
            For each modality, the encoder's states `(batch, frames or tokens, hidden)`: embeddings, then each layer.
        attentions (`dict[str, tuple[torch.Tensor]]`, *optional*, with `output_attentions=True`):
            For each modality, the encoder's attention maps; only with `attn_implementation="eager"`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    embedding: torch.Tensor | None = None
    losses: dict[str, torch.Tensor] | None = None
    dimensions: torch.Tensor | None = None
    auxiliary_logits: dict[str, torch.Tensor] | None = None
    cross_attentions: dict[str, torch.Tensor] | None = None
    gates: dict[str, torch.Tensor] | None = None
    modality_embeddings: dict[str, torch.Tensor] | None = None
    fallbacks: dict[str, torch.Tensor] | None = None
    hidden_states: dict[str, tuple[torch.Tensor, ...]] | None = None
    attentions: dict[str, tuple[torch.Tensor, ...]] | None = None
