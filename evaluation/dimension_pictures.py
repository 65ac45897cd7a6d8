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
    with picture(path, figsize=(4.4 * len(panels) + 0.4, 4.8)) as figure:
        figure.suptitle(show_name(title, LONGEST_TITLE))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, (heading, (true, predicted)) in zip(axes, panels.items(), strict=True):
            known = ~np.isnan(true)
            _draw_points(panel, true[known], predicted[known], scale)
            panel.axline((scale[0], scale[0]), slope=1, color="black", linewidth=1, linestyle="--")
            panel.set_title(heading, fontsize=10)
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
    with picture(path, figsize=(4.4 * len(panels) + 0.4, 4.8)) as figure:
        figure.suptitle(show_name(title, LONGEST_TITLE))
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for panel, (heading, values) in zip(axes, panels.items(), strict=True):
            panel.axhline(middle, color="grey", linewidth=0.8)
            panel.axvline(middle, color="grey", linewidth=0.8)
            _draw_points(panel, *values.T, scale)
            panel.set_title(f"{heading}, n = {len(values):,}", fontsize=10)
            panel.set_xlabel(AXES[0])
        axes[0].set_ylabel(AXES[1])


def _draw_points(panel: "Axes", x: np.ndarray, y: np.ndarray, scale: Sequence[float]) -> None:
    """Draw points, or the number of points in cells if they are many; those far outside of the scale at its margin."""
    low, high = scale
    margin = MARGIN * (high - low)
    x, y = (np.clip(values, low - margin, high + margin) for values in (x, y))
    edge = 0.04 * (high - low)
    limits = [min(low, *(values.min(initial=low) for values in (x, y))) - edge]
    limits.append(max(high, *(values.max(initial=high) for values in (x, y))) + edge)
    if len(x) > MOST_POINTS:
        cells = panel.hexbin(x, y, gridsize=CELLS, extent=(*limits, *limits), mincnt=1, bins="log", cmap="viridis_r")
        panel.figure.colorbar(cells, ax=panel, label="utterances in a cell", shrink=0.8)
    else:
        panel.scatter(x, y, s=14, alpha=0.5, linewidths=0, color="#08519c")
    panel.set(xlim=limits, ylim=limits, aspect="equal")
    panel.grid(alpha=0.3)


def _format(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
