"""`emofusion cross-validate`: train every fold of a model or of a late fusion, alone or under `accelerate launch`.

Finished runs are kept, and interrupted ones are resumed.
"""

from .commands import read_recipe
from .output import announce, conclude, print_apart


def run(argv: list[str]) -> None:
    """Print the plan, train what is missing, and print the scores over all runs."""
    from ..training.console import show_run
    from ..training.cross_validation.plan import find_states, format_plan, plan_runs
    from ..training.cross_validation.runs import cross_validate
    from ..training.cross_validation.summary import format_results
    from ..training.late_fusion.summary import format_fusion
    from ..training.recipe import CROSS_VALIDATION

    recipe = read_recipe(argv, CROSS_VALIDATION)
    is_first, folder = recipe.training.process_index == 0, recipe.training.output_dir
    what = f"{recipe.system} on {recipe.data.corpus_name}"
    runs = plan_runs(recipe)
    since = announce(f"Cross-validating {what}", folder, is_first)
    states = find_states(runs)
    if is_first:
        print(format_plan(runs, states), flush=True)
    results = cross_validate(runs, states, print_apart if is_first else None, show_run)
    if is_first:
        print(f"\n{format_results(results)}")
        if results.late_fusion is not None:
            print(f"\n{format_fusion(results)}")
        print(f"\nMeasured on {results.corpus.title}. {results.corpus.selection}")
        files = f"its card (README.md), results.json, {', '.join(results.pictures)}"
        holds = f"{folder} holds the folder of every run with its model, {files}."
        conclude(f"Cross-validated {what}", since, holds, [f"emofusion compare {folder} OTHER"])
