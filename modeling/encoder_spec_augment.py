"""SpecAugment (Park et al. 2019) on the states of a speech encoder."""

import torch
from transformers import PreTrainedConfig


def masks_time(config: PreTrainedConfig) -> bool:
    """Whether a training utterance loses spans of frames, which a learned vector may stand in for."""
    return _is_on(config) and config.mask_time_prob > 0


def spec_augment(
    config: PreTrainedConfig, hidden_states: torch.Tensor, mask: torch.Tensor, masked_frame: torch.Tensor | None
) -> torch.Tensor:
    """SpecAugment with the encoder's own settings, on the device and for clips of any length.

    As in transformers a row gets `mask_time_prob * frames / mask_time_length` spans, rounded at random, but at least
    `mask_time_min_masks`; spans may overlap, and a row shorter than one span is left alone.

    Args:
        config: of the encoder, says how much is masked.
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool.
        masked_frame: `(hidden,)`, what is written over masked frames; None for zeros.

    Returns:
        `(batch, frames, hidden)`.
    """
    if masks_time(config):
        spans = random_spans(
            mask.sum(dim=1), mask.shape[1], config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
        )
        written = torch.zeros_like(hidden_states[0, 0]) if masked_frame is None else masked_frame
        hidden_states = torch.where(spans.unsqueeze(-1), written.to(hidden_states.dtype), hidden_states)
    if _is_on(config) and config.mask_feature_prob > 0:
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


def _is_on(config: PreTrainedConfig) -> bool:
    return getattr(config, "apply_spec_augment", True)  # data2vec-audio has no switch
