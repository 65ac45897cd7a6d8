"""Cost against clip length, batch size and number of utterances, with the slope between neighbouring points.

Cost is processor time. A slope of 1 is cost in proportion, 0 is constant cost, 2 grows with the square. Forward passes are those of cross-modal
attention in float32, and of the same encoders in stock transformers, called in turn.
"""

import functools
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .corpora import open_and_read, prepare_anew, run_here, timed
from .iemocap_tree import build_tree
from .measuring import conditions, table, time_in_turn
from .setting import as_setting, run, setting_of
from .subprocess_run import run_in_subprocess
from .systems import build, make_batch

SYSTEM = "cross_attention"
SECONDS = (1, 2, 4, 8, 15, 30)
BATCHES = (1, 2, 4, 8, 16)
SECONDS_IN_BATCH = 4
UTTERANCES = (100, 1_000, 10_000, 100_000)
TURNS_PER_DIALOGUE = 66  # as in IEMOCAP
REPEATS = 3  # at most
BATCH = 32
# Axis -> the unit of its points.
AXES = {"clip length": "s", "batch size": f"clips of {SECONDS_IN_BATCH} s", "corpus": "utterances"}
SMALL = {"clip length": (0.25, 0.5, 1), "batch size": (1, 2)}


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    setting = setting_of(quick)
    points = SMALL if quick else {"clip length": SECONDS, "batch size": BATCHES}
    costs = {axis: run(measure_forward, setting, axis=axis, points=points[axis]) for axis in points}
    costs["corpus"] = measure_corpora((60, 120), run_here) if quick else measure_corpora(UTTERANCES)
    tables = [table(f"Cost against {axis} ({AXES[axis]})", slopes(lines)) for axis, lines in costs.items()]
    tables[-1]["note"] = (
        "Processor time. Slope: exponent of the growth since the point above. Corpus: synthetic IEMOCAP, each step in a process of its own; "
        f"sampler: lengths of all utterances and the batches of an epoch. {conditions()}"
    )
    return tables


def measure_forward(axis: str, points: Sequence[float], fields: dict) -> dict[str, dict]:
    """Return the processor time of stock and of ours in milliseconds by point.

    Args:
        axis: `"clip length"` or `"batch size"`.
        points: Seconds of one clip, or numbers of clips.
        fields: The setting.
    """
    import torch

    from .stock import StockEncoders

    setting, lines = as_setting(fields), {"stock": {}, "ours": {}}
    torch.manual_seed(0)
    model = build(SYSTEM, setting.small)
    models = {"stock": StockEncoders(model).eval(), "ours": model}
    with torch.no_grad():
        for point in points:
            lengths = (point,) if axis == "clip length" else (min(SECONDS_IN_BATCH, setting.one),) * point
            batch = make_batch(model.config, lengths)
            calls = {name: functools.partial(form, **batch) for name, form in models.items()}
            for name, timing in time_in_turn(calls, min(setting.repeats, REPEATS)).items():
                lines[name][point] = timing.least_processor
    return lines


def measure_corpora(counts: Sequence[int], run: Callable = run_in_subprocess) -> dict[str, dict]:
    """Return the processor time in milliseconds of preparing and opening a corpus, and of its sampler, by utterances.

    Args:
        counts: Numbers of utterances.
        run: See `measure_corpus`.
    """
    lines = {"prepare": {}, "open": {}, "sampler": {}}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            build_tree(Path(folder, "corpus"), count, max(10, count // TURNS_PER_DIALOGUE))
            place = {"root": f"{folder}/corpus", "out": f"{folder}/prepared"}
            steps = {
                "prepare": (prepare_anew, place),
                "open": (open_and_read, {"folder": place["out"]}),
                "sampler": (sample_epoch, {"folder": place["out"]}),
            }
            for name, (step, arguments) in steps.items():
                lines[name][count] = 1e3 * run(step, **arguments)[0]["cpu"]
    return lines


def sample_epoch(folder: str) -> dict:
    """Measure the lengths of all utterances of a prepared corpus and the batches of similar length of an epoch."""
    from ..corpora.preparation.prepared_folder import open_prepared
    from ..training.sampler import LengthGroupedBatchSampler, seconds_of

    rows = open_prepared(folder).splits["train"]
    return timed(lambda: sum(map(len, LengthGroupedBatchSampler(seconds_of(rows), BATCH))))


def slopes(lines: Mapping[str, Mapping[float, float]]) -> list[dict]:
    """Return a row for each point: the cost of each line in milliseconds, and its slope since the point above."""
    points = [float(point) for point in next(iter(lines.values()))]  # keys that were JSON are text
    columns = {name: list(costs.values()) for name, costs in lines.items()}
    rows = []
    for number, point in enumerate(points):
        row = {"what": name_point(point)}
        for name, costs in columns.items():
            row[f"{name} ms"] = costs[number]
            if number:
                growth = math.log(costs[number] / costs[number - 1])
                row[f"slope {name}"] = growth / math.log(point / points[number - 1])
        rows.append(row)
    return rows


def name_point(value: float) -> str:
    """Return a number as it stands in tables and pictures."""
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def draw(tables: Sequence[Mapping], path: Path) -> None:
    """Draw the tables of the section as one picture with logarithmic axes.

    Args:
        tables: The result of `measure`.
        path: PNG to write.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from ..evaluation.pictures import picture

    with picture(path, figsize=(4.2 * len(tables), 3.6)) as figure:
        for panel, content, (axis, unit) in zip(figure.subplots(1, len(tables)), tables, AXES.items(), strict=True):
            points = [float(row["what"].replace(",", "")) for row in content["rows"]]
            names = [column.removesuffix(" ms") for column in content["rows"][0] if column.endswith(" ms")]
            for name in names:
                panel.loglog(points, [row[f"{name} ms"] for row in content["rows"]], marker="o", label=name)
            start = min(content["rows"][0][f"{name} ms"] for name in names)
            panel.loglog(points, [start * point / points[0] for point in points], "k:", label="in proportion")
            panel.set_xticks(points, [name_point(point) for point in points])
            panel.xaxis.set_minor_locator(NullLocator())
            # Text in pictures is never a formula, as the usual powers of ten are.
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if axis != "corpus" else (1,)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, place: name_point(value)))
            panel.yaxis.set_minor_locator(NullLocator())
            panel.set_xlabel(f"{axis}, {unit}")
            panel.set_ylabel("processor time, ms")
            panel.legend()
