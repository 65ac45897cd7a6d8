"""Share of padding in the batches of an epoch: random batches, and batches of similar length.

Lengths have the distribution of the synthetic IEMOCAP. Nothing is timed: the cost of padding follows from its share.
"""

import numpy as np

from ..training.sampler import LengthGroupedBatchSampler
from .measuring import table

UTTERANCES, CUT = 5531, 15.0  # of IEMOCAP with four classes; seconds, as in the recipes
BATCHES = (8, 16, 32)


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    count = 200 if quick else UTTERANCES
    lengths = draw_lengths(count)
    rows = []
    for size in BATCHES:
        order = np.random.default_rng(1).permutation(count)
        seconds = size * float(lengths.mean())
        rows += [
            row(f"{size} at random", lengths, [order[start : start + size] for start in range(0, count, size)]),
            row(f"{size} of similar length", lengths, list(LengthGroupedBatchSampler(lengths, size))),
            row(
                f"{seconds:.0f} s of similar length",
                lengths,
                list(LengthGroupedBatchSampler(lengths, max_seconds=max(seconds, CUT))),
            ),
        ]
    title = (
        f"{count:,} utterances, {lengths.sum() / 3600:.1f} hours, {lengths.mean():.1f} s on average, {CUT:g} s at most"
    )
    note = "Computed: hours of speech and padding per epoch. Longest: seconds in the largest batch, which determines the memory."
    return [table(title, rows, note)]


def draw_lengths(count: int) -> np.ndarray:
    """Return lengths in seconds: 0.1 s, and 0.36 s for each of a log-normal number of words; see `iemocap_tree`."""
    words = np.maximum(1, np.round(np.random.default_rng(0).lognormal(2.2, 0.8, count)))
    return np.minimum(0.1 + 0.36 * words, CUT)


def row(what: str, lengths: np.ndarray, batches: list) -> dict:
    """Return the row of a way to make batches."""
    padded = [len(batch) * lengths[batch].max() for batch in batches]
    return {
        "what": what,
        "batches": len(batches),
        "padding %": 100 * float(1 - lengths.sum() / sum(padded)),
        "hours computed": float(sum(padded)) / 3600,
        "longest s": float(max(padded)),
    }
