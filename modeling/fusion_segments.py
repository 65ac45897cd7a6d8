"""Segments of speech (phones, syllables, words) as means of their frames."""

import torch
import torch.nn.functional as F

from ..configuration.modalities import count_segments
from .fusion_rows import PaddedRows, Rows
from .modeling_lengths import Lengths, lengths_mask

# Times within this distance of a frame boundary count as on it, in frames (20 us at a hop of 20 ms): in floating point
# 0.06 / 0.02 is not exactly 3. The time steps of aligners are hundreds of times longer.
TOLERANCE = 1e-3


def segment_stream(
    padded: torch.Tensor, rows: Rows, spans: torch.Tensor, counts: Lengths | None, hop: float
) -> tuple[torch.Tensor, Rows, torch.Tensor]:
    """Return the segments of every row as means of their frames, or the frames of a row without segments (ours).

    All segments are computed as one product with a matrix of zeros and ones, which is exact up to float32 rounding.
    Differences of a cumulative sum are not: over 30 s they keep four digits in float32, and float64 takes ten times
    longer on a CPU.

    Args:
        padded: `(batch, longest row, hidden)`, frames.
        rows: Their layout.
        spans: `(batch, segments, 2)`, start and end in seconds, negative where padded, after the segments.
        counts: The number of segments of each row; None, or another number of rows,
            derives it from `spans`, which waits for the device.
        hop: The seconds from one frame to the next.

    Returns:
        The stream, packed; its layout, in which a segment without a valid frame is not valid; and for each row
        `(batch,)`, bool, whether it fell back to frames. A row with a single frame, such as the embedding of missing
        speech, has no segments. A row whose segments are all after its last frame has one, the mean of all frames.
    """
    if isinstance(rows, PaddedRows):
        return _padded_stream(padded, rows, spans, hop)
    if counts is None or len(counts) != len(spans):
        counts = count_segments(spans)
    falls_back = [not count or length == 1 for count, length in zip(counts, rows.lengths, strict=True)]
    fallback = torch.tensor(falls_back).to(padded.device, non_blocking=True)
    if all(falls_back):
        return rows.pack(padded), rows, fallback
    members = frames_of_segments(rows.mask, spans[:, : max(counts)], hop)
    without = ~members.any(dim=(1, 2))
    members = torch.cat([members[:, :1] | (without[:, None] & rows.mask)[:, None], members[:, 1:]], dim=1)
    lengths = tuple(
        length if falls else count for falls, count, length in zip(falls_back, counts, rows.lengths, strict=True)
    )
    if any(falls_back):
        members = F.pad(members, (0, 0, 0, max(0, max(lengths) - members.shape[1])))
        every_frame = torch.eye(*members.shape[1:], dtype=torch.bool, device=members.device) & rows.mask[:, None]
        members = torch.where(fallback[:, None, None], every_frame, members)
    sizes = members.sum(dim=-1, keepdim=True)
    with torch.autocast(padded.device.type, enabled=False):
        stream = members.float() @ padded.float() / sizes.clamp_min(1)
    layout = Rows(lengths_mask(lengths, padded.device), lengths, valid=sizes.squeeze(-1) > 0)
    return layout.pack(stream.to(padded.dtype)), layout, fallback | without


def _padded_stream(
    padded: torch.Tensor, rows: PaddedRows, spans: torch.Tensor, hop: float
) -> tuple[torch.Tensor, Rows, torch.Tensor]:
    """Return what `segment_stream` does, without lengths on the host: segments, and frames behind them."""
    mask = rows.mask
    has_segments = (spans[..., 0] >= 0).any(dim=1) & (mask.sum(dim=1) > 1)
    members = frames_of_segments(mask, spans, hop)
    without = ~members.flatten(1).any(dim=1)
    is_first = torch.arange(spans.shape[1], device=spans.device) == 0
    members = members | (without[:, None] & is_first)[..., None] & mask[:, None]
    sizes = members.sum(dim=-1, keepdim=True)
    stream = members.float() @ padded.float() / sizes.clamp_min(1)
    valid = torch.cat([(sizes.squeeze(-1) > 0) & has_segments[:, None], mask & ~has_segments[:, None]], dim=1)
    return torch.cat([stream.to(padded.dtype), padded], dim=1), PaddedRows(valid), ~has_segments | without


def frames_of_segments(mask: torch.Tensor, spans: torch.Tensor, hop: float) -> torch.Tensor:
    """Return the frames of each segment: `floor(start / hop)` to `ceil(end / hop)` (excluded), at least one (ours).

    Args:
        mask: `(batch, frames)`, bool; only valid frames count.
        spans: `(batch, segments, 2)`, start and end in seconds, negative where padded. Segments may overlap.
        hop: The seconds from one frame to the next.

    Returns:
        `(batch, segments, frames)`, bool.
    """
    start, end = (spans.float() / hop).unsqueeze(-1).unbind(dim=-2)
    first = torch.floor(start + TOLERANCE)
    last = torch.ceil(end - TOLERANCE).maximum(first + 1)
    frames = torch.arange(mask.shape[1], device=mask.device)
    return (start >= 0) & (frames >= first) & (frames < last) & mask[:, None]
