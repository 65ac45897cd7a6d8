"""Timeline: emotion over time, from the rows of windows and segments that may overlap.

1. Each speaker has stretches of speech: the union of the speaker's rows, without the spans of silent rows.
2. A stretch is divided into cells of about 0.1 s. The value of a cell is the mean over the rows that overlap with it,
   weighted by the seconds of the overlap.
3. Cells of a stretch are smoothed with a Gaussian, whose weights are normalised at the ends of the stretch. So nothing
   is smoothed across a silence, a pause without rows, or from one speaker to another, and probabilities still sum to 1.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..configuration.value_checks import is_number
from ..processing.windows import check_windows

SMOOTHING = 1.0  # seconds: the default standard deviation of the Gaussian (ours)
STEP = 0.1  # seconds of a cell; a wide Gaussian has wider ones, a tenth of its deviation
REACH = 4  # standard deviations after which the Gaussian is cut
WINDOW, HOP = 4.0, 2.0  # seconds of a window and between windows of a picture, if none are given (ours)
TOLERANCE = 0.01  # seconds between rows that still follow each other, because times of turns are rounded

Span = tuple[float, float]


@dataclass(frozen=True)
class Stretch:
    """Uninterrupted speech of one speaker.

    Attributes:
        speaker: The name of the speaker; None if the rows name none.
        start: Its start in seconds.
        end: Its end in seconds.
        values: Probabilities of the classes, then values of the dimensions, `(cells, outputs)`; cells are equally long.
    """

    speaker: str | None
    start: float
    end: float
    values: np.ndarray

    @property
    def edges(self) -> np.ndarray:
        """Return the times between cells in seconds, `(cells + 1,)`."""
        return np.linspace(self.start, self.end, len(self.values) + 1)


@dataclass(frozen=True)
class Timeline:
    """Emotion of a recording over time.

    Attributes:
        classes: Names of the classes in alphabetical order; none for a model of dimensions.
        dimensions: Names of the dimensions; none for a model of classes.
        scale: Lowest and highest value of the dimensions; None without any.
        stretches: The stretches of all speakers, sorted by start.
        silences: Speaker, start and end of each span in which nothing is heard.
        smoothing: The standard deviation of the Gaussian in seconds.
    """

    classes: tuple[str, ...]
    dimensions: tuple[str, ...]
    scale: tuple[float, float] | None
    stretches: list[Stretch]
    silences: list[tuple[str | None, float, float]]
    smoothing: float

    @property
    def speakers(self) -> list[str | None]:
        """Return the names of the speakers in the order in which they are first recorded."""
        first = [(stretch.start, stretch.speaker) for stretch in self.stretches]
        first += [(start, speaker) for speaker, start, _ in self.silences]
        return list(dict.fromkeys(speaker for _, speaker in sorted(first, key=lambda pair: pair[0])))

    @property
    def overlaps(self) -> list[Span]:
        """Return the spans in which several speakers speak at once."""
        found = []
        for speaker in self.speakers:
            own = join([(one.start, one.end) for one in self.stretches if one.speaker == speaker])
            others = join([(one.start, one.end) for one in self.stretches if one.speaker != speaker])
            found += subtract(own, subtract(own, others))
        return join(found)

    def summarise(self, step: float) -> "Timeline":
        """Return the timeline with one cell for each `step` seconds from 0 on: the mean over the speech of a speaker in it.

        Steps in which a speaker does not speak are left out; those in a row are one stretch.

        Args:
            step: Seconds; more than a cell has now.
        """
        stretches = []
        for speaker in self.speakers:
            own = [stretch for stretch in self.stretches if stretch.speaker == speaker]
            if not own:
                continue
            middles = np.concatenate([(one.edges[:-1] + one.edges[1:]) / 2 for one in own])
            weights = np.concatenate([np.diff(one.edges) for one in own])[:, None]
            numbers = (middles / step).astype(int)
            bins, place = np.unique(numbers, return_inverse=True)
            total, weight = np.zeros((len(bins), own[0].values.shape[1])), np.zeros((len(bins), 1))
            np.add.at(total, place, weights * np.concatenate([one.values for one in own]))
            np.add.at(weight, place, weights)
            for part in np.split(np.arange(len(bins)), np.flatnonzero(np.diff(bins) > 1) + 1):
                start, end = bins[part[0]] * step, (bins[part[-1]] + 1) * step
                stretches.append(Stretch(speaker, float(start), float(end), (total / weight)[part]))
        return replace(self, stretches=sorted(stretches, key=lambda stretch: (stretch.start, stretch.end)))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each cell, in the form of the pipeline's rows: `start`, `end`, `scores` and so on."""
        for stretch in self.stretches:
            speaker = {} if stretch.speaker is None else {"speaker": stretch.speaker}
            edges = stretch.edges.round(6).tolist()
            for start, end, values in zip(edges, edges[1:], stretch.values.tolist(), strict=False):
                yield {"start": start, "end": end, **self._entries(values), **speaker}

    def _entries(self, values: Sequence[float]) -> dict[str, list[dict[str, Any]]]:
        count = len(self.classes)
        scores = [{"label": label, "score": score} for label, score in zip(self.classes, values[:count], strict=True)]
        scores.sort(key=lambda entry: -entry["score"])
        dimensions = [
            {"label": label, "score": score, "scale": list(self.scale)}
            for label, score in zip(self.dimensions, values[count:], strict=True)
        ]
        return {"scores": scores or dimensions, **({"dimensions": dimensions} if scores and dimensions else {})}


