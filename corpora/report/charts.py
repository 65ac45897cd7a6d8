"""Charts of a corpus as inline SVG, legible on light and dark pages, in print and with colour blindness."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# After Okabe and Ito (2008), without the colours that are illegible on white or on black.
PALETTE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#999933", "#9A9A9A", "#A47FDB")
NEUTRAL = "#8C9BAA"
INK = "#010203"  # replaced by `currentColor`, the text colour of the page
WIDTH = 4.2  # inches; on a phone, letters are then as large as the text of the page
ROW = 0.27  # inches per bar
BINS = 40
CELLS = 16  # from the lowest to the highest value of a dimension; a quarter each from 1 to 5
WAVE = (300, 56)  # width and height of a waveform in points

STYLE = {
    "svg.fonttype": "none",  # text remains text
    "text.parse_math": False,  # a `$` in a corpus is not mathematics
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 1.2,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}
PERCENTAGE = {"ha": "center", "va": "center", "color": "black", "fontsize": 8.5}


def class_color(number: int) -> tuple[str, bool]:
    """Return the colour of a class, and whether it is hatched because another class has the same colour."""
    return PALETTE[number % len(PALETTE)], number // len(PALETTE) % 2 == 1


def draw_balance(groups: Sequence[str], counts: np.ndarray) -> str:
    """Draw a bar per group, divided by the shares of the classes, with percentages where there is room.

    Args:
        groups: Names of the groups, from top to bottom.
        counts: Utterances `(groups, classes)`.

    Returns:
        An `<svg>` element, as for all functions that draw.
    """
    with _figure("balance", ROW * len(groups) + 0.45) as figure:
        panel = figure.subplots()
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        left = np.zeros(len(groups))
        for number, share in enumerate(shares.T):
            color, hatched = class_color(number)
            plate = {"facecolor": color, "edgecolor": "none", "pad": 1} if hatched else None
            lines = {"hatch": "///", "edgecolor": "black", "linewidth": 0} if hatched else {}
            panel.barh(range(len(groups)), share, 0.8, left, facecolor=color, **lines)
            for row, width in enumerate(share):
                if width >= 7:
                    panel.text(left[row] + width / 2, row, f"{width:.0f}", bbox=plate, **PERCENTAGE)
            left += share
        names = [f"{_short(group)}  ({total:,})" for group, total in zip(groups, counts.sum(axis=1), strict=True)]
        panel.set_yticks(range(len(groups)), names)
        panel.set(xlim=(0, 100), ylim=(len(groups) - 0.5, -0.5), xlabel="% of its utterances")
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        return _svg(figure)


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Return the edges of the bins of a histogram, `(bins + 1,)`, from 0; a few outliers may lie beyond the last.

    Args:
        values: Values, not negative. If they are integers, every bin holds the same number of them.
    """
    limit = float(values.max())
    if limit > 1.5 * (most := float(np.quantile(values, 0.99))) > 0:
        limit = most
    if np.issubdtype(values.dtype, np.integer):
        width = np.ceil((limit + 1) / BINS)
        return np.arange(0, limit + 1 + width, width) - 0.5
    return np.linspace(0, np.ceil(limit) or 1, BINS + 1)


def draw_distribution(
    values: np.ndarray, classes: np.ndarray, labels: Sequence[str], unit: str, edges: np.ndarray
) -> str:
    """Draw a histogram of all utterances and, below it, the middle 90 %, the middle half and the median per class.

    Args:
        values: One value per utterance, `(utterances,)`.
        classes: Their classes, `(utterances,)`.
        labels: Names of the classes.
        unit: Unit of the values.
        edges: Edges of the bins, `(bins + 1,)`.
    """
    heights = 1.5, ROW * len(labels) + 0.1
    with _figure(unit, sum(heights) + 0.6) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        above.hist(values, edges, color=NEUTRAL)
        above.set_ylabel("utterances")
        above.yaxis.get_major_locator().set_params(integer=True, nbins=5)
        for number, _ in enumerate(labels):
            if not (chosen := values[classes == number]).size:
                continue
            color, hatched = class_color(number)
            low, first, median, third, high = np.quantile(chosen, (0.05, 0.25, 0.5, 0.75, 0.95))
            below.plot((low, high), (number, number), color=color, linewidth=1.5)
            below.plot((first, third), (number, number), color=color, linewidth=8, solid_capstyle="butt")
            below.plot(median, number, "D" if hatched else "o", color=INK, markersize=4.5)
        below.set_yticks(range(len(labels)), [_short(label) for label in labels])
        below.set(xlim=(edges[0], edges[-1]), ylim=(len(labels) - 0.4, -0.6), xlabel=unit)
        below.tick_params(axis="y", length=0)
        below.spines["left"].set_visible(False)
        return _svg(figure)


