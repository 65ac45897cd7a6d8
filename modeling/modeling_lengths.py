"""Lengths of the rows of a batch, known on the host: a model that reads them from masks waits for its device."""

from collections.abc import Mapping, Sequence

import torch

from ..configuration.modalities import MODALITIES, count_valid

# The number of valid positions of every row, which come first in the row; 0 where a row lacks the modality.
Lengths = tuple[int, ...]


def complete_lengths(
    given: Mapping[str, tuple[torch.Tensor, torch.Tensor | None]], lengths: Mapping[str, Sequence[int]] | None
) -> dict[str, Lengths]:
    """Return the lengths of each modality of a batch.

    Args:
        given: For each modality its values `(batch, positions, ...)` and its mask `(batch, positions)`, ones first;
            None if all positions are valid.
        lengths: The lengths that came with the batch. Those of another number of rows, as under `nn.DataParallel`,
            which divides only tensors, are derived from the mask.

    Raises:
        ValueError: If a mask has a zero before a one.
    """
    completed = {}
    for name, (values, mask) in given.items():
        known = None if lengths is None else lengths.get(name)
        if known is not None and len(known) == len(values):
            completed[name] = tuple(known)
        elif mask is None:
            completed[name] = (values.shape[1],) * len(values)
        else:
            completed[name] = count_valid(MODALITIES[name].mask, mask)
    return completed


def works_by_row(device: torch.device) -> bool:
    """Return whether a call for each row is fast on a device, as on a CPU; on a GPU a batch would wait for the launches."""
    return device.type == "cpu"


def lengths_mask(lengths: Lengths, device: torch.device, positions: int) -> torch.Tensor:
    """Return the mask of rows, `(batch, positions)`, bool."""
    counts = torch.tensor(lengths).to(device, non_blocking=True)
    return torch.arange(positions, device=device) < counts[:, None]


def at_least_one(lengths: Lengths) -> Lengths:
    """Return the lengths with 1 instead of 0: one position of a row without the modality is computed and replaced."""
    return tuple(max(length, 1) for length in lengths)


def keep_missing(lengths: Lengths, before: Lengths) -> Lengths:
    """Return the lengths, 0 for the rows whose length was 0 before."""
    return tuple(length if was else 0 for length, was in zip(lengths, before, strict=True))


def zero_rows(vectors: torch.Tensor, kept: Sequence[bool]) -> torch.Tensor:
    """Return `(batch, hidden)` vectors, zero in all rows but those that are kept."""
    if all(kept):
        return vectors
    return vectors * torch.tensor(kept).to(vectors.device, non_blocking=True)[:, None]
