"""Rows of different lengths one behind the other, so that the layers of a fusion compute no padding (ours)."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch

from .modeling_lengths import Lengths
from .modeling_row_attention import offsets_of_rows


def lay_out(
    states: Mapping[str, torch.Tensor], masks: Mapping[str, torch.Tensor], lengths: Mapping[str, Lengths]
) -> tuple[dict[str, torch.Tensor], dict[str, "Rows"]]:
    """Return the packed states of each modality, and their layouts.

    Args:
        states: For each modality, `(batch, positions, hidden of its encoder)`.
        masks: For each modality, `(batch, positions)`, bool, ones first.
        lengths: For each modality, the number of ones in each row, at least 1. The rows of a modality without lengths
            stay padded.
    """
    rows = {name: Rows(masks[name], lengths[name]) if name in lengths else PaddedRows(masks[name]) for name in states}
    return {name: rows[name].pack(value) for name, value in states.items()}, rows


class Rows:
    """The layout of a batch: how many positions each row has, known on the host.

    A packed tensor is `(1, positions of all rows, ...)`; rows of equal length need no packing and stay `(batch,
    positions, ...)`. Layers that treat every position alike accept both. Indices are computed on the device from the
    mask, and only their number comes from the host: nothing is copied, and nothing waits for the device. (In
    `encoder_packing` a batch is packed once; here it is padded for each attention, which must not take a kernel a row.)

    Args:
        mask: `(batch, positions)`, bool, ones first.
        lengths: The number of ones in each row, at least 1.
        valid: Which positions to attend to and to average, where not all of them: `(batch, positions)`, bool.
    """

    def __init__(self, mask: torch.Tensor, lengths: Lengths, valid: torch.Tensor | None = None):
        self.lengths = tuple(lengths)
        self.longest = max(lengths)
        self.mask = mask[:, : self.longest]
        self.valid = None if valid is None else valid[:, : self.longest]
        self.are_equal = min(lengths) == self.longest

    @property
    def key_mask(self) -> torch.Tensor | None:
        """Which positions others may attend to, `(batch, longest row)`, bool; None if all, for the fastest kernels."""
        return self.valid if self.valid is not None or self.are_equal else self.mask

    @cached_property
    def index(self) -> torch.Tensor:
        """The places of all positions in the flattened padded rows, `(positions of all rows,)`."""
        return self.mask.flatten().nonzero_static(size=sum(self.lengths))[:, 0]

    @cached_property
    def offsets(self) -> torch.Tensor | None:
        """The places of the rows for a GPU's attention kernels; see `offsets_of_rows`."""
        return offsets_of_rows(self.lengths, self.mask.device)

    @cached_property
    def counts(self) -> torch.Tensor:
        """The number of positions of each row, `(batch,)`, int64."""
        return self.mask.sum(dim=1)

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """Return the packed positions of `(batch, positions, ...)`."""
        padded = padded[:, : self.longest]
        return padded if self.are_equal else padded.flatten(0, 1).index_select(0, self.index)[None]

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """Return `(batch, longest row, ...)`, zero where padded; the inverse of `pack`."""
        if self.are_equal:
            return packed
        rows, sizes = len(self.lengths), packed.shape[2:]
        padded = packed.new_zeros(rows * self.longest, *sizes).index_copy_(0, self.index, packed.squeeze(0))
        return padded.view(rows, self.longest, *sizes)

    def split(self, packed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the rows of a packed tensor, each `(positions, ...)`."""
        return packed.unbind() if self.are_equal else packed.squeeze(0).split(list(self.lengths))

    def join(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the packed tensor of rows, each `(positions, ...)`; the inverse of `split`."""
        return torch.stack(list(parts)) if self.are_equal else torch.cat(list(parts))[None]

    def without_packing(self) -> "Rows":
        """Return the layout for layers that take padded rows only, under which `pack` and `pad` change nothing."""
        return Rows(torch.ones_like(self.mask), (self.longest,) * len(self.lengths), self.key_mask)

    def spread(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return one vector per row, `(batch, hidden)`, at each position of the row, as a factor of packed states."""
        if self.are_equal:
            return vectors.unsqueeze(1)
        return vectors.index_select(0, self.index // self.longest)[None]


class PaddedRows(Rows):
    """The layout of padded rows whose lengths are not known on the host, as in an exported graph: nothing is packed.

    Args:
        mask: `(batch, positions)`, bool; in any order.
    """

    def __init__(self, mask: torch.Tensor):
        self.mask = mask
        self.valid = None
        self.longest = mask.shape[1]
        self.are_equal = True  # no row is cut or moved

    @property
    def key_mask(self) -> torch.Tensor:
        """Which positions others may attend to, `(batch, positions)`, bool."""
        return self.mask

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """Return `(batch, positions, ...)`, zero where padded."""
        return packed * self.mask[(..., *(None,) * (packed.ndim - 2))]

    def without_packing(self) -> "Rows":
        """Return the same layout."""
        return self
