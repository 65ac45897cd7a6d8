"""Segments of speech (phones, syllables, words) as means of their frames."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..configuration.modalities import count_segments
from .modeling_rows import PaddedRows, Rows, Segments

# Times within this distance of a frame boundary count as on it, in frames (20 us at a hop of 20 ms): in floating point
# 0.06 / 0.02 is not exactly 3. The time steps of aligners are hundreds of times longer.
TOLERANCE = 1e-3


class Stream(NamedTuple):
    """The speech of a batch at one level.

    Args:
        states: Means of segments, packed.
        rows: Their layout.
        fallback: `(batch,)`, bool: which rows have their frames instead of segments.
    """

    states: torch.Tensor
    rows: Rows
    fallback: torch.Tensor


def segment_streams(
    packed: torch.Tensor, rows: Rows, segments: Mapping[str, Segments], hop: float
) -> dict[str, Stream]:
    """Return the segments of every row, at each level, as means of their frames; see `frames_of_segments`.

    A row without segments has its frames instead (ours); so has a row of one frame, as the embedding of missing speech.

    The segments of all levels are computed as one product with a matrix of zeros and ones, which is exact up to float32
    rounding. Differences of a cumulative sum are not: over 30 s they keep four digits in float32, and float64 takes ten
    times longer on a CPU.

    Args:
        packed: Frames, packed.
        rows: Their layout.
        segments: For each level, its segments.
        hop: The seconds from one frame to the next.
    """
    if isinstance(rows, PaddedRows):
        return {level: _padded_stream(packed, rows, spans, hop) for level, (spans, _) in segments.items()}
    streams, layouts, given = {}, {}, []
    for level, (spans, counts) in segments.items():
        if counts is None or len(counts) != len(spans):
            counts = count_segments(spans)
        falls_back = [not count or length == 1 for count, length in zip(counts, rows.lengths, strict=True)]
        fallback = torch.tensor(falls_back).to(packed.device, non_blocking=True)
        if all(falls_back):
            streams[level] = Stream(packed, rows, fallback)
            continue
        lengths = [
            frames if falls else count for count, frames, falls in zip(counts, rows.lengths, falls_back, strict=True)
        ]
        layouts[level] = Rows(lengths, packed.device), fallback
        spans = spans[:, : max(lengths)]
        if missing := max(lengths) - spans.shape[1]:
            spans = F.pad(spans, (0, 0, 0, missing), value=-1.0)
        if any(falls_back):  # the middle of each frame is a segment
            middles = hop * (torch.arange(max(lengths), device=packed.device) + 0.5)
            spans = torch.where(fallback[:, None, None], middles.unsqueeze(-1), spans)
        given.append(spans)
    if layouts:
        means = _mean_frames(rows.pad(packed), frames_of_segments(torch.cat(given, dim=1), rows.counts, hop))
        parts = means.split([layout.longest for layout, _ in layouts.values()], dim=1)
        for (level, (layout, fallback)), states in zip(layouts.items(), parts, strict=True):
            streams[level] = Stream(layout.pack(states), layout, fallback)
    return streams


def _padded_stream(padded: torch.Tensor, rows: PaddedRows, spans: torch.Tensor, hop: float) -> Stream:
    """Return what `segment_streams` does, without lengths on the host: segments, and frames behind them."""
    has_segments = (spans[..., 0] >= 0).any(dim=1) & (rows.counts > 1)
    means = _mean_frames(padded, frames_of_segments(spans, rows.counts, hop))
    valid = torch.cat([(spans[..., 0] >= 0) & has_segments[:, None], rows.mask & ~has_segments[:, None]], dim=1)
    return Stream(torch.cat([means, padded], dim=1), PaddedRows(valid), ~has_segments)


def frames_of_segments(spans: torch.Tensor, counts: torch.Tensor, hop: float) -> torch.Tensor:
    """Return the frames of each segment, from `floor(start / hop)` to `ceil(end / hop)` (excluded), at least one.

    A segment that begins after the last frame has the last frame (ours): the end of a recording, less than a hop, has no frame
    of its own.

    Args:
        spans: `(batch, segments, 2)`, start and end in seconds. Segments may overlap.
        counts: The number of frames of each row, `(batch,)`.
        hop: The seconds from one frame to the next.

    Returns:
        `(batch, segments, 2)`, the first frame and the one after the last, float32.
    """
    start, end = (spans.float() / hop).unbind(dim=-1)
    counts = counts[:, None]
    first = torch.floor(start + TOLERANCE).minimum(counts - 1)
    last = torch.ceil(end - TOLERANCE).maximum(first + 1).minimum(counts)
    return torch.stack([first, last], dim=-1)


def _mean_frames(padded: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """Return the means `(batch, segments, hidden)` of frames `(batch, frames, hidden)` between bounds."""
    first, last = bounds.unsqueeze(2).unbind(dim=-1)
    frames = torch.arange(padded.shape[1], device=padded.device)
    members = ((frames >= first) & (frames < last)).float()
    with torch.autocast(padded.device.type, enabled=False):
        return (members @ padded.float() / (last - first)).to(padded.dtype)
