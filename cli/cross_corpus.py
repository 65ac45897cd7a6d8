"""`emofusion cross-corpus`: train on each corpus of a recipe, test on all, alone or under `accelerate launch`.

Finished runs are kept, and interrupted ones are resumed.
"""

from .commands import read_recipe
from .output import announce, conclude, print_apart


def run(argv: list[str]) -> None:
    """Print the plan, train what is missing, and print the table of scores."""
    from ..training.console import show_run
    from ..training.cross_corpus.plan import format_plan, plan_runs
    from ..training.cross_corpus.runs import cross_corpus, format_results
    from ..training.cross_validation.plan import find_states
    from ..training.recipe import CROSS_CORPUS

    recipe = read_recipe(argv, CROSS_CORPUS)
    is_first, folder = recipe.training.process_index == 0, recipe.training.output_dir
    runs = plan_runs(recipe)
    what = f"{recipe.system} between corpora"
    since = announce(f"Training {what}", folder, is_first)
    states = find_states(runs)
    if is_first:
        print(format_plan(runs, states), flush=True)
    results = cross_corpus(recipe, runs, states, print_apart if is_first else None, show_run)
    if is_first:
        print(f"\n{format_results(results)}")
        files = f"its card (README.md), results.json and {results.pictures[0]}"
        conclude(f"Trained {what}", since, f"{folder} holds the folder of every run with its model, {files}.")
