"""Train one model: `python scripts/train.py recipe.yaml [--option value ...]`, also under `accelerate launch`."""

import sys

from emofusion.training.console import format_end, show_run
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train


def main() -> None:
    """Read the recipe, train, print what was measured."""
    try:
        recipe = parse_recipe()
        results = train(recipe, show_run)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")
    training_args = recipe.training
    if training_args.process_index == 0:
        print(format_end(results, training_args.output_dir))


if __name__ == "__main__":
    main()
