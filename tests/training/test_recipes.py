"""Every recipe is registered; small ones train for two steps, full-size ones build with the registered size."""

import re
from functools import cache
from pathlib import Path

import emofusion
import numpy as np
import pytest
import soundfile
import torch
import yaml
from emofusion.configuration import VARIANTS
from emofusion.corpora.demo.spoken import BLOCK, VIDEO_BLOCK
from emofusion.evaluation.task_classification import ClassificationTask
from emofusion.modeling.modeling_late_fusion import LateFusionForSequenceClassification
from emofusion.training import lifecycle
from emofusion.training.arguments import TEXT_CLASSIFIER
from emofusion.training.late_fusion.fit import fit_late_fusion
from emofusion.training.memory import replace_encoders
from emofusion.training.model_building import build_model
from emofusion.training.recipe import LATE_FUSION, SPEAKER, TRAINING, Recipe
from emofusion.training.run import train
from emofusion.training.run_task import sketch_task
from emofusion.training.speaker.pretrain import build_speaker_model, pretrain_speaker

FOLDER = Path(emofusion.__file__).parent / "recipes"
REGISTRY = yaml.safe_load((FOLDER / "registry.yaml").read_text("utf-8"))
ENTRIES = {entry["path"]: entry for entry in REGISTRY["recipes"]}
GROUPS = {"train": TRAINING, "fit-late-fusion": LATE_FUSION, "pretrain-speaker": SPEAKER}
# Options of a run of two steps without evaluation, in one process.
SHORT = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "save_strategy": "no",
    "eval_strategy": "no",
    "load_best_model_at_end": False,
    "disable_tqdm": True,
    "dataloader_num_workers": 0,
}


def command_of(path: str) -> str:
    return ENTRIES[path].get("command", "train")


def small_recipes(command: str):
    paths = [path for path, entry in ENTRIES.items() if entry["corpus"] == "spoken" and command_of(path) == command]
    return pytest.mark.parametrize("path", paths)


def read(path: str, **settings) -> Recipe:
    return Recipe.read(FOLDER / path, GROUPS[command_of(path)], use_cpu=True, **settings)


def find_recipe(output_dir: str) -> str:
    """Return the recipe that writes into a folder, or that is named itself."""
    if output_dir.endswith(".yaml"):
        return output_dir.removeprefix("recipes/")
    (found,) = (path for path in ENTRIES if output_dir == f"runs/{path.removesuffix('.yaml')}")
    return found


def test_every_recipe_is_registered_once():
    registered = [entry["path"] for entry in REGISTRY["recipes"]]
    assert len(registered) == len(set(registered))
    assert set(registered) == {
        str(file.relative_to(FOLDER)) for file in FOLDER.glob("*/*.yaml") if file.parent.name != "accelerate"
    }


@pytest.mark.parametrize("path", ENTRIES)
def test_the_registry_agrees_with_the_recipe(path):
    entry, recipe = ENTRIES[path], read(path)
    known = {"path", "command", "system", "corpus", "classes", "dimensions", "rows", "parameters", "purpose"}
    assert {"path", "system", "corpus", "parameters"} <= set(entry) <= known
    assert entry["system"] in (*VARIANTS, TEXT_CLASSIFIER)
    assert recipe.model is None or recipe.model.variant == entry["system"]
    several = recipe.data is not None and len(recipe.data.corpora) > 1
    assert recipe.data is None or (
        entry["corpus"] == "cross_corpus" if several else recipe.data.corpus == entry["corpus"]
    )
    assert entry["corpus"] == Path(path).parent.name
    assert recipe.training.output_dir == f"runs/{path.removesuffix('.yaml')}"
    assert entry.get("rows") or entry["purpose"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus_root):
    """Trains a small recipe on the smallest corpus, once, without pictures, and returns its folder and results."""
    folder, done = tmp_path_factory.mktemp("runs"), {}

    def train_once(path: str):
        if path not in done:
            block = VIDEO_BLOCK if read(path).data.corpus_options.get("video") else BLOCK
            run = folder / path.removesuffix(".yaml")
            options = {"corpus_root": corpus_root, "corpus_options.utterances": block, "max_seconds": 0.3}
            done[path] = run, train(read(path, output_dir=run, **options, **SHORT))
        return done[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassificationTask, "draw_test_split", lambda *_: None)
        patch.setattr(lifecycle, "draw_learning_curves", lambda *_: None)
        yield train_once


