"""A cross-corpus table: train every planned run that is not finished, and summarise all (ours)."""

import math
from collections.abc import Sequence

from accelerate.utils import broadcast_object_list

from ...corpora.atomic_write import staged
from ...evaluation.cross_corpus import CROSS_CORPUS, draw_cross_corpus, explain_table
from ...evaluation.cross_corpus_records import CrossCorpusResults
from ...evaluation.metadata import CorpusMetadata, SplitCounts
from ...evaluation.results import RunResults
from ...evaluation.subsets import subset_of_corpus
from ...evaluation.task import Task, task_of_results
from ..cross_validation.summary import shared_fields
from ..lifecycle import finish_run
from ..output_folder import TABLE, claimed_folder
from ..planned_run import Log, Run, Show, finish_runs
from ..recipe import Recipe
from .plan import plan_sets


def cross_corpus(
    recipe: Recipe, runs: Sequence[Run], states: Sequence[str], log: Log | None = None, show: Show | None = None
) -> RunResults:
    """Train the runs that are not finished, one after the other, and write the table of their scores.

    Args:
        recipe: The recipe of all.
        runs: The runs, from `plan_runs`.
        states: Their states.
        log: Called with a line of text when a run ends.
        show: As in `train`.

    Returns:
        The results, which are in `results.json` in the folder that holds the folders of the runs.
    """
    with claimed_folder(recipe.training, runs[0].folder.parent, TABLE):
        finish_runs(runs, states, log, show)
        is_main = recipe.training.process_index == 0
        return broadcast_object_list([write_table(recipe, runs) if is_main else None])[0]


def write_table(recipe: Recipe, runs: Sequence[Run]) -> RunResults:
    """Write the results, the picture and the card of finished runs into the folder that holds their folders."""
    results, folder = summarise_runs(recipe, runs), runs[0].folder.parent
    task = task_of_results(results)
    scores = {
        name: heading for name, heading in shown_scores(results, task).items() if task.metrics.get(name, True)
    }  # those that are better when greater
    with staged(folder) as staging:
        draw_cross_corpus(staging / CROSS_CORPUS, results.cross_corpus, scores, task.format_cell)
    results.pictures = [CROSS_CORPUS]
    finish_run(folder, results)
    return results


def summarise_runs(recipe: Recipe, runs: Sequence[Run]) -> RunResults:
    """Return the results of finished runs.

    A score on a corpus that a run learned from is that of its test split; of several corpora, that of the corpus's part of
    the test split.

    Args:
        recipe: The recipe of all.
        runs: Its runs, from `plan_runs`.
    """
    by_run = [RunResults.read(run.folder) for run in runs]
    sets = plan_sets(recipe)
    task = task_of_results(by_run[0])
    tested = [*recipe.data.corpora, *recipe.data.test_corpora]
    names = list(sets)
    seeds = recipe.cross_corpus.seeds or [recipe.training.seed]
    table = {name: {corpus: {} for corpus in tested} for name in sets}
    unlearned = {}
    for number, results in enumerate(by_run):
        name = names[number // len(seeds)]
        unlearned[name] = [label for label, count in results.data["train"].classes.items() if not count]
        for corpus in tested:
            for score, value in find_scores(results, corpus, task).items():
                if math.isfinite(value):
                    table[name][corpus].setdefault(score, []).append(value)
    counts = {corpus: _count(by_run, corpus) for corpus in tested}
    return RunResults(
        **task.result_fields(),
        **shared_fields(by_run),
        corpus=_describe(recipe, by_run),
        cross_corpus=CrossCorpusResults(
            trained=sets,
            tested=tested,
            utterances={corpus: found.utterances for corpus, found in counts.items()},
            absent={
                corpus: lost
                for corpus, found in counts.items()
                if (lost := [label for label, count in found.classes.items() if not count])
            },
            unlearned={name: lost for name, lost in unlearned.items() if lost},
            seeds=list(seeds),
            runs=[run.name for run in runs],
            scores=table,
        ),
        recipe=recipe.describe(),
    )


def find_scores(results: RunResults, corpus: str, task: Task) -> dict[str, float]:
    """Return the scores of a run on the test split of a corpus by their names; empty if it was not tested there.

    Args:
        results: The results of the run.
        corpus: Name of the corpus.
        task: The task of the run.
    """
    if corpus in results.metrics:
        return task.values(results.metrics[corpus])
    if results.corpus.name == corpus:
        return task.values(results.metrics["test"])
    part = results.breakdown.get(subset_of_corpus(corpus))
    return {} if part is None else task.values(part)


def shown_scores(results: RunResults, task: Task) -> dict[str, str]:
    """Return the headings of the scores that the table and the picture show: those of the console that all cells have."""
    cells = [cell for row in results.cross_corpus.scores.values() for cell in row.values()]
    return {name: heading for name, heading in task.summary.items() if all(name in cell for cell in cells)}


def format_results(results: RunResults) -> str:
    """Return the table for the console: a line per training set, and for each score a column per tested corpus."""
    task, table = task_of_results(results), results.cross_corpus
    width = max(len("trained on"), *map(len, table.trained))
    lines = [""]
    for score, heading in shown_scores(results, task).items():
        cells = {
            name: [table.cell(name, corpus, score, task.format_cell) for corpus in table.tested]
            for name in table.trained
        }
        column = 2 + max(12, *map(len, table.tested), *(len(cell) for row in cells.values() for cell in row))
        lines += ["", heading, f"{'trained on':<{width}}" + "".join(f"{name:>{column}}" for name in table.tested)]
        lines += [f"{name:<{width}}" + "".join(f"{cell:>{column}}" for cell in row) for name, row in cells.items()]
    return "\n".join([*lines[1:], "", *explain_table(table)])


def _count(by_run: Sequence[RunResults], corpus: str) -> SplitCounts:
    """Return the size of the test split of a corpus, from a run that was tested there."""
    for results in by_run:
        if corpus in results.data:
            return results.data[corpus]
        if results.corpus.name == corpus:
            return results.data["test"]
    part = by_run[0].breakdown.get(subset_of_corpus(corpus))
    return SplitCounts(utterances=0 if part is None else part.utterances)


def _describe(recipe: Recipe, by_run: Sequence[RunResults]) -> CorpusMetadata:
    """Return the metadata of all corpora, with the label maps of all runs."""
    about = CorpusMetadata.from_dict(recipe.data.selection.describe())
    about.label_map = {name: classes for results in by_run for name, classes in results.corpus.label_map.items()}
    about.dropped = {name: counts for results in by_run for name, counts in results.corpus.dropped.items()}
    about.protocol = (
        f"Models are trained on some of the corpora and tested on the test split of each. {about.protocol or ''}"
    )
    about.selection = by_run[0].corpus.selection
    about.speaker_independent = all(results.corpus.speaker_independent for results in by_run)
    return about
