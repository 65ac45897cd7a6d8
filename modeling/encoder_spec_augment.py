"""SpecAugment (Park et al. 2019) on the states of a speech encoder."""

import torch
from transformers import PreTrainedConfig

from .modeling_rows import Rows


def masks_frames(config: PreTrainedConfig) -> bool:
    """Return whether SpecAugment masks frames in training; a learned vector may replace them."""
    return _is_on(config) and config.mask_time_prob > 0


def spec_augment(
    config: PreTrainedConfig,
    hidden_states: torch.Tensor,
    rows: Rows,
    mask_embedding: torch.Tensor | None,
) -> torch.Tensor:
    """Apply SpecAugment with the encoder's own settings, on the device and for clips of any length.

    As in transformers a row gets `mask_time_prob * frames / mask_time_length` spans, rounded at random, but at least
    `mask_time_min_masks`. Spans may overlap, and a row shorter than one span is not masked.

    Args:
        config: The configuration of the encoder.
        hidden_states: Packed `(1, frames of all rows, hidden)`, or `(batch, frames, hidden)`.
        rows: The layout.
        mask_embedding: `(hidden,)`, the value of masked frames; None for zeros.

    Returns:
        The same shape.
    """
    if masks_frames(config):
        spans = random_spans(
            rows.counts,
            rows.longest,
            config.mask_time_prob,
            config.mask_time_length,
            config.mask_time_min_masks,
        )
        spans = rows.pack(spans)
        value = torch.zeros_like(hidden_states[0, 0]) if mask_embedding is None else mask_embedding
        hidden_states = torch.where(spans.unsqueeze(-1), value.to(hidden_states.dtype), hidden_states)
    if _is_on(config) and config.mask_feature_prob > 0:
        size = hidden_states.shape[-1]
        sizes = torch.full((len(rows.lengths),), size, device=hidden_states.device)
        spans = random_spans(
            sizes, size, config.mask_feature_prob, config.mask_feature_length, config.mask_feature_min_masks
        )
        hidden_states = hidden_states.masked_fill(rows.spread(spans), 0.0)
    return hidden_states


def random_spans(lengths: torch.Tensor, size: int, probability: float, span: int, min_spans: int) -> torch.Tensor:
    """Draw random spans of `span` positions inside the first `lengths` positions of each row.

    Args:
        lengths: `(batch,)`.
        size: The length of the mask.
        probability: The probability that a position is masked, ignoring overlaps.
        span: The length of one span.
        min_spans: The minimum number of spans of a row that is at least one span long.

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


def _is_on(config: PreTrainedConfig) -> bool:
    return getattr(config, "apply_spec_augment", True)  # data2vec-audio has no such field
