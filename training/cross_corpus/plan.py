"""The plan of a cross-corpus table: one run per training set and seed (ours)."""

from collections.abc import Sequence
from pathlib import Path

from ...configuration.plain_text import join_words
from ..command_arguments import CrossCorpusArguments
from ..planned_run import FINISHED, NEW, Run
from ..recipe import Recipe
from ..run_task import check_corpora

ALL, WITHOUT = "all", "all but "  # names of the training sets of all corpora, and of all but one


def plan_sets(recipe: Recipe) -> dict[str, list[str]]:
    """Return the corpora of each training set by its name.

    Args:
        recipe: The recipe, with the kinds of sets in `cross_corpus`.

    Raises:
        ValueError: If there are too few corpora.
    """
    corpora, kinds = recipe.data.corpora, recipe.cross_corpus.training_sets
    if len(corpora) + len(recipe.data.test_corpora) < 2:
        raise ValueError(f"The recipe has one corpus, {corpora[0]}; name two or more as corpus: [A, B].")
    if "others" in kinds and len(corpora) < 3:
        raise ValueError("training_sets has 'others', which needs three or more corpora; leave it out.")
    sets = {}
    for kind in CrossCorpusArguments.KINDS:  # in this order
        if kind == "each" and kind in kinds:
            sets |= {name: [name] for name in corpora}
        elif kind == "others" and kind in kinds:
            sets |= {f"{WITHOUT}{left}": [name for name in corpora if name != left] for left in corpora}
        elif kind == "all" and kind in kinds and len(corpora) > 1:
            sets[ALL] = corpora
    return sets


def plan_runs(recipe: Recipe) -> list[Run]:
    """Return all runs of a cross-corpus table, ordered by training set.

    Args:
        recipe: The recipe, with training sets and seeds in `cross_corpus`; the folders of the runs are in its `output_dir`.

    Raises:
        ValueError: If there are too few corpora, or an argument makes no sense for several runs, or as in `check_corpora`.
    """
    data, training = recipe.data, recipe.training
    if training.push_to_hub:
        raise ValueError("push_to_hub is given, but every run is a model of its own; push the folder of your choice.")
    if str(training.resume_from_checkpoint).lower() not in ("none", "true", "false"):
        raise ValueError("resume_from_checkpoint names a folder, but every run resumes from its own checkpoints.")
    # One scale, that scores in it can be compared; without it, each run would take that of its own first corpus.
    scale = None if data.task == "classification" else data.selection.scale
    runs = []
    for set_name, corpora in plan_sets(recipe).items():
        others = [name for name in (*data.corpora, *data.test_corpora) if name not in corpora]
        for seed in recipe.cross_corpus.seeds or [training.seed]:
            name = f"{set_name.replace(' ', '-').replace(':', '-')}-seed-{seed}"
            run = recipe.replace(
                corpus=corpora,
                test_corpora=others,
                dimension_scale=scale,
                output_dir=str(Path(training.output_dir, name)),
                seed=seed,
                run_name=f"{training.run_name or Path(training.output_dir).name}-{name}",
                resume_from_checkpoint=None,
            )
            check_corpora(run.data)
            runs.append(Run(name, 1, run))
    return runs


def format_plan(runs: Sequence[Run], states: Sequence[str]) -> str:
    """Return the plan for the console: one line per run, with the corpora that it learns from."""
    recipe, width = runs[0].recipe, max(len(run.name) for run in runs)
    names = [*recipe.data.corpora, *recipe.data.test_corpora]
    actions = {FINISHED: FINISHED, NEW: "to be trained"}
    lines = [
        f"{recipe.system} between {join_words(sorted(names))}",
        f"{len(runs)} runs, {states.count(FINISHED)} finished, in {runs[0].folder.parent}",
        "",
    ]
    lines += [
        f"  {run.name:<{width}}  {actions.get(state, f'resumes from {state}')}"
        for run, state in zip(runs, states, strict=True)
    ]
    return "\n".join(lines)
