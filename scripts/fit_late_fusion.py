"""Fuse trained classifiers: `python scripts/fit_late_fusion.py recipe.yaml`, or `--members A B --corpus spoken ...`."""

import sys

from emofusion.training.console import predict_command, push_command
from emofusion.training.late_fusion.fit import fit_late_fusion, format_comparison
from emofusion.training.recipe import LATE_FUSION, parse_recipe


def main() -> None:
    """Read the recipe, fit on the validation part, print what was measured."""
    try:
        recipe = parse_recipe(groups=LATE_FUSION)
        results = fit_late_fusion(recipe)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"fit_late_fusion.py: {error}")
    fusion_args, training_args = recipe.late_fusion, recipe.training
    if training_args.process_index == 0:
        weights = results["late_fusion"]["weights"].items()
        print(f"\n{format_comparison(results)}")
        print(
            f"\nMeasured on {results['corpus']['title']}; fitted on its validation part alone. Weights of 'weighted':"
        )
        print(f"  {', '.join(f'{name} {weight:.3f}' for name, weight in weights)}")
        print(
            f"\nThe fusion ({fusion_args.combination}), its page (README.md) and results.json are in "
            f"{training_args.output_dir}; try it, and publish it, with"
        )
        print(f"  {predict_command(results, training_args.output_dir)}")
        print(f"  {push_command(training_args.output_dir)}")


if __name__ == "__main__":
    main()
