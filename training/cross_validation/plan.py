"""The plan of a cross-validation: one run per fold and seed, and how far each has come."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate.utils import broadcast_object_list

from ...corpora import describe_corpus, list_folds
from ...evaluation.results import FILE as RESULTS
from ...evaluation.results import RunResults
from ..checkpoints import list_checkpoints
from ..metadata import describe_environment
from ..recipe import Recipe

RECORD = "recipe.json"  # recipe and environment of a run, written before it begins
# Entries of the environment that all runs of a protocol must share.
ENVIRONMENT = ("emofusion", "device", "processes")


@dataclass(frozen=True)
class Run:
    """One fold with one seed.

    Args:
        name: Name of its folder.
        fold: Number of the fold, from 1.
        recipe: The recipe that `train` takes.
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


def plan_runs(recipe: Recipe) -> list[Run]:
    """Return all runs of a protocol, ordered by fold.

    Args:
        recipe: The recipe, with the folds and seeds in `cross_validation`. A corpus option that selects a fold is
            replaced; the folders of the runs lie in its `output_dir`.

    Raises:
        ValueError: If a fold does not exist, or an argument makes no sense for several runs.
    """
    data, training = recipe.data, recipe.training
    if training.push_to_hub:
        raise ValueError("push_to_hub is given, but every fold is a model of its own; push the folder of your choice.")
    if str(training.resume_from_checkpoint).lower() not in ("none", "true", "false"):
        raise ValueError("resume_from_checkpoint names a folder, but every run resumes from its own checkpoints.")
    folds = list_folds(data.corpus, **data.corpus_options)
    numbers = recipe.cross_validation.folds or range(1, len(folds) + 1)
    if wrong := [number for number in numbers if not 1 <= number <= len(folds)]:
        raise ValueError(f"There is no fold {wrong[0]}; this protocol of {data.corpus} has {len(folds)}.")
    runs = []
    for number in numbers:
        for seed in recipe.cross_validation.seeds or [training.seed]:
            name = f"seed-{seed}" if folds == [{}] else f"fold-{number}-seed-{seed}"
            folder = Path(training.output_dir, name)
            run = recipe.replace(
                corpus_options=data.corpus_options | folds[number - 1],
                output_dir=str(folder),
                seed=seed,
                run_name=f"{training.run_name or folder.parent.name}-{name}",
                resume_from_checkpoint=None,
            )
            runs.append(Run(name, number, run))
    return runs


def find_states(runs: Sequence[Run]) -> list[str]:
    """Return `find_state` of all runs, as the main process sees it, on every process."""
    is_main = runs[0].recipe.training.process_index == 0
    return broadcast_object_list([find_state(run) for run in runs] if is_main else [None] * len(runs))


def find_state(run: Run) -> str:
    """Return how far a run has come: "finished", the name of its last checkpoint, or "new".

    Raises:
        ValueError: If its folder holds a run with other settings; they are named.
    """
    if (run.folder / RESULTS).is_file():
        results = RunResults.read(run.folder)
        _check_same(run, {"recipe": results.recipe, "environment": results.environment.to_dict()})
        return "finished"
    checkpoints = list_checkpoints(run.folder)
    if (run.folder / RECORD).is_file():
        _check_same(run, json.loads((run.folder / RECORD).read_text("utf-8")))
    elif checkpoints:
        raise ValueError(
            f"{run.folder} holds checkpoints, but no {RECORD} with their settings: choose another output_dir, or remove "
            "that folder to train the run again."
        )
    return checkpoints[-1].name if checkpoints else "new"


def _check_same(run: Run, found: Mapping) -> None:
    if differences := _compare(found, run.describe()):
        raise ValueError(
            f"{run.folder} was made with other settings ({'; '.join(differences)}): choose another output_dir, or remove "
            "that folder to train the run again."
        )


def _compare(found: Mapping, planned: Mapping) -> list[str]:
    """Return the settings that differ between two descriptions of runs, each as `name: was, now is`."""
    was, now = (
        _flatten(run.get("recipe", {})) | {name: run.get("environment", {}).get(name) for name in ENVIRONMENT}
        for run in (found, planned)
    )
    return [
        f"{name}: {was.get(name, 'default')}, now {now.get(name, 'default')}"
        for name in {**now, **was}
        if was.get(name) != now.get(name)
    ]


def _flatten(settings: Mapping, prefix: str = "") -> dict:
    """Return the members of mappings under their names on the command line: `model_config.hidden_size`."""
    flat = {}
    for name, value in settings.items():
        inner = isinstance(value, Mapping) and value
        flat |= _flatten(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def format_plan(runs: Sequence[Run], states: Sequence[str]) -> str:
    """Return the plan for the console, one line per run."""
    recipe = runs[0].recipe
    title = describe_corpus(recipe.data.corpus, **recipe.data.corpus_options).get("title", recipe.data.corpus)
    lines = [
        f"{recipe.model.system} on {title}",
        f"{len(runs)} runs, {states.count('finished')} finished, in {runs[0].folder.parent}",
        "",
    ]
    width = max(len(run.name) for run in runs)
    for run, state in zip(runs, states, strict=True):
        action = {"finished": "finished", "new": "to be trained"}.get(state, f"resumes from {state}")
        lines.append(f"  {run.name:<{width}}  {action}")
    return "\n".join(lines)
