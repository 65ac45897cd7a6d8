"""Summary of late fusions: comparison with the members, fusions of several runs pooled, tables for the console (ours)."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from ...evaluation.predictions import Predictions, pool
from ...evaluation.results import LateFusionResults, MemberComparison, RunResults
from ...evaluation.task import Task, task_of_results


def add_comparisons(fusion: LateFusionResults, task: Task, tests: list[Predictions]) -> None:
    """Add the best member, and the comparison with each.

    Args:
        fusion: The fusion with its members, combination and scores.
        task: The task.
        tests: Predictions on the test split of each run.
    """
    fusion.best_member = task.find_best({name: fusion.systems[name]["validation"] for name in fusion.members})
    fusion.comparisons = task.compare_with_members(tests, fusion.members, fusion.combination)


def pool_fusions(
    by_run: Sequence[RunResults], splits: Sequence[Mapping[str, Predictions]]
) -> LateFusionResults | None:
    """Return the late fusion of all runs of a cross-validation, None if they are none.

    Scores are over the predictions of all runs, and weights are means over the runs.

    Args:
        by_run: The results of each run.
        splits: Predictions of each run, by split.
    """
    fusions, task = [results.late_fusion for results in by_run], task_of_results(by_run[0])
    if None in fusions:
        return None
    first = fusions[0]
    pooled = LateFusionResults(
        combination=first.combination,
        members={name: _find_common([fusion.members[name] for fusion in fusions]) for name in first.members},
        unproven=sorted({name for fusion in fusions for name in fusion.unproven}),
        weights={
            kind: {name: float(np.mean([fusion.weights[kind][name] for fusion in fusions])) for name in weights}
            for kind, weights in first.weights.items()
        },
        systems={name: _pool_scores(name, fusions, splits, task) for name in first.systems},
    )
    add_comparisons(pooled, task, [rows["test"] for rows in splits])
    return pooled


def _find_common(sources: Sequence[str]) -> str:
    """Return the source that a member has in every run, or the folder that holds its runs."""
    return sources[0] if len(set(sources)) == 1 else os.path.commonpath(sources)


def _pool_scores(
    name: str, fusions: Sequence[LateFusionResults], splits: Sequence[Mapping[str, Predictions]], task: Task
) -> dict[str, dict[str, float]]:
    """Return the scores of a system over all runs; those that its predictions do not determine are means over utterances."""
    scores = {}
    for split, known in fusions[0].systems[name].items():
        scores[split] = task.score_system(pool(run[split] for run in splits), name)
        sizes = [len(run[split].ids) for run in splits]
        for score in known.keys() - scores[split].keys():
            values = [fusion.systems[name][split][score] for fusion in fusions]
            scores[split][score] = float(np.average(values, weights=sizes))
    return scores


def format_fusion(results: RunResults) -> str:
    """Return members, combinations, weights and comparisons for the console; scores as the task formats them."""
    fusion, task = results.late_fusion, task_of_results(results)
    width = max(map(len, fusion.systems))
    headings = {score: task.summary.get(score, task.headings[score]) for score in task.system_scores}
    columns = {score: max(8, len(heading) + 2) for score, heading in headings.items()}
    total = sum(columns.values())
    lines = [
        f"{'':<{width}}{'validation':>{total}}{'test':>{total}}",
        f"{'system':<{width}}" + 2 * "".join(f"{headings[score]:>{size}}" for score, size in columns.items()),
    ]
    for name, splits in fusion.systems.items():
        cells = [
            f"{task.format_cell(score, scores[score]) if score in scores else '':>{size}}"
            for scores in (splits.get(split, {}) for split in ("validation", "test"))
            for score, size in columns.items()
        ]
        lines.append(f"{name:<{width}}{''.join(cells)}")
    lines += ["", f"Weights of the members, fitted on the validation split{_of_runs(results)}:"]
    names = max(map(len, fusion.weights))
    for kind, weights in fusion.weights.items():
        lines.append(f"  {kind:<{names}}  {format_weights(weights)}")
    lines += ["", f"{fusion.combination}, which is saved, compared with each member on the test split:"]
    for name, found in fusion.comparisons.items():
        lines.append(f"  {name:<{width}}  {_format_comparison(found)}")
    best = fusion.comparisons[fusion.best_member]
    lines.append(f"The best member on the validation split is {fusion.best_member}. {best.verdict}")
    return "\n".join(lines)


def _format_comparison(found: MemberComparison) -> str:
    """Return the differences between a fusion and a member, and their p-values, in a line."""
    parts = []
    if found.wa is not None:
        p = f"p {found.p_utterances:.3g} over utterances"
        if found.p_wa is not None:
            p += f"; over speakers {found.p_wa:.3g} (WA), {found.p_ua:.3g} (UA)"
        parts.append(f"WA {100 * found.wa:+z.1f}, UA {100 * found.ua:+z.1f}, {p}")
    for name, difference in found.ccc.items():
        p = "" if difference.p_speakers is None else f" (p {difference.p_speakers:.3g} over speakers)"
        parts.append(f"CCC, {name} {difference.value:+z.3f}{p}")
    return ", ".join(parts)


def format_weights(weights: Mapping[str, float]) -> str:
    """Return the weights of the members in a line."""
    return ", ".join(f"{name} {weight:.3f}" for name, weight in weights.items())


def _of_runs(results: RunResults) -> str:
    return ", mean over runs" if results.cross_validation else ""
