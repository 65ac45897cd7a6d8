"""`emofusion train`: train a model from a recipe, alone or under `accelerate launch`."""

from .commands import read_recipe
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Train, and print the test scores."""
    import datasets  # noqa: F401 (first, because its extra installs all that a training needs)

    from ..training.arguments import TEXT_CLASSIFIER
    from ..training.console import describe_folder, format_scores, predict_command, push_command, show_run
    from ..training.recipe import TRAINING
    from ..training.run import train

    recipe = read_recipe(argv, TRAINING)
    is_first, folder = recipe.training.process_index == 0, recipe.training.output_dir
    what = f"{recipe.model.system} on {recipe.data.corpus_name}"
    since = announce(f"Training {what}", folder, is_first)
    results = train(recipe, show_run)
    if is_first:
        print(f"\n{format_scores(results, folder)}")
        # A plain classifier is run by transformers, as its card says.
        predict = [] if recipe.model.variant == TEXT_CLASSIFIER else [predict_command(results, folder)]
        commands = [*predict, push_command(folder)]
        conclude(f"Trained {what}", since, describe_folder(results, folder), commands)
