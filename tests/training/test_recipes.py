"""Every recipe is registered; the small ones run, the full-size ones build as large as the registry says."""

from pathlib import Path

import emofusion
import numpy as np
import pytest
import soundfile
import torch
import yaml
from emofusion.configuration import VARIANTS
from emofusion.corpora.demo.spoken import BLOCK, VIDEO_BLOCK
from emofusion.modeling.modeling_late_fusion import LateFusionForSequenceClassification
from emofusion.training.late_fusion.fit import fit_late_fusion
from emofusion.training.model_building import build_model
from emofusion.training.recipe import LATE_FUSION, SPEAKER, TRAINING, Recipe
from emofusion.training.run import train
from emofusion.training.speaker.pretrain import build_speaker_model, pretrain_speaker

FOLDER = Path(emofusion.__file__).parent / "recipes"
REGISTRY = yaml.safe_load((FOLDER / "registry.yaml").read_text("utf-8"))
ENTRIES = {entry["path"]: entry for entry in REGISTRY["recipes"]}


def entries(small: bool, script: str):
    chosen = [
        path
        for path, entry in ENTRIES.items()
        if (entry["corpus"] == "spoken") is small and entry.get("script", "train.py") == script
    ]
    return pytest.mark.parametrize("path", chosen)


def parse(path: str, groups=TRAINING, **settings) -> Recipe:
    return Recipe.read(FOLDER / path, groups, **settings)


def registered_as(output_dir: str) -> str:
    """The recipe that trains a member of a late fusion, by where it leaves it."""
    found = [
        path for path in ENTRIES if yaml.safe_load((FOLDER / path).read_text("utf-8"))["output_dir"] == output_dir
    ]
    assert len(found) == 1, f"{output_dir} is left by {found}"
    return found[0]


def test_every_recipe_is_registered_once():
    registered = [entry["path"] for entry in REGISTRY["recipes"]]
    assert len(registered) == len(set(registered))
    assert set(registered) == {
        str(file.relative_to(FOLDER)) for file in FOLDER.glob("*/*.yaml") if file.parent.name != "accelerate"
    }


@pytest.mark.parametrize("path", ENTRIES)
def test_the_registry_tells_what_the_recipe_says(path):
    entry, recipe = ENTRIES[path], yaml.safe_load((FOLDER / path).read_text("utf-8"))
    known = {"path", "script", "system", "corpus", "classes", "rows", "parameters", "purpose"}
    assert {"path", "system", "corpus", "parameters"} <= set(entry) <= known
    assert entry["system"] in VARIANTS
    assert entry["system"] == recipe.get("variant", entry["system"])
    assert entry["corpus"] == recipe.get("corpus", entry["corpus"]) == Path(path).parent.name
    assert recipe["output_dir"] == f"runs/{path.removesuffix('.yaml')}"
    assert entry.get("rows") or entry["purpose"]


# What makes any run short. Nothing is measured on the way.
SHORT = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "save_strategy": "no",
    "eval_strategy": "no",
    "load_best_model_at_end": False,
    "disable_tqdm": True,
    "use_cpu": True,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus_root):
    """Runs a small training recipe for two steps, on the smallest corpus, and returns its results; once."""
    folder, done = tmp_path_factory.mktemp("runs"), {}

    def run_once(path: str) -> dict:
        if path not in done:
            recipe = yaml.safe_load((FOLDER / path).read_text("utf-8"))
            block = VIDEO_BLOCK if recipe.get("corpus_options", {}).get("video") else BLOCK
            options = {
                "corpus_root": corpus_root,
                "corpus_options.utterances": block,
                "output_dir": folder / recipe["output_dir"],
                "max_seconds": 0.3,
                **SHORT,
            }
            done[path] = train(parse(path, **options)) | {"folder": folder / recipe["output_dir"]}
        return done[path]

    return run_once


@entries(small=True, script="train.py")
def test_a_small_recipe_runs(path, run):
    results = run(path)
    assert results.parameters.total == ENTRIES[path]["parameters"]
    assert len(results.labels) == ENTRIES[path]["classes"]


@entries(small=True, script="fit_late_fusion.py")
def test_a_small_late_fusion_runs(path, run, corpus_root, tmp_path, monkeypatch):
    recipe = parse(path, LATE_FUSION, output_dir=tmp_path / "fusion", use_cpu=True)
    members = [str(run(registered_as(member))["folder"]) for member in recipe.late_fusion.members]
    recipe = recipe.replace(
        **{"members": members, "corpus_root": str(corpus_root), "corpus_options.utterances": BLOCK}
    )
    results = fit_late_fusion(recipe)
    assert results.parameters.total == ENTRIES[path]["parameters"]
    assert len(results.labels) == ENTRIES[path]["classes"]


@entries(small=True, script="pretrain_speaker.py")
def test_a_small_pretraining_of_speakers_runs(path, tmp_path):
    for number in range(6):
        folder = tmp_path / "voices" / f"id{number % 3}" / "video"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", np.random.default_rng(number).normal(0, 0.1, 8000), 16000)
    options = {"corpus_root": tmp_path / "voices", "output_dir": tmp_path / "network", **SHORT}
    results = pretrain_speaker(parse(path, SPEAKER, crop_seconds=[0.3, 0.4], **options))
    speakers = 3 * build_on_meta(path, tmp_path).config.embedding_size
    assert results.parameters == ENTRIES[path]["parameters"] + speakers


def build_on_meta(path: str, tmp_path):
    """The recipe's classifier without its numbers, around configurations in place of pre-trained encoders."""
    labels = [f"class {number}" for number in range(ENTRIES[path].get("classes", 0))]
    if ENTRIES[path].get("script") == "fit_late_fusion.py":
        fusion_args = parse(path, LATE_FUSION, output_dir=tmp_path, use_cpu=True).late_fusion
        members = [build_on_meta(registered_as(member), tmp_path) for member in fusion_args.members]
        with torch.device("meta"):
            return LateFusionForSequenceClassification.from_members_pretrained(
                members, combination=fusion_args.combination
            )
    if ENTRIES[path].get("script") == "pretrain_speaker.py":
        fields = parse(path, SPEAKER, corpus_root=tmp_path, output_dir=tmp_path, use_cpu=True).speaker.model_config
        with torch.device("meta"):
            return build_speaker_model(fields, 2).model
    model_args = parse(path, output_dir=tmp_path, use_cpu=True).model
    if model_args.model_name_or_path is not None:
        network = registered_as(model_args.model_name_or_path)
        fields = parse(network, SPEAKER, corpus_root=tmp_path, output_dir=tmp_path, use_cpu=True).speaker.model_config
        model_args.model_name_or_path = None
        model_args.model_config = fields | model_args.model_config
    for kind in ("audio", "text", "vision"):
        if (name := getattr(model_args, f"{kind}_model_name_or_path")) is not None:
            setattr(model_args, f"{kind}_model_name_or_path", None)
            model_args.model_config[f"{kind}_config"] = REGISTRY["encoders"][name]
    with torch.device("meta"):
        return build_model(model_args, labels)


@pytest.mark.parametrize("path", [path for path, entry in ENTRIES.items() if entry["corpus"] != "spoken"])
def test_a_full_size_recipe_builds_as_large_as_registered(path, tmp_path):
    model = build_on_meta(path, tmp_path)
    assert sum(parameter.numel() for parameter in model.parameters()) == ENTRIES[path]["parameters"]
