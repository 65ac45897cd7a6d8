"""Summary of the finished runs of a cross-validation: pooled scores, their spread, pictures and a card."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...evaluation.metadata import CorpusMetadata, Environment, SplitCounts
from ...evaluation.predictions import Predictions, pool, read_predictions
from ...evaluation.results import CrossValidationResults, FoldResults, RunResults, Spread
from ...evaluation.sample_size import explain_uncertainty
from ...evaluation.score_records import Scores
from ...evaluation.statistics import count_known
from ...evaluation.task import Task, task_of_results
from ..late_fusion.summary import pool_fusions
from ..lifecycle import LOG, finish_run
from ..planned_run import Run


def write_summary(runs: Sequence[Run]) -> RunResults:
    """Write the results, pictures and card of finished runs into the folder that holds their folders.

    Args:
        runs: All runs of a protocol, finished.

    Returns:
        The results, as in `results.json` there.
    """
    results, predictions = summarise_runs(runs)
    paths = {run.name: run.folder / LOG for run in runs}  # a late fusion has no log
    logs = {name: json.loads(path.read_text("utf-8")) for name, path in paths.items() if path.is_file()}
    finish_run(
        runs[0].folder.parent,
        results,
        title=f"{results.system}, {len(runs)} runs",
        predictions=predictions,
        logs=logs,
    )
    return results


def summarise_runs(runs: Sequence[Run]) -> tuple[RunResults, dict[str, Predictions]]:
    """Return the results of a protocol and the pooled predictions per split.

    Scores are computed over the predictions of all runs: an utterance counts once for every run that tests it.

    Args:
        runs: All runs of the protocol, finished.
    """
    by_run = [RunResults.read(run.folder) for run in runs]
    task = task_of_results(by_run[0])
    splits = [read_predictions(run.folder, task) for run in runs]
    predictions = {split: pool(rows[split] for rows in splits) for split in splits[0]}
    return RunResults(
        **task.result_fields(),
        **shared_fields(by_run),
        corpus=_describe_corpus(runs, by_run),
        data={split: _count(rows, task) for split, rows in predictions.items() if split != "validation"},
        late_fusion=pool_fusions(by_run, splits),
        **task.measure(predictions),
        cross_validation=CrossValidationResults(
            folds=sorted({run.fold for run in runs}),
            seeds=sorted({run.seed for run in runs}),
            over_runs=spread([results.metrics["test"] for results in by_run], task),
            over_seeds=_spread_over_seeds(runs, splits, task),
            runs=[_describe_run(run, results) for run, results in zip(runs, by_run, strict=True)],
        ),
        recipe=_common_entries([results.recipe for results in by_run]),
    ), predictions


def spread(scores: Sequence[Scores], task: Task) -> dict[str, Spread]:
    """Return mean and sample standard deviation of each score over runs; for a single run the deviation is None.

    A score that a run does not define, as a CCC of equal labels, is left out.
    """
    by_run = [task.values(run) for run in scores]
    names = [name for name in task.headings if all(name in values for values in by_run)]
    given = {name: [float(values[name]) for values in by_run] for name in names}
    return {
        name: Spread(mean=float(np.mean(values)), std=float(np.std(values, ddof=1)) if len(values) > 1 else None)
        for name, values in given.items()
    }


def _describe_run(run: Run, results: RunResults) -> FoldResults:
    return FoldResults(
        name=run.name,
        fold=run.fold,
        seed=run.seed,
        metrics=results.metrics,
        intervals=results.intervals,
        breakdown=results.breakdown,
        temperature=results.temperature,
        late_fusion=results.late_fusion,
        data=results.data,
        seconds=results.seconds,
    )


def _describe_corpus(runs: Sequence[Run], by_run: Sequence[RunResults]) -> CorpusMetadata:
    corpus = CorpusMetadata.from_dict(runs[0].recipe.data.selection.describe())
    folds, seeds = len({run.fold for run in runs}), len({run.seed for run in runs})
    number = f"{folds} fold{'s' * (folds > 1)} with {seeds} seed{'s' * (seeds > 1)} each"
    first = f" The first fold: {corpus.protocol}" if corpus.protocol else ""
    corpus.fold = None
    corpus.protocol = f"Scores are pooled over the test splits of {number}.{first}"
    corpus.speaker_independent = all(results.corpus.speaker_independent for results in by_run)
    corpus.selection = by_run[0].corpus.selection
    corpus.label_map, corpus.dropped = by_run[0].corpus.label_map, by_run[0].corpus.dropped
    for one, every in (
        ("validation split;", "validation split of each run;"),
        ("the test split was", "every test split was"),
    ):
        corpus.selection = corpus.selection.replace(one, every)
    return corpus


def shared_fields(by_run: Sequence[RunResults]) -> dict[str, Any]:
    """Return the fields of results that sum up several runs of one system: what they share, and their duration in all.

    Args:
        by_run: Results of each run.
    """
    first = by_run[0]
    names = (
        *("system", "model_class", "paper", "labels", "modalities", "earlier_turns", "history", "parameters"),
        *("base_models", "language", "license"),
    )
    return {name: getattr(first, name) for name in names} | {
        "environment": Environment.from_dict(_common_entries([results.environment.to_dict() for results in by_run])),
        "training": _common_entries([results.training for results in by_run]),
        "seconds": round(sum(results.seconds for results in by_run), 2),
    }


def _common_entries(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries that all mappings share, those of inner mappings too."""
    first, *others = mappings
    common = {}
    for name, value in first.items():
        if isinstance(value, Mapping) and all(isinstance(other.get(name), Mapping) for other in others):
            common[name] = _common_entries([value, *(other[name] for other in others)])
        elif all(name in other and other[name] == value for other in others):
            common[name] = value
    return common


