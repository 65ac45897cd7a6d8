"""What stands where an utterance lacks a modality (ours)."""

from collections.abc import Mapping

import torch
from torch import nn


class StandIns(nn.Module):
    """One learned frame per modality, which stands in where an utterance has none.

    A module that is called, not a `ParameterDict`: only so can peft train and save a copy of it beside adapters.

    Args:
        sizes: per modality that the model looks at, the width of its encoder's states.
    """

    def __init__(self, sizes: Mapping[str, int]):
        super().__init__()
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(size)))

    def forward(
        self, states: dict[str, torch.Tensor], masks: dict[str, torch.Tensor], dropout: float
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """See [`stand_in`]."""
        return stand_in(states, masks, dict(self.named_parameters()), dropout)


def stand_in(
    states: dict[str, torch.Tensor],
    masks: dict[str, torch.Tensor],
    vectors: Mapping[str, torch.Tensor],
    dropout: float,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Put the learned frame where a row, or the batch, lacks a modality.

    Args:
        states: per modality that the batch has, `(batch, frames or tokens, hidden of its encoder)`.
        masks: the same, `(batch, frames or tokens)`, bool; all zero where a row lacks it.
        vectors: per modality that the model looks at, its learned frame `(hidden of its encoder,)`.
        dropout: probability that a row loses some of its modalities.

    Returns:
        States and masks of every modality in `vectors`; every row has at least one valid position. And, per modality,
        `(batch,)`, bool: whether the states are the row's own.
    """
    some = next(iter(states.values()))
    present = {
        name: masks[name].any(dim=1) if name in masks else some.new_zeros(len(some), dtype=torch.bool)
        for name in vectors
    }
    if dropout > 0:
        present = drop_modalities(present, dropout)
    filled, filled_masks = {}, {}
    for name, is_present in present.items():
        vector = vectors[name].to(some.dtype)
        if name not in states:
            filled[name] = vector.expand(len(some), 1, -1)
            filled_masks[name] = torch.ones_like(is_present)[:, None]
            continue
        first = torch.arange(masks[name].shape[1], device=some.device) == 0
        filled[name] = torch.where(is_present[:, None, None], states[name], vector)
        filled_masks[name] = torch.where(is_present[:, None], masks[name], first)
    return filled, filled_masks, present


def drop_modalities(present: dict[str, torch.Tensor], probability: float) -> dict[str, torch.Tensor]:
    """With `probability`, mark some of a row's modalities as missing: it keeps one or more, and not all.

    How many it keeps is drawn first, every number being as likely; then which.

    Args:
        present: per modality, `(batch,)`, bool.
        probability: that a row loses any.

    Returns:
        The same, with some rows changed.
    """
    names = list(present)
    table = torch.stack([present[name] for name in names])
    device = table.device
    # A random order of the modalities a row has, before those that it has not.
    scores = torch.rand(table.shape, device=device).masked_fill(~table, 2.0)
    places = scores.argsort(dim=0).argsort(dim=0)
    count = table.sum(dim=0)
    kept = 1 + (torch.rand(table.shape[1], device=device) * (count - 1)).long()
    unlucky = torch.rand(table.shape[1], device=device) < probability
    table = table & ((places < kept) | ~unlucky)
    return dict(zip(names, table, strict=True))
