"""The segments of alignments as inputs of a model."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

# Silence and noise in the Sphinx segments of IEMOCAP; other corpora are converted to these symbols.
SILENCE = re.compile(r"<s>|</s>|<sil>|SIL|\+.+\+")


def pad_spans(alignment: list[Mapping[str, Any] | None], level: str, limit: float | None) -> np.ndarray:
    """Return the spans of all rows, `(batch, segments, 2)`, -1 where padded.

    Args:
        alignment: The alignment of each row; see the processor.
        level: The level of the segments.
        limit: Seconds that the segments are cut at; None means no limit.

    Raises:
        TypeError: If a row is no mapping.
        ValueError: If a level of it has no lists of valid times.
    """
    rows = [_spans(row, level, f"alignment[{index}]", limit) for index, row in enumerate(alignment)]
    padded = np.full((len(rows), max(1, *map(len, rows)), 2), -1.0, dtype=np.float32)
    for row, spans in zip(padded, rows, strict=True):
        row[: len(spans)] = spans
    return padded


def _spans(row: Mapping[str, Any] | None, level: str, name: str, limit: float | None) -> np.ndarray:
    """Return the spans `(segments, 2)` of one row in seconds, without silence, cut at `limit`."""
    if row is not None and not isinstance(row, Mapping):
        raise TypeError(f"{name} must map 'word', 'syllable' or 'phone' to segments, not be {type(row).__name__}.")
    segments = None if row is None else row.get(level)
    if segments is None:
        return np.zeros((0, 2))
    name = f"{name}[{level!r}]"
    if not isinstance(segments, Mapping) or not {"start", "end", "symbol"} <= set(segments):
        raise ValueError(f"{name} needs the lists 'start', 'end' and 'symbol'.")
    lengths = {len(segments[key]) for key in ("start", "end", "symbol")}
    if len(lengths) > 1:
        raise ValueError(f"{name} has lists 'start', 'end' and 'symbol' of different lengths.")
    try:
        spans = np.array([segments["start"], segments["end"]], dtype=np.float64).T
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has a 'start' or 'end' that is no number.") from error
    if not np.isfinite(spans).all() or (spans[:, 0] < 0).any() or (spans[:, 1] < spans[:, 0]).any():
        raise ValueError(f"{name} has a segment that does not satisfy 0 <= start <= end in seconds.")
    spoken = np.array([SILENCE.fullmatch(symbol) is None for symbol in segments["symbol"]], dtype=bool)
    if limit is None:
        return spans[spoken]
    return spans[spoken & (spans[:, 0] < limit)].clip(max=limit)
