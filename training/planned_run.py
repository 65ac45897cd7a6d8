"""Planned runs of a protocol: the recipe of each, how far it has come, and the training of those that are not finished."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate.utils import release_memory

from ..corpora.atomic_write import write_json
from ..evaluation.results import FILE as RESULTS
from ..evaluation.results import RunResults
from ..evaluation.task import task_of_results
from .checkpoints import list_checkpoints
from .metadata import describe_environment
from .recipe import Recipe
from .run import train
from .settings import flatten
from .trainer import EmotionTrainer

RECORD = "recipe.json"  # recipe and environment of a run, written before it begins
# Entries of the environment that all runs of a protocol must share.
ENVIRONMENT = ("emofusion", "device", "processes")
FINISHED, NEW = "finished", "new"  # states of a run; another state is the name of its last checkpoint

Log = Callable[[str], object]
Show = Callable[[EmotionTrainer], object]


@dataclass(frozen=True)
class Run:
    """One fold with one seed.

    Args:
        name: Name of its folder.
        fold: Number of the fold, from 1.
        recipe: The recipe that `train` takes or, of a late fusion, `fit_late_fusion`.
    """

    name: str
    fold: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.recipe.training.output_dir)

    @property
    def seed(self) -> int:
        """The seed."""
        return self.recipe.training.seed

    def describe(self) -> dict:
        """Return everything that must be equal for two runs to be equal, in JSON."""
        return {
            "recipe": self.recipe.describe(),
            "environment": describe_environment(self.recipe.training).to_dict(),
        }


def find_state(run: Run) -> str:
    """Return how far a run has come: "finished", the name of its last checkpoint, or "new".

    Raises:
        ValueError: If its folder holds a run with other settings, which are named, or a cross-validation.
    """
    if (run.folder / RESULTS).is_file():
        results = RunResults.read(run.folder)
        if results.cross_validation is not None or results.cross_corpus is not None:
            kind = "cross-validation" if results.cross_corpus is None else "table between corpora"
            raise ValueError(f"{run.folder} holds a {kind}, not a run: choose another output_dir.")
        _check_same(run, {"recipe": results.recipe, "environment": results.environment.to_dict()})
        return FINISHED
    checkpoints = list_checkpoints(run.folder)
    if (run.folder / RECORD).is_file():
        _check_same(run, json.loads((run.folder / RECORD).read_text("utf-8")))
    elif checkpoints:
        raise ValueError(
            f"{run.folder} holds checkpoints, but no {RECORD} with their settings: choose another output_dir, or remove "
            "that folder to train the run again."
        )
    return checkpoints[-1].name if checkpoints else NEW


def finish_runs(
    runs: Sequence[Run],
    states: Sequence[str],
    log: Log | None = None,
    show: Show | None = None,
    execute: Callable[[Run, Show | None], RunResults] | None = None,
) -> None:
    """Train the runs that are not finished, one after the other.

    Args:
        runs: The runs.
        states: Their states.
        log: Called with a line of text when a run ends.
        show: As in `train`.
        execute: What trains a run; by default `train_run`, which resumes it.
    """
    for number, (run, state) in enumerate(zip(runs, states, strict=True), start=1):
        if state == FINISHED:
            continue
        results = train_run(run, state, show) if execute is None else execute(run, show)
        if log is not None:
            task = task_of_results(results)
            values = task.values(results.metrics["test"])
            scores = [
                f"{task.summary[score]} {task.format_cell(score, values[score])}"
                for score in task.summary
                if score in values
            ]
            log(f"{run.name} ({number} of {len(runs)}): {', '.join(scores)} in {results.seconds:.0f} s")
        release_memory()


def train_run(run: Run, state: str, show: Show | None = None) -> RunResults:
    """Train a run from its state: from the beginning, or from its last checkpoint."""
    recipe = run.recipe
    if state != NEW:
        recipe = recipe.replace(resume_from_checkpoint="true")
    elif recipe.training.process_index == 0:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / RECORD, run.describe())
    return train(recipe, show)


def _check_same(run: Run, found: Mapping) -> None:
    if differences := _compare(found, run.describe()):
        raise ValueError(
            f"{run.folder} was made with other settings ({'; '.join(differences)}): choose another output_dir, or remove "
            "that folder to train the run again."
        )


def _compare(found: Mapping, planned: Mapping) -> list[str]:
    """Return the settings that differ between two descriptions of runs, each as `name: was, now is`."""
    was, now = (
        flatten(run.get("recipe", {})) | {name: run.get("environment", {}).get(name) for name in ENVIRONMENT}
        for run in (found, planned)
    )
    return [
        f"{name}: {was.get(name, 'default')}, now {now.get(name, 'default')}"
        for name in {**now, **was}
        if was.get(name) != now.get(name)
    ]
