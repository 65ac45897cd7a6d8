"""Learned embeddings for missing modalities, and modality dropout (ours)."""

from collections.abc import Mapping

import torch
from torch import nn

from .modeling_rows import Rows

Owned = dict[str, tuple[bool, ...]]


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
        self, states: dict[str, torch.Tensor], rows: dict[str, Rows], owned: Owned, dropout: float
    ) -> tuple[dict[str, torch.Tensor], dict[str, Rows], Owned]:
        """See [`fill_missing_modalities`]."""
        return fill_missing_modalities(states, rows, owned, dict(self.named_parameters()), dropout)


def fill_missing_modalities(
    states: dict[str, torch.Tensor],
    rows: dict[str, Rows],
    owned: Owned,
    embeddings: Mapping[str, torch.Tensor],
    dropout: float,
) -> tuple[dict[str, torch.Tensor], dict[str, Rows], Owned]:
    """Insert the learned frame where a row, or the whole batch, lacks a modality.

    Args:
        states: For each modality of the batch, `(batch, frames or tokens, hidden of its encoder)`.
        rows: For each modality of the batch, the layout of its rows, with at least one position in each.
        owned: For each modality of the batch and each row, whether the row has it.
        embeddings: For each modality of the model, the learned frame `(hidden of its encoder,)`.
        dropout: The probability that a row loses some of its modalities.

    Returns:
        States and layouts of every modality in `embeddings`; and for each modality and row, whether the states are the
        row's own.
    """
    some = next(iter(states.values()))
    owned = {name: owned.get(name, (False,) * len(some)) for name in embeddings}
    if dropout > 0:
        owned = drop_modalities(owned, dropout)
    filled, layouts = {}, {}
    for name, is_own in owned.items():
        embedding = embeddings[name].to(states.get(name, some).dtype)
        if name not in states:
            filled[name], layouts[name] = embedding.expand(len(some), 1, -1), Rows((1,) * len(some), some.device)
            continue
        if all(is_own):
            filled[name] = states[name]
            if embedding.requires_grad and torch.is_grad_enabled():
                # No frame of it is joined, so that its gradient, which DDP waits for, is zero.
                filled[name] = torch.cat([states[name], embedding.expand(len(some), 0, -1)], dim=1)
        else:
            keeps = torch.tensor(is_own).to(some.device, non_blocking=True)
            filled[name] = torch.where(keeps[:, None, None], states[name], embedding)
        lengths = tuple(length if own else 1 for length, own in zip(rows[name].lengths, is_own, strict=True))
        layouts[name] = rows[name] if lengths == rows[name].lengths else Rows(lengths, some.device)
    return filled, layouts, owned


def drop_modalities(owned: Owned, probability: float) -> Owned:
    """Mark modalities of random rows as missing; at least one modality of a row remains.

    For a row that loses modalities, the number that remains is drawn uniformly from 1 to one less than it has; then a
    random subset of that size is drawn. All is drawn on the host, which must know the lengths of rows.

    Args:
        owned: For each modality and row, whether the row has it.
        probability: The probability that a row loses any.

    Returns:
        The same, changed.
    """
    names = list(owned)
    table = torch.tensor([owned[name] for name in names])
    # A random order of the modalities that a row has, before those that it lacks.
    scores = torch.rand(table.shape).masked_fill(~table, 2.0)
    places = scores.argsort(dim=0).argsort(dim=0)
    count = table.sum(dim=0)
    kept = 1 + (torch.rand(table.shape[1]) * (count - 1)).long()
    is_dropped = torch.rand(table.shape[1]) < probability
    table = table & ((places < kept) | ~is_dropped)
    return {name: tuple(rows) for name, rows in zip(names, table.tolist(), strict=True)}
