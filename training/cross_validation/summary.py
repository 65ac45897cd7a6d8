"""What the runs of a protocol come to together."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...corpora import describe_corpus
from ...corpora.atomic_write import staged
from ...evaluation.pictures import draw_learning_curves
from ...evaluation.predictions import Predictions, pool, read_predictions
from ...hub.card import write_card
from ..report import draw_test, measure, write_json

if TYPE_CHECKING:
    from .runs import Run

SPREAD = ("wa", "ua", "wf1", "macro_f1", "ece", "ece_scaled", "nll", "nll_scaled")
SHARED = ("format", "system", "model_class", "paper", "labels", "modalities", "parameters", "base_models")
TOLD = ("metrics", "intervals", "breakdown", "temperature", "data", "seconds")  # of every run


def write_summary(runs: Sequence["Run"]) -> dict:
    """Put the results of finished runs together, and write them, the pictures and the page into the folder around them.

    Args:
        runs: all of one protocol, finished.

    Returns:
        The results, as in `results.json` there.
    """
    results, predictions = summarise_runs(runs)
    folder = runs[0].folder.parent
    logs = {run.name: json.loads((run.folder / "training_log.json").read_text("utf-8")) for run in runs}
    with staged(folder) as staging:
        draw_test(staging, f"{results['system']}, {len(runs)} runs", results, predictions["test"])
        draw_learning_curves(staging / "learning_curve.png", logs)
    write_card(folder, results)
    write_json(folder / "results.json", results)
    return results


def summarise_runs(runs: Sequence["Run"]) -> tuple[dict, dict[str, Predictions]]:
    """What finished runs come to together.

    Pooled scores are those of all answers one after the other: an utterance counts once for every run that tests it.

    Args:
        runs: all of one protocol.

    Returns:
        The results in the form of `results.json`, and the pooled predictions per split.
    """
    told = {run.name: json.loads((run.folder / "results.json").read_text("utf-8")) for run in runs}
    first = told[runs[0].name]
    splits = [read_predictions(run.folder, first["labels"]) for run in runs]
    predictions = {split: pool(part[split] for part in splits) for split in ("validation", "test")}
    folds, seeds = sorted({run.fold for run in runs}), sorted({run.seed for run in runs})
    data_args = runs[0].recipe.data
    about = describe_corpus(data_args.corpus, **data_args.corpus_options)
    results = {
        **{name: first[name] for name in SHARED},
        "corpus": {
            **about,
            "protocol": _describe_protocol(about, folds, seeds),
            "speaker_independent": all(results["corpus"]["speaker_independent"] for results in told.values()),
            "selection": first["corpus"]["selection"].replace("the test split was", "every test part was"),
        },
        "data": {"test": _count(predictions["test"], first["labels"])},
        **measure(predictions, first["labels"]),
        "cross_validation": {
            "folds": folds,
            "seeds": seeds,
            "over_runs": spread([results["metrics"]["test"] for results in told.values()]),
            "over_seeds": _over_seeds(runs, splits, first["labels"]),
            "runs": [
                {"name": run.name, "fold": run.fold, "seed": run.seed, **{key: told[run.name][key] for key in TOLD}}
                for run in runs
            ],
        },
        "environment": _common([results["environment"] for results in told.values()]),
        "training": _common([results["training"] for results in told.values()]),
        "recipe": _common([results["recipe"] for results in told.values()]),
        "seconds": round(sum(results["seconds"] for results in told.values()), 2),
        "pictures": ["confusion_matrix.png", "reliability.png", "learning_curve.png"],
    }
    return results, predictions


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation (of the sample, so None for a single one) of each score over several runs."""
    values = {name: [float(run[name]) for run in scores] for name in SPREAD}
    return {
        name: {"mean": float(np.mean(given)), "std": float(np.std(given, ddof=1)) if len(given) > 1 else None}
        for name, given in values.items()
    }


def _common(mappings: Sequence[Mapping]) -> dict:
    """What all have alike, members of mappings too: not the seed, where there are several, nor the fold."""
    first, *others = mappings
    common = {}
    for name, value in first.items():
        if isinstance(value, Mapping) and all(isinstance(other.get(name), Mapping) for other in others):
            common[name] = _common([value, *(other[name] for other in others)])
        elif all(name in other and other[name] == value for other in others):
            common[name] = value
    return common


def _describe_protocol(about: Mapping, folds: Sequence[int], seeds: Sequence[int]) -> str:
    runs = f"{len(folds)} fold{'s' * (len(folds) > 1)} with {len(seeds)} seed{'s' * (len(seeds) > 1)} each"
    first = f" The first: {about['protocol']}" if "protocol" in about else ""
    return f"Scores are pooled over the test parts of {runs}.{first}"


def _over_seeds(runs: Sequence["Run"], splits: Sequence[Mapping[str, Predictions]], labels: list[str]) -> dict:
    """The spread over the seeds of what all folds come to with one seed; empty where that is the spread over runs."""
    seeds = {}
    for run, part in zip(runs, splits, strict=True):
        seeds.setdefault(run.seed, []).append(part["test"])
    if len(seeds) == 1 or len(seeds) == len(runs):
        return {}
    return spread([measure({"test": pool(parts)}, labels)["metrics"]["test"] for parts in seeds.values()])


def _count(test: Predictions, labels: list[str]) -> dict:
    """What is tested, each utterance counted once."""
    classes = dict(zip(test.ids, test.labels.tolist(), strict=True))
    counts = np.bincount(list(classes.values()), minlength=len(labels)).tolist()
    return {
        "utterances": len(classes),
        "speakers": len(set(test.speakers)),
        "classes": dict(zip(labels, counts, strict=True)),
    }


def format_results(results: Mapping) -> str:
    """What was measured, for the console: a line per run, what they come to, and the parts of it; in percent."""
    cross, scores = results["cross_validation"], ("wa", "ua", "wf1", "ece", "ece_scaled")
    names = [run["name"] for run in cross["runs"]]
    width = max(len("standard deviation"), *map(len, [*names, *results["breakdown"]]))

    def line(name: str, cells: Sequence[str]) -> str:
        return f"{name:<{width}}" + "".join(f"{cell:>12}" for cell in cells)

    def percents(values: Sequence[float | None]) -> list[str]:
        return ["" if value is None else f"{100 * value:.1f}" for value in values]

    lines = [line("test", ["WA", "UA", "WF1", "ECE", "scaled"])]
    for run in cross["runs"]:
        lines.append(line(run["name"], percents([run["metrics"]["test"][score] for score in scores])))
    rule = "-" * len(lines[0])
    lines.append(rule)
    if len(names) > 1:
        lines.append(line("mean", percents([cross["over_runs"][score]["mean"] for score in scores])))
        lines.append(line("standard deviation", percents([cross["over_runs"][score]["std"] for score in scores])))
    lines.append(line("pooled", percents([results["metrics"]["test"][score] for score in scores])))
    if intervals := results["intervals"]:
        spans = [f"{100 * low:.1f}-{100 * high:.1f}" for low, high in (intervals[score] for score in scores[:3])]
        lines.append(line("95 % by speaker", spans))
    for name, part in results["breakdown"].items():
        lines.append(line(name, [*percents([part[score] for score in scores[:3]]), f"n {part['utterances']}"]))
    recalls = zip(results["labels"], results["metrics"]["test"]["recall"], strict=True)
    told = ", ".join(f"{label} {100 * recall:.1f}" for label, recall in recalls if recall is not None)
    return "\n".join([*lines, rule, f"recall: {told}"])
