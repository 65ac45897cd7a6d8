"""The picture of an explanation: waveform, gate and attention over time, and contributions as bars."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import one_line, show_name
from ..evaluation.picture_fonts import choose_fonts
from ..evaluation.pictures import picture
from .explanation_attention import TO_TIMES, TO_WORDS
from .explanation_records import AttentionMap, Explanation, Gate, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 11.0  # inches, as all sizes below
STRIP, LINE, FRAME = 1.1, 0.23, 0.75  # the waveform or the gate; a word; title and axis of a panel
LONGEST_WORD, LONGEST_NAME, LONGEST_NOTE = 24, 30, 160  # characters
COLUMNS = 800  # of a heat map
TITLES = {TO_WORDS: "attention of times to words", TO_TIMES: "attention of words to times"}
OTHER = "(other tokens: {:.2f})"  # the mean over time
COLOURS = ("#08519c", "#d94801", "#238b45", "#6a51a3")  # a class and three dimensions at most


class Bar(NamedTuple):
    """A part of the utterance or of the model, and its contributions."""

    name: str
    changes: tuple[float, ...]


class Band(NamedTuple):
    """Panels side by side: one over time on the left, one of bars on the right; bars alone take the whole width."""

    height: float
    over_time: "Callable[[Axes], None] | None"
    bars: "Callable[[Axes], None] | None"


def draw_explanation(path: str | Path, explanation: Explanation) -> list[str]:
    """Draw an explanation.

    Contributions to a dimension are drawn as a share of its scale. Of the maps and gates of several layers, levels or
    members, the last ones are drawn.

    Args:
        path: PNG to write.
        explanation: The explanation.

    Returns:
        Sentences on what the picture cannot show, which are written in it too: characters that no installed font has.
    """
    names = [word.text for word in explanation.words] + [target.label for target in explanation.targets]
    fonts = choose_fonts(show_name(name) for name in names)
    bands = _bands(explanation)
    has_two = any(band.over_time and band.bars for band in bands)
    footer = "\n".join(
        fill(one_line(note), LONGEST_NOTE) for note in (*explanation.notes, *fonts.notes, explanation.limits)
    )
    heights = [band.height for band in bands]
    size = WIDTH, sum(heights) + 0.4 + 0.16 * (footer.count("\n") + 1)
    with picture(path, fonts.families, figsize=size) as figure:
        _write_heading(figure, explanation.targets)
        figure.supxlabel(footer, fontsize=8, color="#525252", x=0.01, ha="left")
        grid = figure.add_gridspec(len(bands), 2, height_ratios=heights, width_ratios=(2, 1))
        last = max((number for number, band in enumerate(bands) if band.over_time), default=None)
        for number, band in enumerate(bands):
            if band.over_time:
                panel = figure.add_subplot(grid[number, 0] if has_two else grid[number, :])
                band.over_time(panel)
                panel.set_xlim(0, explanation.seconds)
                panel.set_xlabel("seconds" if number == last else "")
            if band.bars:
                panel = figure.add_subplot(grid[number, 1] if band.over_time else grid[number, :])
                band.bars(panel)
    return fonts.notes


def _bands(explanation: Explanation) -> list[Band]:
    """Return the bands of the picture from top to bottom."""
    targets = explanation.targets
    own = [Bar(word.text, word.changes) for word in explanation.words if word.turn is None]
    earlier = [
        Bar(f"{word.turn + 1}: {word.text}", word.changes) for word in explanation.words if word.turn is not None
    ]
    widest = _widest(targets, [*_part_bars(explanation), *own, *earlier])

    def bars(title: str, rows: list[Bar]) -> Callable[["Axes"], None] | None:
        return partial(_draw_bars, title=title, bars=rows, targets=targets, widest=widest) if rows else None

    def tall(rows: list[Bar]) -> float:
        return FRAME + LINE * len(rows) * max(1.0, 0.5 * len(targets))

    parts, bands = _part_bars(explanation), []
    wave = partial(_draw_waveform, explanation=explanation) if explanation.envelope else None
    if wave or parts:
        bands.append(
            Band(
                max(FRAME + STRIP, tall(parts)),
                wave,
                bars(f"contributions of inputs{' and members' if explanation.members else ''}", parts),
            )
        )
    if explanation.gates:
        bands.append(Band(FRAME + STRIP, partial(_draw_gate, gate=explanation.gates[-1]), None))
    maps = [found for end in TITLES if (found := _last_map(explanation.attention, end))]
    beside = bars("contributions of words", own)
    for number, one in enumerate(maps):
        other = [OTHER.format(np.mean(one.other))] if one.other else []
        rows = [*(bar.name for bar in own), *other]
        draw = partial(_draw_map, attention=one, names=rows)
        bands.append(Band(tall([*own, *own[:1]]), draw, None if number else beside))
    if beside and not maps:
        bands.append(Band(tall(own), None, beside))
    if earlier:
        bands.append(Band(tall(earlier), None, bars("contributions of words of earlier turns (turn: word)", earlier)))
    return bands or [Band(FRAME, None, bars("", [Bar("", (0.0,) * len(targets))]))]


def _write_heading(figure: "Figure", targets: Sequence[Target]) -> None:
    """Write the targets above the panels; several with the colours of their bars."""
    names = [
        f"{show_name(target.label, LONGEST_WORD)} {100 * target.score:.1f} %"
        if target.scale is None
        else f"{target.label} {target.score:.2f} of {target.scale[0]:g} to {target.scale[1]:g}"
        for target in targets
    ]
    if len(names) == 1:
        figure.suptitle(*names, fontsize=11)
        return
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for colour, name in zip(COLOURS, names, strict=False)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(names), frameon=False)


def _part_bars(explanation: Explanation) -> list[Bar]:
    words = {name: modality.word for name, modality in MODALITIES.items()}
    parts = [Bar(words.get(part.name, part.name), part.changes) for part in explanation.parts]
    return parts + [
        Bar(f"member {member.number}: {member.name}", member.changes)
        for member in explanation.members
        if member.changes is not None
    ]


def _last_map(maps: Sequence[AttentionMap], end: str) -> AttentionMap | None:
    return next((one for one in reversed(maps) if one.name.endswith(end)), None)


def _shares(changes: Sequence[float], targets: Sequence[Target]) -> list[float]:
    """Return contributions to classes as they are, those to dimensions as shares of the scale."""
    spans = [1.0 if target.scale is None else target.scale[1] - target.scale[0] for target in targets]
    return [change / span for change, span in zip(changes, spans, strict=True)]


def _widest(targets: Sequence[Target], bars: Sequence[Bar]) -> float:
    """Return the limit of the axes of bars, the same for all of them, so that they can be compared."""
    found = [abs(share) for bar in bars for share in _shares(bar.changes, targets)]
    return 1.08 * max([0.01, *found])


def _draw_waveform(panel: "Axes", explanation: Explanation) -> None:
    low, high = np.array(explanation.envelope).T
    edges = np.linspace(0, explanation.seconds, len(low) + 1)
    panel.fill_between(edges, [*low, low[-1]], [*high, high[-1]], step="post", color="#525252", linewidth=0)
    loudest = max(1e-4, float(np.abs([low, high]).max()))
    panel.set(ylim=(-1.05 * loudest, 1.05 * loudest), yticks=[0])
    panel.set_title("waveform", fontsize=9)


def _draw_gate(panel: "Axes", gate: Gate) -> None:
    panel.stairs(gate.weights, [*gate.starts, gate.ends[-1]], color=COLOURS[0], baseline=None)
    panel.axhline(0.5, color="grey", linewidth=0.8)
    panel.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    names = [MODALITIES[name].word for name in (gate.source, gate.other)]
    panel.set_title(f"gate {gate.name}: 1 is {names[0]}, 0 is {names[1]}{_member(gate.member)}", fontsize=9)


def _draw_map(panel: "Axes", attention: AttentionMap, names: Sequence[str]) -> None:
    rows = np.array([*attention.weights, *([attention.other] if attention.other else [])])
    starts, ends = np.array(attention.starts), np.array(attention.ends)
    centres = (np.arange(COLUMNS) + 0.5) * ends.max() / COLUMNS
    place = (np.searchsorted(starts, centres, side="right") - 1).clip(0)
    grid = np.where((centres >= starts[place]) & (centres < ends[place]), rows[:, place], np.nan)
    # The scale is that of words: special tokens, as `[CLS]`, often have far more.
    most = max(float(np.max(attention.weights)), 1e-6)
    extent = (0, float(ends.max()), len(rows) - 0.5, -0.5)
    panel.imshow(grid, aspect="auto", extent=extent, cmap="Blues", vmin=0, vmax=most, interpolation="nearest")
    panel.set_yticks(range(len(rows)), [show_name(name, LONGEST_WORD) for name in names], fontsize=8)
    more = " or more" if attention.other else ""
    title = next(title for end, title in TITLES.items() if attention.name.endswith(end))
    panel.set_title(f"{title} ({attention.name}{_member(attention.member)}); darkest: {most:.2g}{more}", fontsize=9)


def _member(number: int | None) -> str:
    return "" if number is None else f", member {number}"


def _draw_bars(panel: "Axes", title: str, bars: Sequence[Bar], targets: Sequence[Target], widest: float) -> None:
    thickness = 0.8 / len(targets)
    shares = np.array([_shares(bar.changes, targets) for bar in bars])
    for number in range(len(targets)):
        places = np.arange(len(bars)) - 0.4 + thickness * (number + 0.5)
        panel.barh(places, shares[:, number], thickness, color=COLOURS[number])
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set(xlim=(-widest, widest), ylim=(len(bars) - 0.5, -0.5))
    panel.set_yticks(range(len(bars)), [show_name(bar.name, LONGEST_NAME) for bar in bars], fontsize=8)
    panel.locator_params(axis="x", nbins=5)
    panel.grid(axis="x", alpha=0.3)
    panel.set_title(title, fontsize=9)
    units = {"share of the scale" if target.scale else "probability" for target in targets}
    panel.set_xlabel(" or ".join(sorted(units)), fontsize=8)
