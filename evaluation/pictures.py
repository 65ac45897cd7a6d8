"""Pictures of a run, or of several side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..corpora.atomic_write import staged

PANELS = 4  # confusion matrices side by side
CALIBRATION_BINS = 15  # as in the metric
NAMES = 14  # of systems in a column of a legend


def draw_confusion_matrices(
    path: str | Path, systems: Mapping[str, Sequence[Sequence[int]]], labels: list[str]
) -> None:
    """Confusion matrices as row percentages (the diagonal is the recall) with the counts beneath.

    Args:
        path: PNG to write.
        systems: per panel title, counts `(classes, classes)`; rows are true classes.
        labels: names of the classes.
    """
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
        panel.set_xlabel("recognised as")
    for panel in panels[:, 0]:
        panel.set_ylabel("true emotion")
    _save(figure, path)


def draw_learning_curves(path: str | Path, systems: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Training loss, and validation UA with the best epoch marked, over the epochs.

    Args:
        path: PNG to write.
        systems: per line, the log of its run (`trainer.state.log_history`).
    """
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
    ua_panel.set_title("circle: the best epoch", fontsize=9)
    for panel in (loss_panel, ua_panel):
        panel.grid(alpha=0.3)
    if len(systems) > 1:
        columns = -(-len(systems) // NAMES)
        figure.set_figwidth(9 + 1.5 * (columns - 1))
        handles = (ua_panel if ua_panel.lines else loss_panel).get_legend_handles_labels()
        figure.legend(*handles, loc="outside right center", ncols=columns, fontsize=9 if columns > 1 else None)
    _save(figure, path)


def draw_reliability(path: str | Path, systems: Mapping[str, tuple[Sequence[float], Sequence[bool]]]) -> None:
    """Reliability diagrams (Guo et al. 2017): how often an answer is right, by how sure the model is of it.

    Args:
        path: PNG to write.
        systems: per panel title, the probability of each answer `(utterances,)` and whether it is right.
    """
    figure = Figure(figsize=(4.2 * len(systems), 4.6), layout="constrained")
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    panels = figure.subplots(1, len(systems), squeeze=False, sharey=True)[0]
    for panel, (title, (confidence, right)) in zip(panels, systems.items(), strict=True):
        confidence, right = np.asarray(confidence), np.asarray(right, dtype=float)
        bins = np.digitize(confidence, edges[1:-1], right=True)
        counts = np.bincount(bins, minlength=CALIBRATION_BINS)
        accuracy, mean = (
            np.bincount(bins, weights=values, minlength=CALIBRATION_BINS) / np.maximum(counts, 1)
            for values in (right, confidence)
        )
        filled = counts > 0
        ece = float(np.abs(accuracy - mean) @ counts / max(counts.sum(), 1))
        panel.bar(edges[:-1], accuracy, width=edges[1], align="edge", color="#6baed6", edgecolor="white")
        panel.stairs(counts / max(counts.sum(), 1), edges, color="#525252")
        panel.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--")
        panel.plot(mean[filled], accuracy[filled], marker=".", linestyle="none", color="#08519c")
        panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the answer")
        panel.set_title(f"{title}: ECE {100 * ece:.1f} %", fontsize=10)
    panels[0].set_ylabel("share that is right (bars), share of all (line)")
    _save(figure, path)


def _save(figure: Figure, path: str | Path) -> None:
    path = Path(path)
    with staged(path.parent) as staging:
        figure.savefig(staging / path.name, format="png", dpi=120)
