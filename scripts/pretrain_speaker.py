"""Pre-train a speaker network: `python scripts/pretrain_speaker.py recipe.yaml [--option value ...]`."""

import sys

from emofusion.training.recipe import SPEAKER, parse_recipe
from emofusion.training.speaker.pretrain import pretrain_speaker


def main() -> None:
    """Read the recipe, train, print what was measured."""
    try:
        recipe = parse_recipe(groups=SPEAKER)
        results = pretrain_speaker(recipe)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"pretrain_speaker.py: {error}")
    training_args = recipe.training
    if training_args.process_index == 0:
        for split, metrics in results["metrics"].items():
            figures = [f"accuracy {100 * metrics['accuracy']:.1f} %"] if "accuracy" in metrics else []
            if "eer" in metrics:
                figures += [f"EER {100 * metrics['eer']:.1f} %", f"minDCF {metrics['min_dcf']:.3f}"]
            print(f"{split}: {', '.join(figures)}")
        print(f"\nAccuracy among {results['data']['speakers']} speakers; equal error rate and least detection cost")
        print(
            f"(prior {results['p_target']}) of the trials. The network and results.json are in {training_args.output_dir};"
        )
        print(f"start from it with --variant speaker_resnet --model_name_or_path {training_args.output_dir}")


if __name__ == "__main__":
    main()