def choose_windows(limit: float, hop_seconds: float | None = None) -> tuple[float, float]:
    """Return the length and the distance of the windows of a picture, if no length is given.

    Args:
        limit: The seconds that the model takes.
        hop_seconds: The distance, if it is given; None means half a window.

    Raises:
        ValueError: If the distance is more than the length.
    """
    window = min(WINDOW, limit)
    hop = window * HOP / WINDOW if hop_seconds is None else hop_seconds
    check_windows(window, hop)
    return window, hop


def smooth(rows: Iterable[Mapping[str, Any]], seconds: float = SMOOTHING) -> Timeline:
    """Return the smoothed timeline of one recording.

    Args:
        rows: Rows of the pipeline for one recording, in any order: `start` and `end` in seconds, `scores`, and where they
            apply `dimensions`, `speaker` and `silent`. A row with an `error` is passed over.
        seconds: The standard deviation of the Gaussian; 0 for the mean over the rows alone.

    Raises:
        ValueError: If there are no rows; a row has no span, lacks a score that others have, or a number is not finite; or
            `seconds` is negative.
    """
    if not is_number(seconds) or seconds < 0:
        raise ValueError(f"The smoothing must be a number of seconds from 0, not {seconds!r}.")
    rows = [row for row in rows if row.get("error") is None]
    if not rows:
        raise ValueError("There is no timeline without rows: nothing was recognised in the recording.")
    classes, dimensions, scale = _outputs_of(rows[0])
    spans = [_read_span(row, number) for number, row in enumerate(rows)]
    values = np.array([_read_values(row, number, [*classes, *dimensions]) for number, row in enumerate(rows)])
    groups = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.get("speaker"), []).append(number)
    stretches, silences = [], []
    for speaker, numbers in groups.items():
        silent = join([spans[number] for number in numbers if _is_silent(rows[number])])
        silences += [(speaker, *span) for span in silent]
        heard = [number for number in numbers if not _is_silent(rows[number])]
        for start, end in subtract(join([spans[number] for number in heard]), silent):
            own = [number for number in heard if spans[number][0] < end and spans[number][1] > start]
            cells = _mean(start, end, [spans[number] for number in own], values[own], max(STEP, seconds / 10))
            stretches.append(Stretch(speaker, start, end, _blur(cells, seconds * len(cells) / (end - start))))
    stretches.sort(key=lambda stretch: (stretch.start, stretch.end))
    return Timeline(classes, dimensions, scale, stretches, silences, seconds)


