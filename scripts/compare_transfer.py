"""Padi's question in small: what do transfer from speaker recognition and augmentation bring where labels are few?

Pre-trains a speaker network on voices of espeak-ng, then trains for emotion on a few utterances of the spoken
demonstration corpus: from scratch, from the speaker network, with SpecAugment, with both; several seeds each.
"""

import argparse
import itertools
import json
import statistics
import sys
from contextlib import redirect_stdout
from pathlib import Path

from emofusion.corpora.demo.speakers import TRIALS, make_speakers
from emofusion.training.recipe import SPEAKER, parse_recipe
from emofusion.training.report import write_json
from emofusion.training.run import train
from emofusion.training.speaker.pretrain import pretrain_speaker
from transformers.utils import logging

RECIPES = Path(__file__).resolve().parent.parent / "recipes" / "spoken"
HEAD_EPOCHS, EPOCHS = 4, 12  # the systems without a transferred network train everything for as long as both together
AUGMENTATION = (
    *("--model_config.apply_spec_augment", "true"),
    *(
        "--model_config.mask_feature_length",
        "7",
        "--model_config.mask_time_length",
        "20",
    ),  # half as many bands as usual
)
SYSTEMS = ("scratch", "transfer", "augmentation", "transfer + augmentation")
EXCITED = ("angry", "happy")
# Utterances are too few to choose a checkpoint by: every run keeps its last weights.
SETTINGS = (
    *("--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false"),
    *("--disable_tqdm", "true", "--logging_strategy", "no", "--per_device_train_batch_size", "4"),
)


def main() -> None:
    """Pre-train once, train every system with every seed, print mean and standard deviation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--seeds", type=int, default=10, help="runs of each system (default 10)")
    parser.add_argument(
        "--samples", type=int, nargs="+", default=[8, 16], help="labelled utterances to train on (default 8, and 16)"
    )
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        compare(arguments.output_dir, arguments.seeds, arguments.samples)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"compare_transfer.py: {error}")


def compare(folder: Path, seeds: int, samples: list[int]) -> None:
    """Do all runs; `results.json` in `folder` has every figure."""
    network = folder / "speaker_network"
    if (network / "results.json").is_file():
        print(f"The speaker network was pre-trained before; remove {network} to train it again.", flush=True)
    else:
        pretrain(folder, network)
    verification = json.loads((network / "results.json").read_text())["metrics"]["test"]
    print(
        f"\nSpeaker network: EER {100 * verification['eer']:.1f} % on the trials of eight other voices\n", flush=True
    )
    figures = {system: {size: [] for size in samples} for system in SYSTEMS}
    for size, system, seed in itertools.product(samples, SYSTEMS, range(seeds)):
        with redirect_stdout(None):
            results = train(parse_recipe(options(system, seed, size, network, folder)))
        figure = arousal_ua(results["labels"], results["metrics"]["test"]["confusion_matrix"])
        figures[system][size].append(figure)
        print(
            f"{size} utterances, {system}, seed {seed}: {100 * figure:.1f}   ({results['seconds']:.0f} s)", flush=True
        )
    write_json(folder / "results.json", {"speaker_network": verification, "arousal_ua": figures})
    print(f"\nUA of arousal in percent (chance 50) on the test part: mean and standard deviation of {seeds} seeds\n")
    print(f"| system | {' | '.join(f'{size} labelled utterances' for size in samples)} |")
    print(f"|---|{'---:|' * len(samples)}")
    for system, sizes in figures.items():
        print(f"| {system} | {' | '.join(map(spread, sizes.values()))} |")


def spread(values: list[float]) -> str:
    """Mean and standard deviation in percent."""
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{deviation}"


def pretrain(folder: Path, network: Path) -> None:
    """Speak the voices and train the network that the transferred systems start from."""
    tree = make_speakers(folder)
    recipe = [str(RECIPES / "pretrain_speaker_resnet.yaml"), "--corpus_root", str(tree), "--output_dir", str(network)]
    for split, name in TRIALS.items():
        recipe += [f"--{split}_trials", str(tree / name)]
    print("Pre-training the speaker network", flush=True)
    pretrain_speaker(parse_recipe([*recipe, "--disable_tqdm", "true"], SPEAKER))


def options(system: str, seed: int, samples: int, network: Path, folder: Path) -> list[str]:
    """The command line of one run."""
    recipe = RECIPES / "speaker_resnet.yaml"
    command = [str(recipe), *SETTINGS, "--seed", str(seed), "--max_train_samples", str(samples)]
    command += ["--output_dir", str(folder / f"{system.replace(' ', '')}-{samples}-{seed}")]
    if "transfer" in system:
        command += ["--model_name_or_path", str(network), "--head_epochs", str(HEAD_EPOCHS)]
    command += ["--num_train_epochs", str(EPOCHS if "transfer" in system else HEAD_EPOCHS + EPOCHS)]
    return [*command, *(AUGMENTATION if "augmentation" in system else ())]


def arousal_ua(labels: list[str], confusion: list[list[int]]) -> float:
    """Mean recall of excited and subdued: all that the voice carries, so that the four emotions would only add noise.

    Args:
        labels: names of the emotions.
        confusion: counts, true emotions by predicted ones.
    """
    excited = [label in EXCITED for label in labels]
    recalls = []
    for side in (True, False):
        rows = [row for row, own in zip(confusion, excited, strict=True) if own == side]
        right = sum(count for row in rows for count, own in zip(row, excited, strict=True) if own == side)
        recalls.append(right / sum(map(sum, rows)))
    return statistics.mean(recalls)


if __name__ == "__main__":
    main()
