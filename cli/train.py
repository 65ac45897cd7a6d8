"""`emofusion train`: train a model from a recipe, alone or under `accelerate launch`."""

from .commands import read_recipe


def run(argv: list[str]) -> None:
    """Train, and print the test scores."""
    from ..training.console import format_end, show_run
    from ..training.recipe import TRAINING
    from ..training.run import train

    recipe = read_recipe(argv, TRAINING)
    results = train(recipe, show_run)
    if recipe.training.process_index == 0:
        print(format_end(results, recipe.training.output_dir))