def join(spans: Iterable[Span]) -> list[Span]:
    """Return the union of spans: sorted, with those that overlap or follow each other as one.

    Args:
        spans: Start and end in seconds.
    """
    joined = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1] + TOLERANCE:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def subtract(spans: Iterable[Span], removed: Sequence[Span]) -> list[Span]:
    """Return the rest of spans; what is no longer than `TOLERANCE` is left out.

    Args:
        spans: Start and end in seconds.
        removed: Spans to take away, as `join` returns them.
    """
    rest, ends = [], np.array([end for _, end in removed])
    for start, end in spans:
        for number in range(int(np.searchsorted(ends, start, side="right")), len(removed)):
            first, last = removed[number]
            if first >= end:
                break
            rest.append((start, first))
            start = last
        rest.append((start, end))
    return [(start, end) for start, end in rest if end - start > TOLERANCE]


def _is_silent(row: Mapping[str, Any]) -> bool:
    """Return whether nothing is heard in a row; the pipeline says so in each entry as well."""
    return bool(row.get("silent") or row["scores"][0].get("silent"))


def _entries_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*row["scores"], *(row.get("dimensions") or ())]


def _outputs_of(row: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[float, float] | None]:
    """Return the names of the classes and dimensions of a row, and the scale of the latter."""
    entries = _entries_of(row)
    rated = [entry for entry in entries if entry.get("scale")]
    classes = sorted(entry["label"] for entry in entries if not entry.get("scale"))
    return tuple(classes), tuple(entry["label"] for entry in rated), tuple(rated[0]["scale"]) if rated else None


def _read_span(row: Mapping[str, Any], number: int) -> Span:
    start, end = row.get("start"), row.get("end")
    if not is_number(start) or not is_number(end) or not 0 <= start < end:
        raise ValueError(f"rows[{number}] is from {start!r} to {end!r} s: a row needs numbers with 0 <= start < end.")
    return float(start), float(end)


def _read_values(row: Mapping[str, Any], number: int, labels: Sequence[str]) -> list[float]:
    """Return the values of a row in the order of the labels."""
    scores = {entry["label"]: entry["score"] for entry in _entries_of(row)}
    if scores.keys() != {*labels}:
        raise ValueError(
            f"rows[{number}] has scores of {', '.join(sorted(scores))}, and the first row of {', '.join(sorted(labels))}: "
            "a timeline needs all scores of one model, without top_k."
        )
    if not all(map(is_number, scores.values())):
        raise ValueError(f"rows[{number}] has scores that are not finite numbers.")
    return [scores[label] for label in labels]


def _mean(start: float, end: float, spans: Sequence[Span], values: np.ndarray, step: float) -> np.ndarray:
    """Return the means over rows in the cells of a stretch, `(cells, outputs)`.

    Args:
        start: The start of the stretch.
        end: Its end.
        spans: The spans of the rows.
        values: The values of the rows, `(rows, outputs)`.
        step: The length of a cell, at most.
    """
    count = max(1, math.ceil((end - start) / step - 1e-6))
    edges = np.linspace(start, end, count + 1)
    total, weight = np.zeros((count, values.shape[1])), np.zeros((count, 1))
    for (first, last), own in zip(spans, values, strict=True):
        low = max(int(np.searchsorted(edges, first, side="right")) - 1, 0)
        high = min(int(np.searchsorted(edges, last, side="left")), count)
        overlap = np.minimum(edges[low + 1 : high + 1], last) - np.maximum(edges[low:high], first)
        total[low:high] += overlap[:, None] * own
        weight[low:high] += overlap[:, None]
    return total / weight


def _blur(cells: np.ndarray, deviation: float) -> np.ndarray:
    """Smooth the cells of a stretch with a Gaussian whose standard deviation is given in cells."""
    reach = math.ceil(REACH * deviation)
    if not reach or len(cells) == 1:
        return cells
    reach = min(reach, len(cells) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    both = np.column_stack([cells, np.ones(len(cells))])
    blurred = np.column_stack([np.convolve(column, kernel)[reach : reach + len(cells)] for column in both.T])
    return blurred[:, :-1] / blurred[:, -1:]
