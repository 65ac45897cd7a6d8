"""Recipes, options, and short trainings that they start."""

import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import yaml
from testing_folder import make_folder
from testing_training import FUSION

from .judging import Ended, run_command
from .spoil_folder import spoil_folder
from .spoil_text import spoil_lines, spoil_words, spoil_yaml
from .spoil_trees import spoil_tree
from .target import Spoiled, Target

RUN = "run"  # the output folder, in the working folder of a case


def make_recipe(folder: Path, **others: Any) -> dict:
    """Write a corpus of twelve recordings, and return a recipe of one step on it."""
    root = folder / "mine"
    if not root.is_dir():
        make_folder(root)
    return {
        "variant": "cross_attention",
        "model_config": FUSION | {"freeze_feature_encoder": True},
        "corpus": "folder",
        "corpus_root": str(root),
        "corpus_options": {"validation_share": 0.2, "test_share": 0.2},
        "augmentation": {"noise": {"snr_db": [5, 20]}},
        "max_seconds": 0.3,
        "output_dir": RUN,
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "learning_rates": {"classifier": 1e-3},
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "logging_steps": 1,
        "seed": 1,
        "disable_tqdm": True,
        "use_cpu": True,
        **others,
    }


def build_recipe(folder: Path) -> dict:
    """Return a recipe with mappings of every kind, and the recipe that it is based on."""
    recipe = make_recipe(folder)
    search = {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}, "model_config.hidden_size": [8, 16]}
    return {"recipe": recipe, "search": {"search": search, "trials": 2, **recipe}}


def spoil_recipe(random: Random, valid: dict, into: Path) -> Spoiled:
    """Spoil a recipe as a tree, or its text."""
    name = random.choice(list(valid))
    text = yaml.safe_dump(valid[name])
    if random.random() < 0.5:
        what, tree, _ = spoil_tree(random, valid[name])
        try:
            data = yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")
        except (RecursionError, UnicodeError):
            data = json.dumps(tree).encode()  # which is YAML, too
    else:
        what, data = spoil_yaml(random, text)
    (into / "recipe.yaml").write_bytes(data)
    return Spoiled(f"{name}: {what}", {name: str(into / "recipe.yaml")})


def read_recipes(recipes: dict) -> list:
    """Return the settings of recipes that differ from the defaults."""
    from emofusion.training.recipe import SEARCH, TRAINING, Recipe

    found = []
    for name, path in recipes.items():
        if isinstance(path, dict):
            Path("recipe.yaml").write_text(yaml.safe_dump(path))
            path = "recipe.yaml"
        found.append(Recipe.read(path, SEARCH if name == "search" else TRAINING).describe())
    return json.loads(json.dumps(found))