@small_recipes("train")
def test_a_small_recipe_trains(path, trained):
    _, results = trained(path)
    assert results.parameters.total == ENTRIES[path]["parameters"]
    assert len(results.labels) == ENTRIES[path].get("classes", len(results.dimensions))
    assert results.dimensions == ENTRIES[path].get("dimensions", [])


@small_recipes("fit-late-fusion")
def test_a_small_late_fusion_is_fitted(path, trained, corpus_root, tmp_path):
    members = [str(trained(find_recipe(member))[0]) for member in read(path).late_fusion.members]
    options = {"corpus_root": corpus_root, "corpus_options.utterances": BLOCK}
    results = fit_late_fusion(read(path, output_dir=tmp_path / "fusion", members=members, **options))
    assert results.parameters.total == ENTRIES[path]["parameters"]
    assert len(results.labels) == ENTRIES[path].get("classes", len(results.dimensions))
    assert results.dimensions == ENTRIES[path].get("dimensions", [])


@small_recipes("pretrain-speaker")
def test_a_small_speaker_network_is_pretrained(path, tmp_path):
    for number in range(6):
        folder = tmp_path / "voices" / f"id{number % 3}" / "video"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", np.random.default_rng(number).normal(0, 0.1, 8000), 16000)
    options = {"corpus_root": tmp_path / "voices", "output_dir": tmp_path / "network", "crop_seconds": [0.3, 0.4]}
    results = pretrain_speaker(read(path, **options, **SHORT))
    speakers = 3 * build_on_meta(path).config.embedding_size
    assert results.parameters == ENTRIES[path]["parameters"] + speakers


@cache
def build_on_meta(path: str):
    """Return the model of a recipe on the meta device, built once for all late fusions of it; configurations replace its pretrained encoders."""
    recipe = read(path)
    if recipe.late_fusion is not None:
        members = [build_on_meta(find_recipe(member)) for member in recipe.late_fusion.members]
        with torch.device("meta"):
            return LateFusionForSequenceClassification.from_members_pretrained(
                members, combination=recipe.late_fusion.combination
            )
    if recipe.speaker is not None:
        with torch.device("meta"):
            return build_speaker_model(recipe.speaker.model_config, 2).model
    model = recipe.model
    if model.model_name_or_path is not None:
        network = read(find_recipe(model.model_name_or_path)).speaker.model_config
        model.model_name_or_path, model.model_config = None, network | model.model_config
    replace_encoders(model, REGISTRY["encoders"])
    with torch.device("meta"):
        return build_model(model, sketch_task(recipe.data, ENTRIES[path].get("classes", 0)))


@pytest.mark.parametrize("path", [path for path, entry in ENTRIES.items() if entry["corpus"] != "spoken"])
def test_a_full_size_recipe_has_the_registered_size(path):
    model, size = build_on_meta(path), ENTRIES[path]["parameters"]
    assert sum(parameter.numel() for parameter in model.parameters()) == size


@pytest.mark.parametrize("path", [path for path, entry in ENTRIES.items() if entry["corpus"] != "spoken"])
def test_a_full_size_recipe_states_its_size_and_is_on_the_page(path):
    millions = ENTRIES[path]["parameters"] / 1e6
    text = (FOLDER / path).read_text("utf-8")
    assert f"# Size: {millions:,.{0 if millions >= 9.95 else 1}f} M parameters" in text
    assert re.search(r"Estimates on one H100(, members included)?: [\d.]+ GB, \d+ (minutes?|hours)\.", text)
    assert f"recipes/{path}" in (FOLDER.parent / "docs" / "reproduce.md").read_text("utf-8")
