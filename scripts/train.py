"""Train one model: `python scripts/train.py recipe.yaml [--option value ...]`, also under `accelerate launch`."""

import sys

from emofusion.training.arguments import parse_recipe
from emofusion.training.report import format_table, predict_command, summarise
from emofusion.training.run import train


def main() -> None:
    """Read the recipe, train, print what was measured."""
    try:
        arguments = parse_recipe()
        results = train(*arguments)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")
    training_args = arguments[-1]
    if training_args.process_index == 0:
        print(f"\n{format_table({results['system']: summarise(results, training_args.output_dir)})}")
        print(f"\nMeasured on the test part of {results['corpus']['title']}. The model, its page (README.md),")
        print(f"results.json and pictures are in {training_args.output_dir}; try it with")
        print(f"  {predict_command(results, training_args.output_dir)}")


if __name__ == "__main__":
    main()
