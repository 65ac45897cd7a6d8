"""Learned embeddings for missing modalities, and modality dropout (ours)."""

from collections.abc import Mapping

import torch
from torch import nn


class MissingModalityEmbeddings(nn.Module):
    """One learned frame per modality, used where an utterance lacks that modality.

    The vectors are parameters of a module with a `forward`, not of a `ParameterDict`: peft can train and save a copy
    of a module next to adapters only if it is called.

    Args:
        sizes: The width of the encoder states of each modality that the model uses.
    """

    def __init__(self, sizes: Mapping[str, int]):
        super().__init__()
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(size)))

    def forward(
        self, states: dict[str, torch.Tensor], masks: dict[str, torch.Tensor], dropout: float
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """See [`fill_missing_modalities`]."""
        return fill_missing_modalities(states, masks, dict(self.named_parameters()), dropout)


def fill_missing_modalities(
    states: dict[str, torch.Tensor],
    masks: dict[str, torch.Tensor],
    embeddings: Mapping[str, torch.Tensor],
    dropout: float,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Insert the learned frame where a row, or the whole batch, lacks a modality.

    Args:
        states: For each modality of the batch, `(batch, frames or tokens, hidden of its encoder)`.
        masks: For each modality of the batch, `(batch, frames or tokens)`, bool; all zero where a row lacks it.
        embeddings: For each modality of the model, the learned frame `(hidden of its encoder,)`.
        dropout: The probability that a row loses some of its modalities.

    Returns:
        States and masks of every modality in `embeddings`, with at least one valid position in every row; and for each
        modality the modality mask `(batch,)`, bool: whether the states are the row's own.
    """
    some = next(iter(states.values()))
    modality_mask = {
        name: masks[name].any(dim=1) if name in masks else some.new_zeros(len(some), dtype=torch.bool)
        for name in embeddings
    }
    if dropout > 0:
        modality_mask = drop_modalities(modality_mask, dropout)
    filled, filled_masks = {}, {}
    for name, has_modality in modality_mask.items():
        embedding = embeddings[name].to(some.dtype)
        if name not in states:
            filled[name] = embedding.expand(len(some), 1, -1)
            filled_masks[name] = torch.ones_like(has_modality)[:, None]
            continue
        first = torch.arange(masks[name].shape[1], device=some.device) == 0
        filled[name] = torch.where(has_modality[:, None, None], states[name], embedding)
        filled_masks[name] = torch.where(has_modality[:, None], masks[name], first)
    return filled, filled_masks, modality_mask


def drop_modalities(modality_mask: dict[str, torch.Tensor], probability: float) -> dict[str, torch.Tensor]:
    """Mark modalities of random rows as missing; at least one modality of a row remains.

    For a row that loses modalities, the number that remains is drawn uniformly from 1 to one less than it has; then a
    random subset of that size is drawn.

    Args:
        modality_mask: For each modality, `(batch,)`, bool: whether a row has it.
        probability: The probability that a row loses any.

    Returns:
        The changed modality mask.
    """
    names = list(modality_mask)
    table = torch.stack([modality_mask[name] for name in names])
    device = table.device
    # A random order of the modalities that a row has, before those that it lacks.
    scores = torch.rand(table.shape, device=device).masked_fill(~table, 2.0)
    places = scores.argsort(dim=0).argsort(dim=0)
    count = table.sum(dim=0)
    kept = 1 + (torch.rand(table.shape[1], device=device) * (count - 1)).long()
    is_dropped = torch.rand(table.shape[1], device=device) < probability
    table = table & ((places < kept) | ~is_dropped)
    return dict(zip(names, table, strict=True))
