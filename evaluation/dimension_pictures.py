"""Pictures of predicted dimensions: predicted against true values, and the plane of arousal and valence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..configuration.plain_text import show_name
from .pictures import LONGEST_TITLE, picture
from .prediction_records import Predictions
from .score_records import DimensionScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCATTER, PLANE = "dimensions.png", "arousal_valence.png"
AXES = ("valence", "arousal")  # of the plane
MOST_POINTS = 1000  # with more, cells are coloured by the number of utterances
CELLS = 32  # along an axis
MARGIN = 0.5  # of the scale's span, the farthest that an axis goes beyond it


def draw_dimensions(
    folder: str | Path,
    title: str,
    scores: Mapping[str, DimensionScores],
    names: Sequence[str],
    scale: Sequence[float],
    test: Predictions,
) -> None:
    """Draw the test predictions into a folder; the plane only if both of its dimensions are learned.

    Args:
        folder: The folder, which exists.
        title: Title of the pictures.
        scores: Scores of the test split by dimension.
        names: Names of the dimensions.
        scale: Lowest and highest value.
        test: Predictions on the test split.
    """
    truth, predicted = test.dimension_labels, test.dimensions
    panels = {
        f"{name}: CCC {_format(scores[name].ccc)}, r {_format(scores[name].pearson)}, n = {scores[name].utterances:,}": (
            truth[:, place],
            predicted[:, place],
        )
        for place, name in enumerate(names)
    }
    draw_scatter(Path(folder, SCATTER), title, panels, scale)
    if set(AXES) <= set(names):
        places = [list(names).index(name) for name in AXES]
        known = ~np.isnan(truth[:, places]).any(axis=1)
        planes = {"true": truth[known][:, places], "predicted": predicted[known][:, places]}
        draw_planes(Path(folder, PLANE), title, planes, scale)


def draw_scatter(
    path: str | Path, title: str, panels: Mapping[str, tuple[np.ndarray, np.ndarray]], scale: Sequence[float]
) -> None:
    """Draw predicted against true values, with the line on which they are equal.

    Args:
        path: PNG to write.
        title: Title of the picture.
        panels: True values `(utterances,)`, NaN where unknown, and predicted values, by title of the panel.
        scale: Lowest and highest value.
    """
    known = {
        heading: tuple(values[~np.isnan(true)] for values in (true, predicted))
        for heading, (true, predicted) in panels.items()
    }
    with picture(path, figsize=(4.4 * len(panels) + 0.8, 4.8)) as figure:
        axes = _draw_panels(figure, title, known, scale)
        for panel in axes:
            panel.axline((scale[0], scale[0]), slope=1, color="black", linewidth=1, linestyle="--")
            panel.set_xlabel("true value")
        axes[0].set_ylabel("predicted value (dashed: equal to the true one)")


def draw_planes(path: str | Path, title: str, panels: Mapping[str, np.ndarray], scale: Sequence[float]) -> None:
    """Draw utterances in the plane of arousal and valence.

    Args:
        path: PNG to write.
        title: Title of the picture.
        panels: Valence and arousal `(utterances, 2)` by title of the panel.
        scale: Lowest and highest value.
    """
    middle = (scale[0] + scale[1]) / 2
    points = {f"{heading}, n = {len(values):,}": tuple(values.T) for heading, values in panels.items()}
    with picture(path, figsize=(4.4 * len(panels) + 0.8, 4.8)) as figure:
        axes = _draw_panels(figure, title, points, scale)
        for panel in axes:
            panel.axhline(middle, color="grey", linewidth=0.8)
            panel.axvline(middle, color="grey", linewidth=0.8)
            panel.set_xlabel(AXES[0])
        axes[0].set_ylabel(AXES[1])


def _draw_panels(
    figure: "Figure", title: str, panels: Mapping[str, tuple[np.ndarray, np.ndarray]], scale: Sequence[float]
) -> "Sequence[Axes]":
    """Draw points or, if they are many, the number of points in cells; those far outside of the scale at its margin.

    All panels have the same limits, and the same colours.
    """
    low, high = scale
    margin, edge = MARGIN * (high - low), 0.04 * (high - low)
    clipped = [tuple(np.clip(values, low - margin, high + margin) for values in pair) for pair in panels.values()]
    every = np.concatenate([values for pair in clipped for values in pair])
    limits = [every.min(initial=low) - edge, every.max(initial=high) + edge]
    figure.suptitle(show_name(title, LONGEST_TITLE))
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, heading in zip(axes, panels, strict=True):
        panel.set_title(heading, fontsize=10)
        panel.set(xlim=limits, ylim=limits, aspect="equal")
        panel.grid(alpha=0.3)
    if max(len(x) for x, _ in clipped) > MOST_POINTS:
        _draw_cells(figure, axes, clipped, limits)
    else:
        for panel, pair in zip(axes, clipped, strict=True):
            panel.scatter(*pair, s=14, alpha=0.5, linewidths=0, color="#08519c")
    return axes


def _draw_cells(
    figure: "Figure",
    axes: "Sequence[Axes]",
    points: Sequence[tuple[np.ndarray, np.ndarray]],
    limits: Sequence[float],
) -> None:
    """Colour cells by the logarithm of the number of points in them."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter, NullFormatter

    cells = [
        panel.hexbin(*pair, gridsize=CELLS, extent=(*limits, *limits), mincnt=1, cmap="viridis_r")
        for panel, pair in zip(axes, points, strict=True)
    ]
    most = max(float(np.max(np.asarray(one.get_array()), initial=1)) for one in cells)
    for one in cells:
        one.set_norm(LogNorm(1, max(most, 2)))
    bar = figure.colorbar(cells[0], ax=list(axes), shrink=0.8, label="utterances in a cell")
    # The default labels are formulas, which no text of ours is.
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


def _format(value: float | None) -> str:
    return "undefined" if value is None else f"{value:z.3f}"