def draw_ratings(ratings: Mapping[str, np.ndarray], scale: Sequence[float]) -> str:
    """Draw a histogram of the ratings of each dimension, side by side.

    Args:
        ratings: Values by name of the dimension, `(utterances,)` each and without NaN.
        scale: Lowest and highest value.
    """
    edges = _rating_edges(scale)
    with _figure("ratings", 1.5) as figure:
        panels = figure.subplots(1, len(ratings), squeeze=False, sharex=True, sharey=True)
        for panel, (name, values) in zip(panels.flat, ratings.items(), strict=True):
            panel.hist(np.clip(values, *scale), edges, color=NEUTRAL)
            panel.set_title(name, fontsize=9.5)
            panel.set_xticks(_rating_ticks(scale))
        panels.flat[0].set_ylabel("utterances")
        panels.flat[0].yaxis.get_major_locator().set_params(integer=True, nbins=4)
        return _svg(figure)


def draw_dimensions(vad: np.ndarray, classes: np.ndarray, labels: Sequence[str], scale: Sequence[float]) -> str:
    """Draw the density of utterances over valence and arousal per class, with a ring at the mean.

    Args:
        vad: Valence and arousal, `(utterances, 2 or more)`; rows with NaN are not drawn.
        classes: Classes of the utterances, `(utterances,)`.
        labels: Names of the classes; those without a rated utterance have no panel.
        scale: Lowest and highest value.
    """
    from matplotlib.colors import to_rgb

    rated = ~np.isnan(vad[:, :2]).any(axis=1)
    numbers = [number for number in range(len(labels)) if (rated & (classes == number)).any()]
    columns = len(numbers) if len(numbers) < 4 else 2 if len(numbers) == 4 else 3
    rows = -(-len(numbers) // columns)
    edges, ticks = _rating_edges(scale), _rating_ticks(scale)
    with _figure("dimensions", (WIDTH / columns + 0.2) * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for panel in panels.flat[len(numbers) :]:
            panel.axis("off")
        for panel, number in zip(panels.flat, numbers, strict=False):
            valence, arousal = vad[rated & (classes == number), :2].T
            density, _, _ = np.histogram2d(np.clip(arousal, *scale), np.clip(valence, *scale), edges)
            color, _ = class_color(number)
            picture = np.empty((*density.shape, 4))
            picture[..., :3] = to_rgb(color)
            picture[..., 3] = np.sqrt(density / density.max())
            bounds = (edges[0], edges[-1]) * 2
            panel.imshow(picture, origin="lower", extent=bounds, interpolation="none")
            panel.plot(valence.mean(), arousal.mean(), "o", color=INK, markerfacecolor="none", markersize=9)
            panel.set_title(_short(labels[number]), fontsize=9.5)
            panel.set(xticks=ticks, yticks=ticks)
            panel.grid(alpha=0.25, linewidth=0.5, color=INK)
        figure.supxlabel("valence", fontsize=9.5)
        figure.supylabel("arousal", fontsize=9.5)
        return _svg(figure)


def _rating_edges(scale: Sequence[float]) -> np.ndarray:
    """Return the edges of cells that are centred on the lowest and the highest value, `(cells + 1,)`."""
    lowest, highest = scale
    cells = (
        2 * int(highest - lowest) if _is_whole(scale) and highest - lowest > 4 else CELLS
    )  # else few means share a cell
    half = (highest - lowest) / cells / 2
    return np.linspace(lowest - half, highest + half, cells + 2)


def _rating_ticks(scale: Sequence[float]) -> np.ndarray:
    """Return the whole numbers of a scale of whole numbers, or else its quarters."""
    lowest, highest = scale
    return np.linspace(lowest, highest, int(highest - lowest) + 1 if _is_whole(scale) else 5)


def _is_whole(scale: Sequence[float]) -> bool:
    """Return whether a scale consists of four to seven whole numbers."""
    return all(float(value).is_integer() for value in scale) and 3 <= scale[1] - scale[0] <= 6


def draw_waveform(waveform: np.ndarray) -> str:
    """Draw a waveform, scaled to its peak.

    Args:
        waveform: The recording, `(samples,)`.
    """
    width, height = WAVE
    columns = np.array_split(waveform, min(width, len(waveform)))
    peak = max(float(np.abs(waveform).max()), 1e-9)
    step = width / len(columns)
    strokes = "".join(
        f"M{(number + 0.5) * step:.1f} {_height(column.max() / peak, 0.4):.1f}V{_height(column.min() / peak, -0.4):.1f}"
        for number, column in enumerate(columns)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{strokes}" fill="none" stroke="currentColor" stroke-width="{step:.2g}"/></svg>'
    )


def _height(value: float, least: float) -> float:
    """Return the height of a value from -1 to 1; `least` keeps a line for silence."""
    return WAVE[1] / 2 - value * (WAVE[1] / 2 - 1) - least


def _short(name: str, letters: int = 22) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


@contextmanager
def _figure(salt: str, height: float) -> "Iterator[Figure]":
    """Yield a figure in our style.

    Args:
        salt: Word that makes the ids in the SVG reproducible.
        height: Height in inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE | {"svg.hashsalt": salt, "image.composite_image": False}):
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def _svg(figure: "Figure") -> str:
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser has letters that our font lacks
        figure.savefig(
            file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = file.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[\w.]+_\d+"', "<g", text)  # the next chart on the page has the same ids
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)  # the page sets the size of the picture
    return text.replace(INK, "currentColor")
