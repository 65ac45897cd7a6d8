"""Comparison of two systems by their folders."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..configuration.plain_text import show_name, show_value
from .comparison_records import Comparison
from .prediction_records import UNKNOWN, Predictions, reorder
from .predictions import read_predictions
from .results import FILE, RunResults
from .task import Task, task_of_results


def compare_systems(first: str | Path, second: str | Path) -> Comparison:
    """Compare two systems, each the folder of a run, of a late fusion or of a cross-validation.

    The task of the systems says which scores are compared; of a system with classes and dimensions and one with either, what
    both have is compared, on the utterances with a known class or value. Intervals of the differences are over resampled speakers, and
    the differences are tested over speakers (permutation test), that in WA over utterances too.

    Args:
        first: Folder of the first system.
        second: Folder of the second system.

    Returns:
        The differences, with their intervals and tests.

    Raises:
        FileNotFoundError: If a folder has no results or predictions.
        ValueError: If the two systems have different tasks, labels, scales or test utterances.
    """
    one, other = str(first), str(second)
    results, others = RunResults.read(first), RunResults.read(second)
    runs, other_runs = read_tests(first, results), read_tests(second, others)
    task = _find_shared_task(one, results, other, others)
    if results.task != others.task:
        runs, other_runs = ([select_known(run, task) for run in part] for part in (runs, other_runs))
    return task.compare((one, runs), (other, _in_order(other_runs, others, task)))


def read_tests(folder: str | Path, results: RunResults) -> list[Predictions]:
    """Return the test predictions of a run, or of each run of a cross-validation.

    Args:
        folder: The folder of the results.
        results: The results.

    Raises:
        FileNotFoundError: If a folder has no predictions.
        ValueError: If they are damaged.
    """
    task = task_of_results(results)
    return [read_predictions(run, task)["test"] for run in find_runs(folder, results)]


def _find_shared_task(one: str, results: RunResults, other: str, others: RunResults) -> Task:
    """Return the task that two systems have in common: their own, or that of one of them if the other has two."""
    tasks = task_of_results(results), task_of_results(others)
    shared = [part for part in tasks[0].parts if part.name in {found.name for found in tasks[1].parts}]
    if not shared:
        raise ValueError(
            f"{one} has the task {results.task}, and {other} {others.task}: compare systems of the same task."
        )
    for task in shared:
        (match,) = (part for part in tasks[1].parts if part.name == task.name)
        what = "labels" if task.classes else "dimensions"
        if set(task.labels) != set(match.labels):
            raise ValueError(
                f"{one} has the {what} {_list(task.labels)}, and {other} {_list(match.labels)}: compare systems of the same "
                f"{what}."
            )
        if task.dimension_scale != match.dimension_scale:
            raise ValueError(
                f"{one} has values from {_span(results)}, and {other} from {_span(others)}: compare systems of the same scale."
            )
    return tasks[0] if len(shared) == len(tasks[0].parts) else shared[0]


def select_known(predictions: Predictions, task: Task) -> Predictions:
    """Return what predictions have for a task of classes or of dimensions, on the utterances with a known class or value.

    Args:
        predictions: The predictions, which may be of both.
        task: The task.
    """
    if task.classes:
        other = {"dimension_labels": None, "dimensions": None, "dimension_systems": {}}
        known = predictions.labels != UNKNOWN
    else:
        other = {"labels": None, "logits": None, "systems": {}}
        known = np.isfinite(predictions.dimension_labels).any(axis=1)
    return replace(predictions, **other).select(known)


def _in_order(runs: list[Predictions], given: RunResults, wanted: Task) -> list[Predictions]:
    """Return predictions with the classes and dimensions in the order of a task."""
    classes = [given.labels.index(label) for label in wanted.classes]
    dimensions = [given.dimensions.index(name) for name in wanted.dimension_names]
    return [reorder(run, classes, dimensions) for run in runs]


def _list(names: list[str]) -> str:
    return ", ".join(map(show_name, names)) or "none"


def _span(results: RunResults) -> str:
    return " to ".join(f"{edge:g}" for edge in results.dimension_scale or [])


def find_runs(folder: str | Path, results: RunResults) -> list[Path]:
    """Return the folders of the runs of a cross-validation; of another run its own.

    Args:
        folder: The folder of the results.
        results: The results.

    Raises:
        ValueError: If the results name no run, or one outside the folder, or they are a table of several systems.
    """
    if results.cross_corpus is not None:
        raise ValueError(f"{folder} holds a table of models for several corpora: name the folder of one of them.")
    if results.cross_validation is None:
        return [Path(folder)]
    names = [run.name for run in results.cross_validation.runs]
    if outside := [name for name in names if not name or Path(name).name != name]:
        raise ValueError(
            f"{Path(folder, FILE)}: {show_value(outside[0])} is no folder beside the results of its runs."
        )
    if not names:
        raise ValueError(f"{Path(folder, FILE)} names no run of the cross-validation: repeat it.")
    return [Path(folder, name) for name in names]
