"""The plan of a cross-validation: one run per fold and seed, and how far each has come."""

from collections.abc import Sequence
from pathlib import Path

from accelerate.utils import broadcast_object_list

from ..late_fusion.members import find_fusion_state, list_runs, place_of, plan_members
from ..planned_run import FINISHED, NEW, Run, find_state
from ..recipe import Recipe


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
    if recipe.late_fusion is not None and recipe.late_fusion.member_seeds and len(recipe.cross_validation.seeds) > 1:
        raise ValueError("member_seeds and several seeds are given, but the members of every seed would be the same.")
    folds = data.selection.folds()
    numbers = recipe.cross_validation.folds or range(1, len(folds) + 1)
    if wrong := [number for number in numbers if not 1 <= number <= len(folds)]:
        raise ValueError(f"There is no fold {wrong[0]}; this protocol of {data.corpus_name} has {len(folds)}.")
    runs = []
    for number in numbers:
        for seed in recipe.cross_validation.seeds or [training.seed]:
            name = f"seed-{seed}" if folds == [{}] else f"fold-{number}-seed-{seed}"
            folder = Path(training.output_dir, name)
            run = recipe.replace(
                corpus_options=data.options_of(folds[number - 1]),
                output_dir=str(folder),
                seed=seed,
                run_name=f"{training.run_name or folder.parent.name}-{name}",
                resume_from_checkpoint=None,
            )
            runs.append(Run(name, number, run))
    return runs


def find_states(runs: Sequence[Run]) -> list[str]:
    """Return the states of all runs, as the main process sees them, on every process; see `planned_run.find_state`."""
    is_main = runs[0].recipe.training.process_index == 0
    find = find_state if runs[0].recipe.late_fusion is None else find_fusion_state
    return broadcast_object_list([find(run) for run in runs] if is_main else [None] * len(runs))


def format_plan(runs: Sequence[Run], states: Sequence[str]) -> str:
    """Return the plan for the console: one line per run and, for a late fusion, one per run of its members."""
    recipe = runs[0].recipe
    title = recipe.data.selection.describe()["title"]
    lines = [
        f"{recipe.system} on {title}",
        f"{len(runs)} runs, {states.count('finished')} finished, in {runs[0].folder.parent}",
        "",
    ]
    if recipe.late_fusion is None:
        width = max(len(run.name) for run in runs)
        return "\n".join([*lines, *_format_states(runs, states, "to be trained", width)])
    members = [list_runs(plan_members(run.recipe, place_of(run))) for run in runs]
    planned = list({str(run.folder): run for group in members for run in group}.values())
    width = max(len(run.name) for run in (*planned, *runs))
    lines += _format_states(planned, list(map(find_state, planned)), "to be trained", width)
    return "\n".join([*lines, *_format_states(runs, states, "to be fitted", width)])


def _format_states(runs: Sequence[Run], states: Sequence[str], new: str, width: int) -> list[str]:
    actions = {FINISHED: FINISHED, NEW: new}
    return [
        f"  {run.name:<{width}}  {actions.get(state, f'resumes from {state}')}"
        for run, state in zip(runs, states, strict=True)
    ]
