"""Segments of speech (phones, syllables, words), each the mean of its frames."""

import torch
import torch.nn.functional as F

# Times that lie this near to the edge of a frame are on it, in frames (20 us at a hop of 20 ms): 0.06 / 0.02 is a little
# more than 3, and 0.06 in float32 a little less than 0.06. Aligners' own steps are hundreds of times longer.
TOLERANCE = 1e-3


def segment_stream(
    hidden_states: torch.Tensor, mask: torch.Tensor, spans: torch.Tensor | None, hop: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Every row's segments, each the mean of its frames; or the row's frames, where it has no segments (ours).

    All segments are one product with a matrix of zeros and ones, which is exact to float32's own rounding. Differences
    of a running sum are not: over half a minute they keep four digits only, or, summed in float64, take ten times
    longer on a CPU.

    Args:
        hidden_states: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool; every row has at least one valid frame.
        spans: `(batch, segments, 2)`, start and end in seconds, negative where padded; None if no row has any.
        hop: seconds from one frame to the next.

    Returns:
        The stream `(batch, positions, hidden)`, its mask `(batch, positions)`, bool, and the rows `(batch,)`, bool,
        that fell back to their frames. A segment without a valid frame counts as padding, and a row with one frame
        only, as what stands in for missing speech is, has no segments.
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
    """Which frames each segment has: from `floor(start / hop)` to `ceil(end / hop)` (excluded), at least one (ours).

    Args:
        mask: `(batch, frames)`, bool; only valid frames count.
        spans: `(batch, segments, 2)`, start and end in seconds, negative where padded. Segments may overlap.
        hop: seconds from one frame to the next.

    Returns:
        `(batch, segments, frames)`, bool.
    """
    start, end = (spans.float() / hop).unsqueeze(-1).unbind(dim=-2)
    first = torch.floor(start + TOLERANCE)
    last = torch.ceil(end - TOLERANCE).maximum(first + 1)
    frames = torch.arange(mask.shape[1], device=mask.device)
    return (start >= 0) & (frames >= first) & (frames < last) & mask[:, None]
