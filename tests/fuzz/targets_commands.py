"""Command lines of every command."""

from pathlib import Path
from random import Random

import emofusion
import yaml
from testing_meld import write_video

from .checkpoints import make_adapter, make_fusion
from .judging import Ended, run_command
from .spoil_text import spoil_words
from .target import Spoiled, Target
from .targets_results import build_runs
from .targets_training import make_recipe


def build_commands(folder: Path) -> list[list[str]]:
    """Return command lines. Those of long computations have two faults, so that a third never makes them right."""
    fusion, adapter, recipe = make_fusion(folder), make_adapter(folder), folder / "recipe.yaml"
    one, other = build_runs(folder)
    recipe.write_text(yaml.safe_dump(make_recipe(folder)))
    sound = folder / "mine" / "audio" / "s0_sad.wav"
    write_video(folder / "a.mp4", 0.3, 300)
    metric = Path(emofusion.__file__).parent / "metrics" / "emotion_metrics"
    wrong = ["--learning_rate", "x", "--seed", "x"]
    lines = [
        ["predict", fusion, sound, "--text", "hello there"],
        ["predict", adapter, sound, "--video", folder / "a.mp4", "--revision", "main"],
        ["predict", fusion, sound, "--transcriber", fusion],
        ["explain", fusion, sound, "--text", "hello there", "--target", "happy", "--out", "explained"],
        ["compare", one, other],
        ["prepare", "folder", folder / "mine", "--out", "prepared", "--no-decode", "--labels", "[sad, glad]"],
        ["prepare", "folder", folder / "mine", "--folds", "folds.json", "--speaker-folds", "3", "--report"],
        ["prepare", "meld", folder / "mine", "--labels", "emotion", "--embed-audio"],
        [
            "prepare",
            "iemocap",
            folder / "mine",
            "--alignment_offset",
            "0.5",
            "--transcribe",
            fusion,
            "--language",
            "en",
        ],
        ["push", fusion, "somebody/name", "--dry-run", "--revision", "main", "--commit-message", "x"],
        ["push", adapter, "somebody/name", "--dry-run", "--base-model", "somebody/base", "--public"],
        ["push", metric, "somebody/name", "--metric", "--dry-run"],
        ["merge-adapter", adapter, "merged", "--base", adapter.parent / "base"],
        ["memory", recipe, "--processes", "2", "--seconds", "1"],
        ["train", recipe, "--learning_rate", "1e-3", "--max_steps", "1", "--model_config.hidden_size", "8"],
        ["train", recipe, *wrong],
        ["cross-validate", recipe, "--folds", "1", *wrong],
        ["search", recipe, "--trials", "1", *wrong],
        ["fit-late-fusion", "--members", one, other, "--corpus", "folder", "--corpus_root", folder / "mine"],
        ["pretrain-speaker", "--corpus_root", folder / "mine", *wrong],
        [
            "import-speaker",
            fusion / "model.safetensors",
            "in",
            "--names",
            "{a.*: b.*}",
            "--model-config",
            "{depths: [1]}",
        ],
        ["demo", "--output_dir", "demo", "--all", *wrong],
        ["benchmark", "--list"],
        ["benchmark", "decode", "no such section", "--quick", "--output", "b.json"],
        ["--version"],
        ["train", "--help"],
        ["predict", "--help"],
    ]
    return [[str(word) for word in line] for line in lines]


def spoil_command(random: Random, valid: list[list[str]], into: Path) -> Spoiled:
    argv = random.choice(valid)
    if len(argv) < 2:
        argv = [*argv, "--help"]
    what, words = spoil_words(random, argv)
    return Spoiled(f"{argv[0]}: {what}", [words])


def run_first(lines: list[list[str]]) -> Ended:
    return run_command(lines[0])


TARGETS = [Target("commands", "cli", build_commands, spoil_command, run_first, weight=10)]
