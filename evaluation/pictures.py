"""Pictures of a run, or of several side by side. Text in them is shown as it is, never read as a formula."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configuration.plain_text import show_name
from ..corpora.atomic_write import staged
from .calibration import Reliability, measure_reliability
from .prediction_records import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONFUSION_MATRIX, RELIABILITY, LEARNING_CURVE = "confusion_matrix.png", "reliability.png", "learning_curve.png"
OF_TEST_SPLIT = (CONFUSION_MATRIX, RELIABILITY)
PANELS = 4  # confusion matrices in a row
LEGEND_ROWS = 14
LONGEST_LABEL, LONGEST_TITLE = 24, 48  # characters
# No text is a formula or TeX, whatever a user's matplotlibrc says.
SETTINGS = {"text.parse_math": False, "text.usetex": False}


@contextmanager
def picture(path: str | Path, families: Sequence[str] = (), **options: Any) -> "Iterator[Figure]":
    """Open a new figure, and write it as a PNG at the end of the block.

    Args:
        path: PNG to write.
        families: The families of fonts (see [`choose_fonts`]); by default those of matplotlib.
        **options: Arguments of [`matplotlib.figure.Figure`].
    """
    import matplotlib
    from matplotlib.figure import Figure

    path = Path(path)
    settings = SETTINGS | ({"font.family": list(families)} if families else {})
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A character that the font lacks, as an emoji, is drawn as a box.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = Figure(layout="constrained", **options)
        yield figure
        with staged(path.parent) as staging:
            figure.savefig(staging / path.name, format="png", dpi=120)


def draw_classes(
    folder: str | Path, title: str, confusion: Sequence[Sequence[int]], labels: list[str], test: Predictions
) -> None:
    """Draw the confusion matrix and the reliability of the test predictions into a folder.

    Args:
        folder: The folder, which exists.
        title: Title of the confusion matrix.
        confusion: Counts `(classes, classes)`.
        labels: Names of the classes.
        test: Predictions on the test split.
    """
    draw_confusion_matrices(Path(folder, CONFUSION_MATRIX), {title: confusion}, labels)
    correct = test.predicted == test.labels
    panels = {"as trained": (test.probabilities().max(axis=1), correct)}
    if (test.temperature != 1).any():
        panels["after temperature scaling"] = (test.probabilities(scaled=True).max(axis=1), correct)
    draw_reliability(Path(folder, RELIABILITY), panels)


def draw_confusion_matrices(
    path: str | Path, systems: Mapping[str, Sequence[Sequence[int]]], labels: list[str]
) -> None:
    """Draw confusion matrices as row percentages (the diagonal is the recall) with the counts beneath.

    Args:
        path: PNG to write.
        systems: Counts `(classes, classes)` by title of the panel; rows are true classes.
        labels: Names of the classes.
    """
    side = 1.3 + 0.75 * len(labels)
    names = [show_name(label, LONGEST_LABEL) for label in labels]
    side += 0.08 * max(0, max(map(len, names)) - 8)
    columns = min(len(systems), PANELS)
    rows = -(-len(systems) // columns)
    with picture(path, figsize=(side * columns + 0.4, (side + 0.7) * rows)) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for panel in panels.flat[len(systems) :]:
            panel.axis("off")
        for panel, (title, counts) in zip(panels.flat, systems.items(), strict=False):
            _draw_confusion_matrix(panel, np.asarray(counts))
            panel.set_title(show_name(title, LONGEST_TITLE))
            panel.set_xticks(range(len(names)), names, rotation=45, ha="right")
            panel.set_yticks(range(len(names)), names)
            panel.set_xlabel("predicted emotion")
        for panel in panels[:, 0]:
            panel.set_ylabel("true emotion")


def _draw_confusion_matrix(panel: "Axes", counts: np.ndarray) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        panel.text(
            column,
            row,
            f"{shares[row, column]:.0%}\n{counts[row, column]}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if shares[row, column] > 0.5 else "black",
        )


def draw_learning_curves(
    path: str | Path, systems: Mapping[str, Sequence[Mapping[str, float]]], metric: str = "ua", heading: str = "UA"
) -> None:
    """Draw the training loss, and a validation score with the best epoch marked; a panel without values is left out.

    Args:
        path: PNG to write.
        systems: Log of each run (`trainer.state.log_history`) by its name in the legend.
        metric: The score, a metric of the task that is better when greater and at most 1.
        heading: Its name.
    """
    score = f"eval_{metric}"
    curves = {
        key: {name: points for name, log in systems.items() if (points := _points(log, key))}
        for key in ("loss", score)
    }
    kinds = [key for key, lines in curves.items() if lines]
    columns = -(-len(systems) // LEGEND_ROWS) if len(systems) > 1 else 0
    with picture(path, figsize=(4.5 * max(len(kinds), 1) + 1.5 * max(columns - 1, 0), 3.6)) as figure:
        if not kinds:
            figure.text(0.5, 0.5, f"The log has neither a loss nor a validation {heading}.", ha="center")
            return
        panels = dict(zip(kinds, figure.subplots(1, len(kinds), squeeze=False)[0], strict=True))
        for number, name in enumerate(systems):
            for key, panel in panels.items():
                points, label = curves[key].get(name, []), show_name(name, LONGEST_LABEL)
                _draw_curve(panel, points, label, f"C{number % 10}", is_score=key == score)
        for key, panel in panels.items():
            points = [point for points in curves[key].values() for point in points]
            _set_axes(panel, points, heading if key == score else None)
        if columns:
            lines = {
                line.get_label(): line for panel in panels.values() for line in panel.get_legend_handles_labels()[0]
            }
            figure.legend(
                lines.values(),
                lines.keys(),
                loc="outside right center",
                ncols=columns,
                fontsize=9 if columns > 1 else None,
            )


def _points(log: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    """Return `(epoch, value)` of each finite value in a log."""
    return [(entry["epoch"], entry[key]) for entry in log if key in entry and np.isfinite(entry[key])]


def _draw_curve(panel: "Axes", points: list[tuple[float, float]], name: str, color: str, is_score: bool) -> None:
    if not points:
        return
    marker = "." if is_score or len(points) == 1 else None  # a line of one point would be invisible
    panel.plot(*zip(*points, strict=True), marker=marker, color=color, label=name)
    if is_score:
        best = max(points, key=lambda point: point[1])
        panel.plot(*best, marker="o", markersize=10, markerfacecolor="none", color=color)


def _set_axes(panel: "Axes", points: list[tuple[float, float]], heading: str | None) -> None:
    """Set the axes of the panel of a score; without a heading, of the loss."""
    from matplotlib.ticker import MaxNLocator

    panel.set_xlim(0, max(1, np.ceil(max(epoch for epoch, _ in points) - 1e-6)) * 1.03)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    values = [value for _, value in points]
    if heading is not None:
        panel.set(xlabel="epoch", ylabel=f"validation {heading}", ylim=(min(0, 1.05 * min(values)), 1.05))
        panel.set_title("circle: best epoch", fontsize=9)
    else:
        panel.set(xlabel="epoch", ylabel="training loss", ylim=(0, 1.05 * max(values) or 1))
    panel.grid(alpha=0.3)


def draw_reliability(path: str | Path, systems: Mapping[str, tuple[Sequence[float], Sequence[bool]]]) -> None:
    """Draw reliability diagrams (Guo et al. 2017): accuracy of predictions by their probability.

    Args:
        path: PNG to write.
        systems: By title of the panel, the probability of each prediction `(utterances,)` and whether it is correct.
    """
    with picture(path, figsize=(max(4.2 * len(systems), 6), 5.4)) as figure:
        panels = figure.subplots(1, len(systems), squeeze=False, sharey=True)[0]
        for panel, (title, (confidence, correct)) in zip(panels, systems.items(), strict=True):
            bins = measure_reliability(confidence, correct)
            _draw_bins(panel, bins)
            panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the predicted class")
            panel.set_title(
                f"{show_name(title, LONGEST_TITLE)}: ECE {100 * bins.ece:.1f} %, n = {bins.counts.sum():,}",
                fontsize=10,
            )
        panels[0].set_ylabel("share of utterances")
        *lines, bars = panels[0].get_legend_handles_labels()[0]
        figure.legend(handles=[bars, *lines], loc="outside lower center", ncols=min(len(panels), 2), fontsize=9)


def _draw_bins(panel: "Axes", bins: Reliability) -> None:
    filled, width = bins.counts > 0, bins.edges[1]
    panel.bar(
        bins.edges[:-1],
        bins.accuracy,
        width=width,
        align="edge",
        color="#6baed6",
        edgecolor="white",
        label="bar: share of correct predictions in a bin",
    )
    panel.plot(
        bins.confidence[filled],
        bins.accuracy[filled],
        marker="o",
        markersize=4,
        linestyle="none",
        color="#08519c",
        clip_on=False,
        label="dot: the same share, at the mean probability in the bin",
    )
    share = bins.counts / max(bins.counts.sum(), 1)
    panel.stairs(share, bins.edges, color="#525252", label="outline: share of all utterances in a bin")
    panel.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="dashed: perfect calibration")
