"""Picture of a timeline: the waveform, and under it a band for each speaker with the emotions over time."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configuration.plain_text import format_seconds, show_name
from ..evaluation.pictures import picture
from .emotion_colours import DIMENSIONS, emotion_colours
from .envelope import Envelope
from .time_axis import HOUR, round_step, set_time_axis
from .timeline import SMOOTHING, Span, Stretch, Timeline, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 12.0  # inches
# A wider Gaussian for longer recordings: this share of the length, about 7 pixels.
SHARE = 1 / 200
# Stretches that on average are shorter than this share of the length, about 8 pixels, are drawn as means over steps of at
# least the other share.
SHORT, STEP = 1 / 150, 1 / 120
MOST_SPEAKERS = 12
LONGEST_NAME, LONGEST_TITLE = 16, 90  # characters
NAMED = 0.5  # mean probability from which an emotion is named inside its area
# Inches: the height of a waveform, and of the bands of up to 2, of up to 5 and of more speakers.
WAVEFORM, BANDS = 0.9, ((2, 1.7), (5, 1.2), (MOST_SPEAKERS, 0.8))
SPOKEN = (1.04, 1.1)  # the heights between which it is marked when a speaker speaks, where means are drawn
SILENCE = {"facecolor": "#f0f0f0", "edgecolor": "#c8c8c8", "hatch": "....", "linewidth": 0}
OVERLAP = {"facecolor": "none", "edgecolor": "black", "hatch": "////", "linewidth": 0, "alpha": 0.35}


def draw_timeline(
    path: str | Path,
    rows: Iterable[Mapping[str, Any]],
    waveform: Envelope | Mapping[str, Envelope] | None = None,
    seconds: float | None = None,
    title: str = "",
) -> Timeline:
    """Draw the emotions of a recording over time as a PNG, and return the timeline that is shown.

    Classes are stacked areas whose heights are their probabilities, dimensions lines in their scale. Where a speaker has no
    rows a band is blank; silence is dotted, and speech of several speakers at once is hatched. Where turns are too short to
    be seen, as in a call of an hour, means over steps of time are drawn, and a line on top shows the turns.

    Args:
        path: PNG to write.
        rows: Rows of the pipeline for one recording, see `smooth`.
        waveform: Its envelope; or an envelope for each channel, by the names of the channels; or None.
        seconds: The standard deviation of the smoothing in seconds; None for 1 s, and more from 200 s of recording on.
        title: Title of the picture, such as the name of the recording.

    Raises:
        ValueError: If the rows make no timeline, see `smooth`.
    """
    rows = list(rows)
    waveforms = {"": waveform} if isinstance(waveform, Envelope) else dict(waveform or {})
    length = max([row["end"] for row in rows] + [envelope.seconds for envelope in waveforms.values()], default=0.0)
    timeline = smooth(rows, max(SMOOTHING, length * SHARE) if seconds is None else seconds)
    view = _View(timeline, length)
    kinds = [kind for kind in ("classes", "dimensions") if getattr(timeline, kind)]
    band = next(height for most, height in BANDS if len(view.speakers) <= most)
    heights = [WAVEFORM] * len(waveforms) + [band] * (len(view.speakers) * len(kinds))
    with picture(path, figsize=(WIDTH, sum(heights) + 1.2)) as figure:
        if view.step:
            figure.get_layout_engine().set(h_pad=0.12)
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        figure.suptitle(show_name(title, LONGEST_TITLE) if title else "", x=0.01, ha="left")
        for panel, (name, envelope) in zip(axes, waveforms.items(), strict=False):
            _draw_waveform(panel, name, envelope)
        panels = iter(axes[len(waveforms) :])
        for speaker in view.speakers:
            for kind in kinds:
                draw = _draw_classes if kind == "classes" else _draw_dimensions
                draw(panel := next(panels), view, speaker)
                _mark(panel, view, speaker)
        set_time_axis(axes[-1], length)
        axes[-1].set_xlabel(view.describe(), fontsize=9)
        _draw_legend(figure, timeline, axes)
    return timeline


class _View:
    """What a picture shows of a timeline.

    Attributes:
        timeline: The timeline.
        length: The length of the recording in seconds.
        step: The seconds of which means are drawn; None if the timeline itself is drawn.
        speakers: The speakers who are shown: those who speak most, in the order of the timeline.
        overlaps: The spans that are marked as those of several speakers.
    """

    def __init__(self, timeline: Timeline, length: float):
        self.timeline, self.length = timeline, length
        spoken = dict.fromkeys(timeline.speakers, 0.0)
        for stretch in timeline.stretches:
            spoken[stretch.speaker] += stretch.end - stretch.start
        shown = {*sorted(spoken, key=lambda speaker: -spoken[speaker])[:MOST_SPEAKERS]}
        self.speakers = [speaker for speaker in spoken if speaker in shown]
        is_short = sum(spoken.values()) < SHORT * length * len(timeline.stretches)
        self.step = round_step(length * STEP) if is_short else None
        self._drawn = timeline.summarise(self.step) if self.step else timeline
        self.overlaps = [] if self.step else timeline.overlaps

    def stretches(self, speaker: str | None) -> list[Stretch]:
        """Return the stretches of a speaker that are drawn."""
        return [stretch for stretch in self._drawn.stretches if stretch.speaker == speaker]

    def turns(self, speaker: str | None) -> list[Span]:
        """Return the spans in which a speaker speaks."""
        return [(one.start, one.end) for one in self.timeline.stretches if one.speaker == speaker]

    def describe(self) -> str:
        """Return the text under the time axis."""
        parts = [f"time in {'h:mm:ss' if self.length >= HOUR else 'mm:ss'}"]
        if self.step:
            parts.append(f"mean of a speaker's speech in each {format_seconds(self.step)}, turns on top")
        elif self.timeline.smoothing:
            parts.append(f"mean over windows, smoothed with a Gaussian of {self.timeline.smoothing:.3g} s")
        else:
            parts.append("mean over windows")
        if left_out := len(self.timeline.speakers) - len(self.speakers):
            parts.append(f"{left_out} more who speak less are not shown")
        return "; ".join(parts)


def _draw_waveform(panel: "Axes", name: str, envelope: Envelope) -> None:
    peak = max(float(np.abs([envelope.low, envelope.high]).max(initial=0.0)), 1e-4)
    edges = np.minimum(np.arange(len(envelope.low) + 1) * envelope.step, envelope.seconds)
    low, high = (np.append(values, values[-1:]) for values in (envelope.low, envelope.high))
    panel.fill_between(edges, low, high, step="post", color="#4d4d4d", linewidth=0.4)
    panel.set(ylim=(-1.05 * peak, 1.05 * peak), yticks=[])
    _name_panel(panel, name or "waveform")


def _draw_classes(panel: "Axes", view: _View, speaker: str | None) -> None:
    """Draw stacked probabilities; the order is that of the colours, from the bottom up."""
    timeline, own = view.timeline, view.stretches(speaker)
    colours = emotion_colours(timeline.classes)
    order = [timeline.classes.index(label) for label in colours]
    times, shares = _join_stretches(own, len(order) + len(timeline.dimensions))
    tops = np.cumsum(shares[:, order], axis=1)
    for number, (label, colour) in enumerate(colours.items()):
        low = tops[:, number - 1] if number else np.where(np.isnan(times), np.nan, 0.0)
        panel.fill_between(
            times, low, tops[:, number], color=colour, linewidth=0, label=show_name(label, LONGEST_NAME)
        )
    for stretch in own:
        _name_emotions(panel, stretch, order, list(colours.items()), view.length)
    panel.set(ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0", "50", "100 %"])
    _name_panel(panel, speaker or "probability")


def _draw_dimensions(panel: "Axes", view: _View, speaker: str | None) -> None:
    """Draw the dimensions as lines; values outside of the scale stretch the axis."""
    timeline, count = view.timeline, len(view.timeline.classes)
    lowest, highest = timeline.scale
    times, values = _join_stretches(view.stretches(speaker), count + len(timeline.dimensions))
    values = values[:, count:]
    for number, label in enumerate(timeline.dimensions):
        colour, dashes = DIMENSIONS[number % len(DIMENSIONS)]
        name = show_name(label, LONGEST_NAME)
        panel.plot(times, values[:, number], color=colour, linestyle=dashes, linewidth=1.8, label=name)
    inside = values[np.isfinite(values)]
    margin = 0.04 * (highest - lowest)
    panel.set(ylim=(min([lowest, *inside]) - margin, max([highest, *inside]) + margin))
    middle = (lowest + highest) / 2
    panel.set_yticks([lowest, middle, highest], [f"{tick:g}" for tick in (lowest, middle, highest)])
    panel.grid(axis="y", color="#d9d9d9")
    _name_panel(panel, speaker or "value")


def _mark(panel: "Axes", view: _View, speaker: str | None) -> None:
    """Mark silence and speech of several speakers at once; above means, also when the speaker speaks."""
    turns = view.turns(speaker)
    for who, start, end in view.timeline.silences:
        if who == speaker:
            panel.axvspan(start, end, zorder=0, label="silence", **SILENCE)
    for start, end in view.overlaps:
        if any(first < end and last > start for first, last in turns):
            panel.axvspan(start, end, zorder=3, label="several speakers", **OVERLAP)
    if view.step:
        low, high = SPOKEN
        panel.broken_barh(
            [(start, end - start) for start, end in turns],
            (low, high - low),
            transform=panel.get_xaxis_transform(),
            facecolor="black",
            linewidth=0,
            clip_on=False,
            label="turn",
        )


def _name_panel(panel: "Axes", name: str) -> None:
    panel.set_ylabel(show_name(name, LONGEST_NAME), rotation=0, ha="right", va="center")
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _name_emotions(
    panel: "Axes", stretch: Stretch, order: list[int], colours: Sequence[tuple[str, str]], length: float
) -> None:
    """Write the name of an emotion into its area where it prevails long enough for the word."""
    values = stretch.values[:, order]
    prevailing = values.argmax(axis=1)
    changes = [0, *(np.flatnonzero(np.diff(prevailing)) + 1).tolist(), len(prevailing)]
    for first, last in pairwise(changes):
        number, share = prevailing[first], values[first:last].mean(axis=0)
        name = show_name(colours[number][0], LONGEST_NAME)
        start, end = stretch.edges[first], stretch.edges[last]
        inches = (end - start) / length * (WIDTH - 3)
        if inches > 0.09 * len(name) + 0.1 and share[number] >= NAMED:
            middle = values[(first + last) // 2]
            height = middle[:number].sum() + middle[number] / 2
            panel.text(
                (start + end) / 2, height, name, ha="center", va="center", fontsize=9, color=_ink(colours[number][1])
            )


def _ink(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else "white"


def _join_stretches(own: Sequence[Stretch], outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return times `(points,)` and values `(points, outputs)` of stretches, with NaN between them, which interrupts lines.

    The points are the middles of cells, and the borders of the stretch with the values of its first and last cell.
    """
    times, values, gap = [], [], np.full((1, outputs), np.nan)
    for stretch in own:
        edges, cells = stretch.edges, stretch.values
        times += [edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:], gap[0, :1]]
        values += [cells[:1], cells, cells[-1:], gap]
    return np.concatenate([*times, gap[0, :1]])[:-1], np.concatenate([*values, gap])[:-1]


def _draw_legend(figure: "Figure", timeline: Timeline, axes: "Sequence[Axes]") -> None:
    """Draw the legend to the right: the areas from the top down, lines, then marks."""
    found = {}
    for panel in axes:
        handles, names = panel.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    marks = [name for name in ("silence", "several speakers", "turn") if name in found]
    classes = [show_name(label, LONGEST_NAME) for label in reversed(emotion_colours(timeline.classes))]
    lines = [show_name(label, LONGEST_NAME) for label in timeline.dimensions]
    names = [name for name in [*classes, *lines, *marks] if name in found]
    figure.legend([found[name] for name in names], names, loc="outside right upper", fontsize=9, frameon=False)