def spoil_training(random: Random, valid: dict, into: Path) -> Spoiled:
    """Spoil one value of a recipe; as a tree only, because a wrong file never gets as far as training."""
    what, tree, _ = spoil_tree(random, valid["recipe"])
    try:
        (into / "recipe.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), errors="surrogatepass")
    except RecursionError:
        (into / "recipe.yaml").write_text(json.dumps(tree))
    return Spoiled(what, ["train", str(into / "recipe.yaml")])


def train(argv: list[str] | dict) -> Ended:
    """Train, and return how that ended; scores must be finite, and the folder complete."""
    if isinstance(argv, dict):
        Path("recipe.yaml").write_text(yaml.safe_dump(argv["recipe"]))
        argv = ["train", "recipe.yaml"]
    ended = run_command(argv)
    if not ended["status"] and Path(RUN).is_dir():
        results = json.loads(Path(RUN, "results.json").read_text())
        assert 0 <= results["metrics"]["test"]["ua"] <= 1
        assert Path(RUN, "README.md").is_file()
        assert Path(RUN, "model.safetensors").is_file()
    return ended


def ask_memory(argv: list[str] | dict) -> Ended:
    """Return how the estimate of the memory of a recipe ended."""
    if isinstance(argv, dict):
        Path("recipe.yaml").write_text(yaml.safe_dump(argv["recipe"]))
        argv = ["train", "recipe.yaml"]
    return run_command(["memory", argv[1]])


def build_options(folder: Path) -> list[list[str]]:
    """Return options of every command that takes a recipe."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(make_recipe(folder)))
    space = '{"learning_rate": {"low": 1e-5, "high": 1e-3}}'
    members = [str(folder / "a"), str(folder / "b")]
    return [
        ["train", str(recipe), "--learning_rate", "1e-3", "--model_config.hidden_size", "16", "--bf16", "false"],
        ["train", str(recipe), "--lora", "{rank: 2}", "--learning_rates.classifier", "0.1", "--no_disable_tqdm"],
        ["train", str(recipe), "--augmentation", "{noise: {snr_db: [5, 20]}}", "--class_weights", "balanced"],
        ["cross-validate", str(recipe), "--folds", "1", "2", "--seeds", "1", "2"],
        ["search", str(recipe), "--search", space, "--trials", "2", "--no_prune"],
        ["fit-late-fusion", "--members", *members, "--combination", "mean", "--corpus", "folder"],
        ["pretrain-speaker", "--corpus_root", str(folder), "--crop_seconds", "1", "2", "--output_dir", "run"],
    ]


def spoil_options(random: Random, valid: list[list[str]], into: Path) -> Spoiled:
    argv = random.choice(valid)
    what, words = spoil_words(random, argv[1:])
    return Spoiled(f"{argv[0]}: {what}", [[argv[0], *words]])


def read_options(command_lines: list[list[str]]) -> list:
    """Return the settings that options give."""
    from emofusion.cli.commands import UsageError
    from emofusion.training.recipe import COMMANDS, parse_recipe

    found = []
    for command, *words in command_lines:
        try:
            found.append(parse_recipe(words, COMMANDS[command]).describe())
        except UsageError as error:
            raise ValueError(str(error)) from error
    return json.loads(json.dumps(found, default=str))


def build_checkpoint(folder: Path) -> dict:
    """Train two steps in a process, and return the recipe with the folder of the run, whose last checkpoint is resumed."""
    run = folder / "run"
    recipe = make_recipe(folder, output_dir=str(run), max_steps=2, save_strategy="steps", save_steps=1)
    recipe |= {"eval_strategy": "steps", "eval_steps": 1, "save_total_limit": 2}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    in_process(lambda: run_command(["train", str(folder / "recipe.yaml")]))
    for name in ("results.json", "README.md", "predictions.jsonl"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoint-2", ignore_errors=True)
    return {"recipe": recipe, "run": str(run)}


def in_process(function: Any) -> None:
    """Call a function in a forked process, so that this one starts no threads of torch."""
    if not (process := os.fork()):
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            os.dup2(os.open(os.devnull, os.O_RDWR), 2)
            function()
        finally:
            os._exit(0)
    os.waitpid(process, 0)


def spoil_resumed(random: Random, valid: dict, into: Path) -> Spoiled:
    spoiled = spoil_folder(random, Path(valid["run"]), into, ["checkpoint-1/*"])
    return Spoiled(spoiled.what, {"recipe": valid["recipe"], "run": str(spoiled.value)})


def resume(given: dict) -> Ended:
    """Resume the run, or a copy of the intact one."""
    if given["run"] == given["recipe"]["output_dir"]:
        shutil.copytree(given["run"], RUN)
    else:
        os.rename(given["run"], RUN)
    recipe = given["recipe"] | {"output_dir": RUN, "resume_from_checkpoint": "true"}
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
    return train(["train", "recipe.yaml"])


def build_speakers(folder: Path) -> dict:
    for speaker in range(4):
        make_folder(folder / "voices" / f"id{speaker}" / "v", [{"file_name": f"{n}.wav"} for n in range(2)])
    pairs = ["1 id0/v/0.wav id0/v/1.wav", "0 id0/v/0.wav id1/v/1.wav"]
    settings = {"crop_seconds": [0.2, 0.3], "validation_share": 0.5}
    return {"root": str(folder / "voices"), "trials": "\n".join(pairs) + "\n", "settings": settings}


def spoil_speakers(random: Random, valid: dict, into: Path) -> Spoiled:
    if random.random() < 0.5:
        what, settings, _ = spoil_tree(random, valid["settings"])
        return Spoiled(what, valid | {"settings": settings})
    what, data = spoil_lines(random, valid["trials"])
    (into / "trials.txt").write_bytes(data)
    return Spoiled(f"trials: {what}", valid | {"trials": str(into / "trials.txt")})


def load_speakers(given: dict) -> list:
    """Return the numbers of speakers and trials."""
    from emofusion.training.command_arguments import SpeakerArguments
    from emofusion.training.speaker.recordings import load_speakers as load

    trials = given["trials"]
    if "\n" in trials:
        Path("trials.txt").write_text(trials)
        trials = "trials.txt"
    arguments = SpeakerArguments(corpus_root=given["root"], test_trials=trials, **given["settings"])
    found = load(arguments, 0)
    return [len(found.speakers), len(found.training)]


TARGETS = [
    Target("recipe", "training", build_recipe, spoil_recipe, read_recipes, weight=5),
    Target("options", "training", build_options, spoil_options, read_options, weight=4),
    Target("memory", "training", build_recipe, spoil_training, ask_memory, weight=3),
    Target("train", "training", build_recipe, spoil_training, train, weight=2),
    Target("resume", "training", build_checkpoint, spoil_resumed, resume, weight=1.5),
    Target("speakers", "training", build_speakers, spoil_speakers, load_speakers, weight=1, lenient=True),
]
