"""`emofusion search`: search for better hyperparameters.

The mapping `search` of the recipe is the search space. The same command resumes an interrupted search, and joins one
that is running.
"""

from pathlib import Path

from .commands import UsageError, read_recipe
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Search, and print the best trials."""
    import optuna  # noqa: F401 (first, because its extra installs all that a search needs)

    from ..training.recipe import SEARCH
    from ..training.search.report import format_search
    from ..training.search.trials import check_space, search

    recipe = read_recipe(argv, SEARCH)
    try:
        check_space(recipe)
    except ValueError as error:
        raise UsageError(str(error)) from error
    folder = recipe.training.output_dir
    what = f"for better settings of {recipe.model.system} on {recipe.data.corpus_name}"
    since = announce(f"Searching {what}", folder)
    found = search(recipe, print_line)
    print(f"\n{format_search(found)}")
    best = Path(folder, "best.yaml")
    holds = f"{folder} holds search.json, search.png and best.yaml, the recipe of the best trial."
    conclude(
        f"Searched {what}",
        since,
        holds,
        [f"emofusion train {best}", f"emofusion cross-validate {best} --output_dir {Path(folder, 'best_folds')}"],
    )


def print_line(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
