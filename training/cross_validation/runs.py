"""A whole protocol: every fold with every seed, each a run of its own."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate.utils import broadcast_object_list, release_memory

from ...corpora import describe_corpus, list_folds
from ..interruption import list_checkpoints
from ..recipe import Recipe
from ..report import describe_environment, write_json
from ..run import train
from ..trainer import EmotionTrainer
from .summary import write_summary

RECORD = "recipe.json"  # what a run is, written before it begins
# What two runs have in common besides the recipe, or they are no runs of one protocol.
ENVIRONMENT = ("emofusion", "device", "processes")


@dataclass(frozen=True)
class Run:
    """One fold with one seed.

    Args:
        name: of its folder.
        fold: its number, from 1.
        recipe: What `train` takes.
    """

    name: str
    fold: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Where it is trained to."""
        return Path(self.recipe.training.output_dir)

    @property
    def seed(self) -> int:
        """What it is drawn from."""
        return self.recipe.training.seed

    def describe(self) -> dict:
        """What has to be the same for the run to be the same."""
        return {"recipe": self.recipe.describe(), "environment": describe_environment(self.recipe.training)}


def plan_runs(recipe: Recipe) -> list[Run]:
    """All runs of a protocol, fold by fold.

    Args:
        recipe: Its group `cross_validation` names folds and seeds; a corpus option that selects a fold is overridden.
            The folders of the runs lie in its `output_dir`.

    Raises:
        ValueError: if there is no such fold, or an argument makes no sense for many runs.
    """
    cross_args, data_args, training_args = recipe.cross_validation, recipe.data, recipe.training
    if training_args.push_to_hub:
        raise ValueError("push_to_hub is given, but every fold is a model of its own: push the folder of your choice.")
    if str(training_args.resume_from_checkpoint).lower() not in ("none", "true", "false"):
        raise ValueError("resume_from_checkpoint names a folder, but every run goes on from its own, by itself.")
    folds = list_folds(data_args.corpus, **data_args.corpus_options)
    numbers = cross_args.folds or range(1, len(folds) + 1)
    if wrong := [number for number in numbers if not 1 <= number <= len(folds)]:
        raise ValueError(f"There is no fold {wrong[0]}; this protocol of {data_args.corpus} has {len(folds)}.")
    runs = []
    for number in numbers:
        for seed in cross_args.seeds or [training_args.seed]:
            name = f"seed-{seed}" if folds == [{}] else f"fold-{number}-seed-{seed}"
            folder = Path(training_args.output_dir, name)
            run_recipe = recipe.replace(
                corpus_options=data_args.corpus_options | folds[number - 1],
                output_dir=str(folder),
                seed=seed,
                run_name=f"{training_args.run_name or folder.parent.name}-{name}",
                resume_from_checkpoint=None,
            )
            runs.append(Run(name, number, run_recipe))
    return runs


def find_state(run: Run) -> str:
    """How far a run has come: "finished", the name of its last checkpoint, or "new".

    Raises:
        ValueError: if its folder holds a run with other settings; they are named.
    """
    for file in ("results.json", RECORD):
        if (path := run.folder / file).is_file():
            differences = _compare(json.loads(path.read_text("utf-8")), run.describe())
            if differences:
                raise ValueError(
                    f"{run.folder} was made with other settings ({'; '.join(differences)}): choose another output_dir, "
                    "or remove that folder to train it anew."
                )
            if file == "results.json":
                return "finished"
            return checkpoints[-1].name if (checkpoints := list_checkpoints(run.folder)) else "new"
    if list_checkpoints(run.folder):
        raise ValueError(
            f"{run.folder} holds checkpoints, but not by which settings ({RECORD}): choose another output_dir, or "
            "remove that folder to train it anew."
        )
    return "new"


def cross_validate(
    runs: Sequence[Run],
    states: Sequence[str],
    tell: Callable[[str], object] | None = None,
    show: Callable[[EmotionTrainer], None] | None = None,
) -> dict:
    """Train what is not finished, one run after the other, and put the results together.

    A run is exactly what `train` makes of its arguments: nothing of one run is seen by the next. Under several
    processes they all train each run together.

    Args:
        runs: from `plan_runs`.
        states: of each, from `find_states`.
        tell: is given a line whenever a run ends.
        show: as `train` takes it.

    Returns:
        The results of the protocol, as in `results.json` in the folder around the runs.
    """
    for number, (run, state) in enumerate(zip(runs, states, strict=True), start=1):
        if state == "finished":
            continue
        results = _train(run, state, show)
        if tell is not None:
            test = results["metrics"]["test"]
            scores = ", ".join(f"{score.upper()} {100 * test[score]:.1f}" for score in ("wa", "ua", "wf1"))
            tell(f"{run.name} ({number} of {len(runs)}): {scores} in {results['seconds']:.0f} s")
        release_memory()
    is_first = runs[0].recipe.training.process_index == 0
    return broadcast_object_list([write_summary(runs) if is_first else None])[0]


def find_states(runs: Sequence[Run]) -> list[str]:
    """`find_state` of all runs, the same on every process: as the first one sees it."""
    is_first = runs[0].recipe.training.process_index == 0
    return broadcast_object_list([find_state(run) for run in runs] if is_first else [None] * len(runs))


def _train(run: Run, state: str, show: Callable[[EmotionTrainer], None] | None) -> dict:
    recipe = run.recipe
    if state != "new":
        recipe = recipe.replace(resume_from_checkpoint="true")
    elif recipe.training.process_index == 0:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / RECORD, run.describe())
    return train(recipe, show)


def _compare(made: Mapping, wanted: Mapping) -> list[str]:
    """The settings in which two descriptions of runs differ, each as `name: was, now is`."""
    was, now = (
        _flat(run.get("recipe", {})) | {name: run.get("environment", {}).get(name) for name in ENVIRONMENT}
        for run in (made, wanted)
    )
    return [
        f"{name}: {was.get(name, 'default')}, now {now.get(name, 'default')}"
        for name in {**now, **was}
        if was.get(name) != now.get(name)
    ]


def _flat(settings: Mapping, prefix: str = "") -> dict:
    """Members of mappings under the names that the command line has for them: `model_config.hidden_size`."""
    flat = {}
    for name, value in settings.items():
        inner = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def format_plan(runs: Sequence[Run], states: Sequence[str]) -> str:
    """What is going to be done, a line per run, for the console."""
    recipe = runs[0].recipe
    data_args = recipe.data
    title = describe_corpus(data_args.corpus, **data_args.corpus_options).get("title", data_args.corpus)
    finished = states.count("finished")
    lines = [
        f"{recipe.model.variant} on {title}",
        f"{len(runs)} runs, {finished} of them finished, into {runs[0].folder.parent}",
        "",
    ]
    width = max(len(run.name) for run in runs)
    for run, state in zip(runs, states, strict=True):
        doing = {"finished": "finished", "new": "to be trained"}.get(state, f"goes on from {state}")
        lines.append(f"  {run.name:<{width}}  {doing}")
    return "\n".join(lines)
