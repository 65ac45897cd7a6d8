"""Measure text context and speech context on dialogues that need them: `python -m emofusion.benchmarks.conversation`.

Statements are good or bad news, and the answer to each is a neutral sentence whose emotion is that of the statement. The
words of an utterance alone therefore give the emotion of statements, and of answers half the time: 75 % in all.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from ..configuration.modalities import SAMPLING_RATE
from ..training.recipe import parse_recipe
from ..training.run import train

DIALOGUES = {"train": 120, "validation": 20, "test": 40}
TURNS = 6
THINGS = ("soup", "train", "letter", "garden", "concert", "weather", "hotel", "coat")
MOODS = {"happy": ("lovely", "wonderful", "perfect", "brilliant"), "sad": ("awful", "dismal", "ruined", "broken")}
ANSWERS = ("I see.", "Is that so?", "Well, well.", "You said so.")
TEXT = {"model_type": "bert", "vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT |= {"intermediate_size": 64, "max_position_embeddings": 64}
SPEECH = {"context_layers": 1, "context_window": 3, "context_hidden_size": 32}
SYSTEMS = {
    "none": ({}, {}),
    "text context": ({}, {"context_turns": 1}),
    "speech context": (SPEECH, {}),
    "both": (SPEECH, {"context_turns": 1}),
}


def write_corpus(root: Path, seed: int = 0) -> None:
    """Write the dialogues as a folder of recordings, which hold noise.

    Args:
        root: The folder, which exists.
        seed: Seed of the words.
    """
    rng, lines = random.Random(seed), ["file_name,text,label,speaker,dialogue,turn,split"]
    noise = 0.01 * np.random.default_rng(seed).standard_normal(SAMPLING_RATE // 5)
    for split, count in DIALOGUES.items():
        for dialogue in range(count):
            for turn in range(TURNS):
                if turn % 2 == 0:
                    label = rng.choice(list(MOODS))
                    text = f"The {rng.choice(THINGS)} was {rng.choice(MOODS[label])}."
                else:
                    text = rng.choice(ANSWERS)
                name = f"{split}-{dialogue}-{turn}.wav"
                soundfile.write(root / name, noise, SAMPLING_RATE)
                lines.append(f'{name},"{text}",{label},{split}{"AB"[turn % 2]},{split}-{dialogue},{turn},{split}')
    (root / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")


def measure(root: Path, runs: Path, seed: int) -> dict[str, float]:
    """Train a text model without context, with each and with both, and return the accuracy on the test split.

    Args:
        root: The folder that `write_corpus` wrote.
        runs: A folder for the runs.
        seed: Seed of the models.
    """
    found = {}
    for name, (fields, options) in SYSTEMS.items():
        recipe = {
            "variant": "unimodal",
            "model_config": {"modality": "text", "text_config": TEXT, "hidden_size": 32, **fields},
            "corpus": "folder",
            "corpus_root": str(root),
            "output_dir": str(runs / f"{name.replace(' ', '-')}-{seed}"),
            "num_train_epochs": 15,
            "learning_rate": 2e-3,
            "per_device_train_batch_size": 24,
            "seed": seed,
            "use_cpu": True,
            "disable_tqdm": True,
            "logging_steps": 1000,
            **options,
        }
        path = runs / "recipe.yaml"
        path.write_text(_as_yaml(recipe), encoding="utf-8")
        found[name] = train(parse_recipe([str(path)])).metrics["test"].wa
    return found


def _as_yaml(recipe: dict) -> str:
    import yaml

    return yaml.safe_dump(recipe)


def main() -> None:
    """Print the accuracies of all systems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of each system")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, runs = Path(folder, "corpus"), Path(folder, "runs")
        root.mkdir()
        runs.mkdir()
        write_corpus(root)
        rows = [measure(root, runs, seed) for seed in range(arguments.seeds)]
    for name in SYSTEMS:
        values = [100 * row[name] for row in rows]
        sys.stdout.write(f"{name:<16}{np.mean(values):6.1f} %  ({', '.join(f'{value:.1f}' for value in values)})\n")


if __name__ == "__main__":
    main()