def _spread_over_seeds(
    runs: Sequence[Run], splits: Sequence[Mapping[str, Predictions]], task: Task
) -> dict[str, Spread]:
    """Return the spread over seeds of the scores pooled over all folds; empty where that is the spread over runs."""
    seeds = {}
    for run, split in zip(runs, splits, strict=True):
        seeds.setdefault(run.seed, []).append(split["test"])
    if len(seeds) == 1 or len(seeds) == len(runs):
        return {}
    return spread([task.measure({"test": pool(tests)})["metrics"]["test"] for tests in seeds.values()], task)


def _count(test: Predictions, task: Task) -> SplitCounts:
    """Count the tested utterances, each once."""
    return SplitCounts(
        utterances=len(set(test.ids)), speakers=count_known(test.speakers), **task.count_predictions(test)
    )


def format_results(results: RunResults) -> str:
    """Return the results for the console: a line per run, their mean, and subsets of the test splits.

    Scores are as the task formats them, those of classes in percent.
    """
    cross, task = results.cross_validation, task_of_results(results)
    columns = {score: max(12, len(heading) + 2) for score, heading in _columns(task).items()}
    width = max(len("standard deviation"), *map(len, [*(run.name for run in cross.runs), *results.breakdown]))

    def line(name: str, cells: Mapping[str, str], end: str = "") -> str:
        row = "".join(f"{cells.get(score, ''):>{size}}" for score, size in columns.items())
        return f"{name:<{width}}{row}{end}".rstrip()

    def cells(values: Mapping[str, float | None]) -> dict[str, str]:
        return {score: task.format_cell(score, value) for score, value in values.items() if value is not None}

    lines = [line("test", _columns(task))]
    lines += [line(run.name, cells(task.values(run.metrics["test"]))) for run in cross.runs]
    rule = "-" * len(lines[0])
    lines.append(rule)
    if len(cross.runs) > 1:
        lines.append(line("mean", cells({score: over.mean for score, over in cross.over_runs.items()})))
        lines.append(line("standard deviation", cells({score: over.std for score, over in cross.over_runs.items()})))
    lines.append(line("pooled", cells(task.values(results.metrics["test"]))))
    if results.intervals:
        spans = {score: getattr(results.intervals, score, None) for score in columns}
        spans = {score: [task.format_cell(score, edge) for edge in edges] for score, edges in spans.items() if edges}
        lines.append(line("95 % by speaker", {score: "-".join(edges) for score, edges in spans.items()}))
    for name, subset in results.breakdown.items():
        lines.append(line(name, cells(task.values(subset)), f"  n {subset.utterances}"))
    return "\n".join([*lines, rule, task.describe_details(results), explain_uncertainty(results)]).rstrip()


def _columns(task: Task) -> dict[str, str]:
    """Return the scores of the table and their headings: those of the summary, and the calibration of classes."""
    return {**task.summary, **({"ece": "ECE", "ece_scaled": "scaled"} if task.classes else {})}
