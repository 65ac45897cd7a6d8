"""Rows of different lengths one behind the other, so that layers compute no padding (ours)."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .modeling_lengths import Lengths, works_by_row

CAPABILITY = (8, 0)  # of the GPUs with attention kernels for rows of any length, from Ampere on


class Rows:
    """The layout of a batch: how many positions each row has, known on the host.

    A packed tensor is `(1, positions of all rows, ...)`; rows of equal length need no packing and stay `(batch,
    positions, ...)`. Layers that treat every position alike accept both. What a device needs to know of the layout is
    computed there from the lengths, and only once. Nothing waits for the device.

    Args:
        lengths: The number of positions of each row, which come first in a padded row.
        device: Device of the rows.
    """

    def __init__(self, lengths: Lengths, device: torch.device):
        self.lengths, self.device = tuple(lengths), device
        self.longest, self.total = max(lengths), sum(lengths)
        self.are_equal = min(lengths) == self.longest

    @property
    def key_mask(self) -> torch.Tensor | None:
        """Which positions others may attend to, `(batch, longest row)`, bool; None if all, for the fastest kernels."""
        return None if self.are_equal else self.mask

    @cached_property
    def counts(self) -> torch.Tensor:
        """The number of positions of each row, `(batch,)`, int64."""
        return torch.tensor(self.lengths).to(self.device, non_blocking=True)

    @cached_property
    def mask(self) -> torch.Tensor:
        """Which positions of padded rows are not padding, `(batch, longest row)`, bool."""
        return torch.arange(self.longest, device=self.device) < self.counts[:, None]

    @cached_property
    def index(self) -> torch.Tensor:
        """The places of all positions in the flattened padded rows, `(positions of all rows,)`."""
        return self.mask.flatten().nonzero_static(size=self.total)[:, 0]

    @cached_property
    def numbers(self) -> torch.Tensor:
        """The number of the row of each position, `(positions of all rows,)`."""
        return torch.repeat_interleave(self.counts, output_size=self.total)

    @property
    def places(self) -> torch.Tensor:
        """The place of each position in its row, packed: `(1, positions of all rows)`, or `(batch, positions)`."""
        if self.are_equal:
            return torch.arange(self.longest, device=self.device).expand(len(self.lengths), -1)
        return (self.index % self.longest)[None]

    @cached_property
    def offsets(self) -> torch.Tensor | None:
        """The places of the rows for a GPU's attention kernels; see `offsets_of_rows`."""
        return offsets_of_rows(self.lengths, self.device)

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """Return the packed positions of padded rows.

        Args:
            padded: `(batch, positions, ...)`; positions behind the longest row are left out.
        """
        padded = padded[:, : self.longest]
        if self.are_equal:
            return padded
        if works_by_row(padded.device):
            return self.join([row[:length] for row, length in zip(padded.unbind(), self.lengths, strict=True)])
        return padded.flatten(0, 1).index_select(0, self.index)[None]

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """Return `(batch, longest row, ...)`, zero where padded; the inverse of `pack`.

        Args:
            packed: A packed tensor.
        """
        if self.are_equal:
            return packed
        if works_by_row(packed.device):
            return stack_rows(self.split(packed))
        rows, sizes = len(self.lengths), packed.shape[2:]
        padded = packed.new_zeros(rows * self.longest, *sizes).index_copy_(0, self.index, packed.squeeze(0))
        return padded.view(rows, self.longest, *sizes)

    def split(self, packed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the rows of a packed tensor, each `(positions, ...)`.

        Args:
            packed: The tensor.
        """
        return packed.unbind() if self.are_equal else packed.squeeze(0).split(list(self.lengths))

    def join(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the packed tensor of rows; the inverse of `split`.

        Args:
            parts: The rows, each `(positions, ...)`.
        """
        return torch.stack(list(parts)) if self.are_equal else torch.cat(list(parts))[None]

    def spread(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return one vector per row at each position of the row, as a factor of packed states.

        Args:
            vectors: `(batch, hidden)`.
        """
        return vectors.unsqueeze(1) if self.are_equal else vectors.index_select(0, self.numbers)[None]

    def without_packing(self) -> "Rows":
        """Return the layout for layers that take padded rows only, under which `pack` and `pad` change nothing."""
        return Rows((self.longest,) * len(self.lengths), self.device)


class PaddedRows(Rows):
    """The layout of padded rows whose lengths are not known on the host, as in an exported graph: nothing is packed.

    Args:
        mask: `(batch, positions)`, bool; in any order.
    """

    def __init__(self, mask: torch.Tensor):
        self.mask, self.device = mask, mask.device
        self.longest = mask.shape[1]
        self.are_equal = True  # no row is cut or moved

    @property
    def key_mask(self) -> torch.Tensor:
        """Which positions others may attend to, `(batch, positions)`, bool."""
        return self.mask

    @cached_property
    def counts(self) -> torch.Tensor:
        """The number of positions of each row, `(batch,)`, int64."""
        return self.mask.sum(dim=1)

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """Return `(batch, positions, ...)`, zero where padded."""
        return packed * self.mask[(..., *(None,) * (packed.ndim - 2))]

    def without_packing(self) -> "Rows":
        """Return the same layout."""
        return self


class Segments(NamedTuple):
    """The segments of a batch at one level.

    Args:
        spans: `(batch, segments, 2)`, start and end in seconds, negative where padded, after the segments.
        counts: The number of segments of each row; None, or another number of rows,
            derives it from `spans`, which waits for the device.
    """

    spans: torch.Tensor
    counts: Lengths | None = None


def offsets_of_rows(lengths: Lengths, device: torch.device) -> torch.Tensor | None:
    """Return the first position of each packed row and the end of the last, `(rows + 1,)`, int32; None without kernels."""
    if device.type != "cuda" or not torch.version.cuda or torch.cuda.get_device_capability(device) < CAPABILITY:
        return None
    return torch.tensor([0, *lengths]).cumsum(0).int().to(device, non_blocking=True)


def stack_rows(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return `(rows, longest row, ...)`, zero where padded, of rows `(positions, ...)`."""
    longest = max(map(len, rows))
    return torch.stack([F.pad(row, (0, 0) * (row.ndim - 1) + (0, longest - len(row))) for row in rows])


def drop_context(states: torch.Tensor, rows: Rows, context: Lengths) -> tuple[torch.Tensor, Rows]:
    """Return padded states without those of the positions from 1 that hold earlier turns, and the new layout.

    Args:
        states: `(batch, positions, hidden)`.
        rows: The layout.
        context: The number of positions to leave out in every row.
    """
    if not any(context):
        return states, rows
    kept = Rows([length - skipped for length, skipped in zip(rows.lengths, context, strict=True)], states.device)
    skipped = torch.tensor(context).to(states.device, non_blocking=True)[:, None]
    places = torch.arange(kept.longest, device=states.device)
    places = (places + skipped * (places > 0)).clamp(max=states.shape[1] - 1)
    return states.gather(1, places[..., None].expand(-1, -1, states.shape[2])), kept
