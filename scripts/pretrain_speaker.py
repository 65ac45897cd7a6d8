"""Pre-train a speaker network: `python scripts/pretrain_speaker.py recipe.yaml [--option value ...]`."""

import sys

from emofusion.training.arguments import parse_recipe
from emofusion.training.speaker.pretrain import SPEAKER_ARGUMENTS, pretrain_speaker


def main() -> None:
    """Read the recipe, train, print what was measured."""
    try:
        arguments, training_args = parse_recipe(arguments=SPEAKER_ARGUMENTS)
        results = pretrain_speaker(arguments, training_args)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"pretrain_speaker.py: {error}")
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
