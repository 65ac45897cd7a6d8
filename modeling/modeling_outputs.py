"""What the models return, and what passes between their two stages."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class Encoded(ModelOutput):
    """What the frozen parameters of a model compute from a batch: all that its second stage needs.

    How far a modality has been taken follows from what the configuration freezes. Speech: the waveform where nothing
    is, else the features of the convolutions, else the states behind the last frozen layer. Text: the ids, or, where
    the whole encoder is frozen, its states. Video: the frames, or a vector for each where the encoder is frozen. A
    row without the modality has an all-zero mask. Where the fusion reads a weighted sum of layers, the states of all
    frozen layers are kept, in a dimension before the last.

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
            `(batch, segments, 2)` seconds, -1 where padded; those that the fusion reads.
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


@dataclass
class EmotionOutput(ModelOutput):
    """Output of every model of the package.

    Args:
        loss (`torch.Tensor` of shape `()`, *optional*):
            The training loss, when `labels` are given.
        logits (`torch.Tensor` of shape `(batch, classes)`, *optional*):
            Scores before the softmax; absent from models without a head.
        embedding (`torch.Tensor` of shape `(batch, embedding_size)`):
            The fused utterance embedding.
        losses (`dict[str, torch.Tensor]`, *optional*):
            The named parts that `loss` is the sum of.
        cross_attentions (`dict[str, torch.Tensor]`, *optional*, with `output_attentions=True`):
            Fusion attention maps `(batch, heads, queries, keys)`, by name: `"audio_text"` is speech asking text.
        gates (`dict[str, torch.Tensor]`, *optional*, with `output_attentions=True`):
            Shares `(batch, frames, hidden)` of the first of two sources in what a gate lets through, by layer.
        modality_embeddings (`dict[str, torch.Tensor]`, *optional*):
            Per modality, `(batch, hidden)`: what discrepancy learning compares. Zero where a row lacks it.
        fallbacks (`dict[str, torch.Tensor]`, *optional*):
            Per level of segments, `(batch,)`, bool: whether a row had none and frames took their place.
        hidden_states (`dict[str, tuple[torch.Tensor]]`, *optional*, with `output_hidden_states=True`):
            Per modality, the encoder's states `(batch, frames or tokens, hidden)`: its embeddings, then each layer.
        attentions (`dict[str, tuple[torch.Tensor]]`, *optional*, with `output_attentions=True`):
            Per modality, the encoder's own maps. They exist only with `attn_implementation="eager"`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    embedding: torch.Tensor | None = None
    losses: dict[str, torch.Tensor] | None = None
    cross_attentions: dict[str, torch.Tensor] | None = None
    gates: dict[str, torch.Tensor] | None = None
    modality_embeddings: dict[str, torch.Tensor] | None = None
    fallbacks: dict[str, torch.Tensor] | None = None
    hidden_states: dict[str, tuple[torch.Tensor, ...]] | None = None
    attentions: dict[str, tuple[torch.Tensor, ...]] | None = None
