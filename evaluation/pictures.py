"""Pictures of a run, or of several side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..corpora.atomic_write import staged
from .calibration import measure_reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .predictions import Predictions
    from .results import RunResults

CONFUSION_MATRIX, RELIABILITY, LEARNING_CURVE = "confusion_matrix.png", "reliability.png", "learning_curve.png"
OF_TEST_SPLIT = (CONFUSION_MATRIX, RELIABILITY)
PANELS = 4  # confusion matrices in a row
LEGEND_ROWS = 14


def draw_test_split(folder: str | Path, title: str, results: "RunResults", test: "Predictions") -> None:
    """Draw the confusion matrix and the reliability of the test predictions into a folder.

    Args:
        folder: The folder, which exists.
        title: Title of the confusion matrix.
        results: The results of the run.
        test: Predictions on the test split.
    """
    confusion = {title: results.metrics["test"].confusion_matrix}
    draw_confusion_matrices(Path(folder, CONFUSION_MATRIX), confusion, results.labels)
    correct = test.predicted == test.labels
    panels = {
        name: (test.probabilities(scaled).max(axis=1), correct)
        for name, scaled in (("as trained", False), ("after temperature scaling", True))
    }
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
    from matplotlib.figure import Figure

    side = 1.3 + 0.75 * len(labels)
    columns = min(len(systems), PANELS)
    rows = -(-len(systems) // columns)
    figure = Figure(figsize=(side * columns + 0.4, (side + 0.7) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat[len(systems) :]:
        panel.axis("off")
    for panel, (title, counts) in zip(panels.flat, systems.items(), strict=False):
        counts = np.asarray(counts)
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
        panel.set_title(title)
        panel.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        panel.set_yticks(range(len(labels)), labels)
        panel.set_xlabel("predicted emotion")
    for panel in panels[:, 0]:
        panel.set_ylabel("true emotion")
    _save(figure, path)


def draw_learning_curves(path: str | Path, systems: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Draw the training loss, and the validation UA with the best epoch marked.

    Args:
        path: PNG to write.
        systems: Log of each run (`trainer.state.log_history`) by its name in the legend.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss_panel, ua_panel = figure.subplots(1, 2)
    for name, log in systems.items():
        loss = [(entry["epoch"], entry["loss"]) for entry in log if "loss" in entry]
        ua = [(entry["epoch"], entry["eval_ua"]) for entry in log if "eval_ua" in entry]
        if loss:
            loss_panel.plot(*zip(*loss, strict=True), label=name)
        if ua:
            (line,) = ua_panel.plot(*zip(*ua, strict=True), marker=".", label=name)
            best = max(ua, key=lambda point: point[1])
            ua_panel.plot(*best, marker="o", markersize=10, markerfacecolor="none", color=line.get_color())
    loss_panel.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    ua_panel.set(xlabel="epoch", ylabel="validation UA", ylim=(0, 1.05))
    ua_panel.set_title("circle: best epoch", fontsize=9)
    for panel in (loss_panel, ua_panel):
        panel.grid(alpha=0.3)
    if len(systems) > 1:
        columns = -(-len(systems) // LEGEND_ROWS)
        figure.set_figwidth(9 + 1.5 * (columns - 1))
        handles = (ua_panel if ua_panel.lines else loss_panel).get_legend_handles_labels()
        figure.legend(*handles, loc="outside right center", ncols=columns, fontsize=9 if columns > 1 else None)
    _save(figure, path)


def draw_reliability(path: str | Path, systems: Mapping[str, tuple[Sequence[float], Sequence[bool]]]) -> None:
    """Draw reliability diagrams (Guo et al. 2017): accuracy of predictions by their probability.

    Args:
        path: PNG to write.
        systems: By title of the panel, the probability of each prediction `(utterances,)` and whether it is correct.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(systems), 4.6), layout="constrained")
    panels = figure.subplots(1, len(systems), squeeze=False, sharey=True)[0]
    for panel, (title, (confidence, correct)) in zip(panels, systems.items(), strict=True):
        bins = measure_reliability(confidence, correct)
        filled = bins.counts > 0
        width = bins.edges[1]
        panel.bar(bins.edges[:-1], bins.accuracy, width=width, align="edge", color="#6baed6", edgecolor="white")
        panel.stairs(bins.counts / max(bins.counts.sum(), 1), bins.edges, color="#525252")
        panel.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--")
        panel.plot(bins.confidence[filled], bins.accuracy[filled], marker=".", linestyle="none", color="#08519c")
        panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the prediction")
        panel.set_title(f"{title}: ECE {100 * bins.ece:.1f} %", fontsize=10)
    panels[0].set_ylabel("share correct (bars), share of all (line)")
    _save(figure, path)


def _save(figure: "Figure", path: str | Path) -> None:
    path = Path(path)
    with staged(path.parent) as staging:
        figure.savefig(staging / path.name, format="png", dpi=120)
