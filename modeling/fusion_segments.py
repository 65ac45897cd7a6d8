"""Segments of speech (phones, syllables, words) as means of their frames."""

import torch
import torch.nn.functional as F

# Times within this distance of a frame boundary count as on it, in frames (20 us at a hop of 20 ms): in floating point
# 0.06 / 0.02 is not exactly 3. The time steps of aligners are hundreds of times longer.
TOLERANCE = 1e-3


def segment_stream(
    hidden_states: torch.Tensor, mask: torch.Tensor, spans: torch.Tensor | None, hop: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the segments of every row as means of their frames, or the frames of a row without segments (ours).

    All segments are computed as one product with a matrix of zeros and ones, which is exact up to float32 rounding.
    Differences of a cumulative sum are not: over 30 s they keep four digits in float32, and float64 takes ten times
    longer on a CPU.

    Args:
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool; every row has at least one valid frame.
        spans: `(batch, segments, 2)`, start and end in seconds, negative where padded; None if no row has segments.
        hop: The seconds from one frame to the next.

    Returns:
        The stream `(batch, positions, hidden)`; its mask `(batch, positions)`, bool; and for each row `(batch,)`,
        bool, whether it fell back to frames. A segment without a valid frame counts as padding. A row with a single
        frame, such as the embedding of missing speech, has no segments.
    """
    if spans is None:
        return hidden_states, mask, mask.new_ones(len(mask))
    members = frames_of_segments(mask, spans, hop)
    fallback = ~members.any(dim=(1, 2)) | (mask.sum(dim=1) == 1)
    if fallback.any():
        frames = mask.shape[1]
        members = F.pad(members, (0, 0, 0, max(0, frames - members.shape[1])))
        every_frame = torch.eye(members.shape[1], frames, dtype=torch.bool, device=mask.device) & mask[:, None]
        members = torch.where(fallback[:, None, None], every_frame, members)
    counts = members.sum(dim=-1, keepdim=True)
    with torch.autocast(hidden_states.device.type, enabled=False):
        stream = members.float() @ hidden_states.float() / counts.clamp_min(1)
    return stream.to(hidden_states.dtype), counts.squeeze(-1) > 0, fallback


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
