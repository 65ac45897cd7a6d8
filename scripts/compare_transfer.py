"""Padi's question on a small scale: do transfer from speaker recognition and augmentation help where labels are few?

Pretrains a speaker network on voices of espeak-ng, then trains on a few utterances of the spoken demonstration corpus:
from scratch, from the speaker network, with SpecAugment, with both; with several seeds each.
"""

import argparse
import itertools
import statistics
import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

from emofusion.cli.door import guarded
from emofusion.corpora.atomic_write import write_json
from emofusion.corpora.demo.speakers import TRIALS, make_speakers
from emofusion.evaluation.results import SpeakerResults
from emofusion.training.recipe import SPEAKER, parse_recipe
from emofusion.training.run import train
from emofusion.training.speaker.pretrain import pretrain_speaker
from transformers.utils import logging

RECIPES = Path(__file__).resolve().parent.parent / "recipes" / "spoken"
# Systems without transfer train all layers for the sum of both, so that all systems see the same number of epochs.
HEAD_EPOCHS, EPOCHS = 4, 12
AUGMENTATION = (
    *("--model_config.apply_spec_augment", "true"),
    *("--model_config.mask_feature_length", "7"),  # for half the usual number of mel bands
    *("--model_config.mask_time_length", "20"),
)
SYSTEMS = ("scratch", "transfer", "augmentation", "transfer + augmentation")
EXCITED = ("angry", "happy")
# The utterances are too few to select a checkpoint: every run keeps its last weights.
SETTINGS = (
    *("--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false"),
    *("--disable_tqdm", "true", "--logging_strategy", "no", "--per_device_train_batch_size", "4"),
)


def main() -> None:
    """Pretrain once, train every system with every seed, print means and standard deviations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/transfer"), help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=10, help="number of runs of each system (default: %(default)s)")
    parser.add_argument(
        "--samples", type=int, nargs="+", default=[8, 16], help="numbers of training utterances (default: 8 16)"
    )
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    action = partial(compare, arguments.output_dir, arguments.seeds, arguments.samples)
    if status := guarded("compare_transfer.py", action):
        sys.exit(status)


def compare(folder: Path, seeds: int, samples: list[int]) -> None:
    """Do all runs, print the table, and write `results.json`.

    Args:
        folder: Folder for the runs.
        seeds: Number of runs of each system.
        samples: Numbers of training utterances.
    """
    network = folder / "speaker_network"
    if (network / "results.json").is_file():
        print(f"The speaker network is there; remove {network} to pretrain it again.", flush=True)
    else:
        pretrain(folder, network)
    verification = SpeakerResults.read(network).metrics["test"]
    eer = 100 * verification.eer
    print(f"\nSpeaker network: EER {eer:.1f} % on the trials of eight other voices\n", flush=True)
    scores = {system: {size: [] for size in samples} for system in SYSTEMS}
    for size, system, seed in itertools.product(samples, SYSTEMS, range(seeds)):
        with redirect_stdout(None):
            results = train(parse_recipe(list_options(system, seed, size, network, folder)))
        score = arousal_ua(results.labels, results.metrics["test"].confusion_matrix)
        scores[system][size].append(score)
        print(f"{size} utterances, {system}, seed {seed}: {100 * score:.1f}   ({results.seconds:.0f} s)", flush=True)
    write_json(folder / "results.json", {"speaker_network": verification.to_dict(), "arousal_ua": scores})
    print(
        f"\nUA of the arousal on the test split in percent (chance: 50), mean and standard deviation of {seeds} seeds\n"
    )
    print(f"| system | {' | '.join(f'{size} training utterances' for size in samples)} |")
    print(f"|---|{'---:|' * len(samples)}")
    for system, sizes in scores.items():
        print(f"| {system} | {' | '.join(map(format_spread, sizes.values()))} |")


def format_spread(values: list[float]) -> str:
    """Return mean and standard deviation in percent."""
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{deviation}"


def pretrain(folder: Path, network: Path) -> None:
    """Synthesise the voices, and train the network that systems with transfer start from."""
    tree = make_speakers(folder)
    argv = [str(RECIPES / "pretrain_speaker_resnet.yaml"), "--corpus_root", str(tree), "--output_dir", str(network)]
    for split, name in TRIALS.items():
        argv += [f"--{split}_trials", str(tree / name)]
    print("Pretraining the speaker network", flush=True)
    pretrain_speaker(parse_recipe([*argv, "--disable_tqdm", "true"], SPEAKER))


def list_options(system: str, seed: int, samples: int, network: Path, folder: Path) -> list[str]:
    """Return the recipe and the options of one run."""
    argv = [str(RECIPES / "speaker_resnet.yaml"), *SETTINGS, "--seed", str(seed), "--max_train_samples", str(samples)]
    argv += ["--output_dir", str(folder / f"{system.replace(' ', '')}-{samples}-{seed}")]
    if "transfer" in system:
        argv += ["--model_name_or_path", str(network), "--head_epochs", str(HEAD_EPOCHS)]
    argv += ["--num_train_epochs", str(EPOCHS if "transfer" in system else HEAD_EPOCHS + EPOCHS)]
    return [*argv, *(AUGMENTATION if "augmentation" in system else ())]


def arousal_ua(labels: list[str], confusion: list[list[int]]) -> float:
    """Return the mean recall of excited and subdued emotions.

    The voice carries only the arousal, so the four emotions would add noise.

    Args:
        labels: Names of the emotions.
        confusion: Counts `(classes, classes)`; rows are true emotions.
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
