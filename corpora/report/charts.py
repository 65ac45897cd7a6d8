"""Charts of a corpus as inline SVG, legible in light and dark, on paper and to colour-blind readers."""

import io
import re
import warnings
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# After Okabe and Ito (2008), without those that vanish on white or on black.
PALETTE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#999933", "#9A9A9A", "#A47FDB")
NEUTRAL = "#8C9BAA"
INK = "#010203"  # written as `currentColor`, so that the page's ink is taken
WIDTH = 4.2  # inches: letters are as large as the page's text on a telephone
ROW = 0.27  # inches per bar
BINS = 40
WAVE = (300, 56)  # points of a waveform's picture, width and height

STYLE = {
    "svg.fonttype": "none",  # letters stay letters
    "text.parse_math": False,  # a `$` in a corpus is a `$`
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 1.2,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}
PERCENTAGE = {"ha": "center", "va": "center", "color": "black", "fontsize": 8.5}


def class_color(number: int) -> tuple[str, bool]:
    """Colour of a class, and whether it is hatched because another class has that colour already."""
    return PALETTE[number % len(PALETTE)], number // len(PALETTE) % 2 == 1


def draw_balance(parts: Sequence[str], counts: np.ndarray) -> str:
    """A bar per part of the corpus, divided as the classes share it; percentages are written where there is room.

    Args:
        parts: Their names, from top to bottom.
        counts: Utterances `(parts, classes)`.

    Returns:
        An `<svg>`, as of every function here.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "balance"}):
        figure = Figure(figsize=(WIDTH, ROW * len(parts) + 0.45), layout="constrained")
        panel = figure.subplots()
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        left = np.zeros(len(parts))
        for number, share in enumerate(shares.T):
            color, hatched = class_color(number)
            plate = {"facecolor": color, "edgecolor": "none", "pad": 1} if hatched else None
            lines = {"hatch": "///", "edgecolor": "black", "linewidth": 0} if hatched else {}
            panel.barh(range(len(parts)), share, 0.8, left, facecolor=color, **lines)
            for row, width in enumerate(share):
                if width >= 7:
                    panel.text(left[row] + width / 2, row, f"{width:.0f}", bbox=plate, **PERCENTAGE)
            left += share
        names = [f"{_short(part)}  ({total:,})" for part, total in zip(parts, counts.sum(axis=1), strict=True)]
        panel.set_yticks(range(len(parts)), names)
        panel.set(xlim=(0, 100), ylim=(len(parts) - 0.5, -0.5), xlabel="% of its utterances")
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        return _svg(figure)


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Edges of the bins of a histogram from 0, `(bins + 1,)`; a few values far from all others are left beyond the last.

    Args:
        values: Not negative; of whole numbers, every bin holds equally many.
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
    """A histogram of all utterances and, beneath it, per class the middle 90 %, the middle half and the median.

    Args:
        values: One per utterance, `(utterances,)`.
        classes: Their classes, `(utterances,)`.
        labels: Names of the classes.
        unit: What the values count.
        edges: Of the bins, `(bins + 1,)`.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": unit}):
        heights = 1.5, ROW * len(labels) + 0.1
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.6), layout="constrained")
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


def draw_dimensions(vad: np.ndarray, classes: np.ndarray, labels: Sequence[str]) -> str:
    """Per class, where its utterances lie between valence and arousal: the denser, the darker; a ring is their mean.

    Args:
        vad: Valence and arousal (and what follows), from 1 to 5, `(utterances, 2 or more)`; rows with NaN are not drawn.
        classes: Classes of the utterances, `(utterances,)`.
        labels: Names of the classes; those without such an utterance have no panel.
    """
    rated = ~np.isnan(vad[:, :2]).any(axis=1)
    numbers = [number for number in range(len(labels)) if (rated & (classes == number)).any()]
    columns = len(numbers) if len(numbers) < 4 else 2 if len(numbers) == 4 else 3
    rows = -(-len(numbers) // columns)
    edges = np.linspace(0.875, 5.125, 18)  # cells a quarter wide, in the middle of which lie means of whole ratings
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "dimensions", "image.composite_image": False}):
        figure = Figure(figsize=(WIDTH, (WIDTH / columns + 0.2) * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for panel in panels.flat[len(numbers) :]:
            panel.axis("off")
        for panel, number in zip(panels.flat, numbers, strict=False):
            valence, arousal = vad[rated & (classes == number), :2].T
            density, _, _ = np.histogram2d(np.clip(arousal, 1, 5), np.clip(valence, 1, 5), edges)
            color, _ = class_color(number)
            picture = np.empty((*density.shape, 4))
            picture[..., :3] = to_rgb(color)
            picture[..., 3] = np.sqrt(density / density.max())
            bounds = (edges[0], edges[-1]) * 2
            panel.imshow(picture, origin="lower", extent=bounds, interpolation="none")
            panel.plot(valence.mean(), arousal.mean(), "o", color=INK, markerfacecolor="none", markersize=9)
            panel.set_title(_short(labels[number]), fontsize=9.5)
            panel.set(xticks=range(1, 6), yticks=range(1, 6))
            panel.grid(alpha=0.25, linewidth=0.5, color=INK)
        figure.supxlabel("valence", fontsize=9.5)
        figure.supylabel("arousal", fontsize=9.5)
        return _svg(figure)


def draw_waveform(waveform: np.ndarray) -> str:
    """How a recording swings, drawn to its own peak.

    Args:
        waveform: `(samples,)`.
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
    """Place of a value from -1 to 1; silence keeps a line."""
    return WAVE[1] / 2 - value * (WAVE[1] / 2 - 1) - least


def _short(name: str, letters: int = 22) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's browser has letters that our font lacks
        figure.savefig(
            file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = file.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[\w.]+_\d+"', "<g", text)  # these names come again in the page's next chart
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)  # those of the picture: the page decides on them
    return text.replace(INK, "currentColor")
