"""`emofusion search`: search for better hyperparameters.

The mapping `search` of the recipe is the search space. The same command resumes an interrupted search, and joins one
that is running.
"""

from .commands import read_recipe


def run(argv: list[str]) -> None:
    """Search, and print the best trials."""
    import optuna  # noqa: F401 (first, because its extra installs all that a search needs)

    from ..training.recipe import SEARCH
    from ..training.search.report import format_search
    from ..training.search.trials import search

    recipe = read_recipe(argv, SEARCH)
    found = search(recipe, print_line)
    print(f"\n{format_search(found, recipe.training.output_dir)}")


def print_line(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
