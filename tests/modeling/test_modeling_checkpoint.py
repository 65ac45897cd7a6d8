"""Damaged, incomplete and hostile checkpoints: every loader gives one sentence that names the file."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from emofusion import CrossAttentionFusionForSequenceClassification, UnimodalForSequenceClassification
from emofusion.modeling.fusion_late_members import load_member
from emofusion.modeling.modeling_checkpoint import check_files
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from safetensors.torch import load_file, save_file
from testing_common import BERT, CASES
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoModelForSequenceClassification

CLASSIFIER = CrossAttentionFusionForSequenceClassification
INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"


def load_text_encoder(folder):
    return UnimodalForSequenceClassification.from_encoders_pretrained(
        text=str(folder), modality="text", hidden_size=16
    )


CLASS, AUTO = CLASSIFIER.from_pretrained, AutoModelForAudioClassification.from_pretrained
# Loader -> the kind of checkpoint that it loads.
LOADERS = {CLASS: "model", AUTO: "model", load_member: "model", load_text_encoder: "encoder"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folders of a classifier, of the same in shards, of a text encoder, and of adapters."""
    root = tmp_path_factory.mktemp("saved")
    model = next(case for case in CASES if case.name == "cross_attention").model()
    model.save_pretrained(root / "model")
    model.save_pretrained(root / "shards", max_shard_size="20kB")
    AutoModel.from_config(AutoConfig.for_model(**BERT)).save_pretrained(root / "encoder")
    model = CLASS(root / "model")
    put_adapters(model, Lora(rank=2), find_targets(model, Lora())).save_pretrained(root / "adapters")
    return root


def copy(saved: Path, kind: str, tmp_path: Path) -> Path:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    return shutil.copytree(saved / kind, tmp_path / "copy")


def change_json(path: Path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def fill(folder: Path, name: str, value: float, file: str = WEIGHTS) -> None:
    weights = load_file(folder / file)
    next(tensor for key, tensor in sorted(weights.items()) if name in key).view(-1)[3] = value
    save_file(weights, folder / file, metadata={"format": "pt"})


def cast(folder: Path, name: str, dtype: torch.dtype) -> None:
    """Store the first weight whose name contains `name` in another dtype."""
    weights = load_file(folder / WEIGHTS)
    key = next(key for key in sorted(weights) if name in key)
    save_file(weights | {key: weights[key].to(dtype)}, folder / WEIGHTS, metadata={"format": "pt"})


def text_config(folder: Path, **fields) -> None:
    """Change the configuration of the text encoder, of a folder with or without a fusion."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    (config.get("text_config") or config).update(fields)
    path.write_text(json.dumps(config))


DAMAGES = {
    "cut weights": (lambda folder: cut(folder / WEIGHTS), f"{WEIGHTS} is damaged or incomplete"),
    "empty weights": (lambda folder: (folder / WEIGHTS).write_bytes(b""), f"{WEIGHTS} is damaged or incomplete"),
    "pointer to weights": (lambda folder: (folder / WEIGHTS).write_text("version https://git-lfs"), "is damaged"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
    "NaN weight": (lambda folder: fill(folder, "word_embeddings", torch.nan), "NaN or infinite numbers in 1 weight "),
    "infinite weight": (lambda folder: fill(folder, "word_embeddings", -torch.inf), "numbers in 1 weight "),
    "whole numbers": (
        lambda folder: cast(folder, "word_embeddings", torch.int32),
        "has I32 instead of floating-point",
    ),
    "booleans": (lambda folder: cast(folder, "LayerNorm.bias", torch.bool), "has BOOL instead of floating-point"),
    "folder": (lambda folder: (folder / "special_tokens_map.json").mkdir(), "map.json is a folder, not a plain"),
    "fifo": (lambda folder: os.mkfifo(folder / "tokenizer.json"), "tokenizer.json is a fifo, not a plain file"),
    "device": (lambda folder: (folder / "vocab.txt").symlink_to("/dev/zero"), "vocab.txt is a device, not a plain"),
    "link": (
        lambda folder: (folder / "chat.jinja").symlink_to("nowhere"),
        "chat.jinja is a link to a file that does not exist",
    ),
    "deep": (lambda folder: (folder / "generation_config.json").write_text("[" * 10**5), "read as JSON"),
    "other vocabulary": (lambda folder: text_config(folder, vocab_size=1), r"is \[50, 20\] instead of \[1, 20\]"),
    "other width": (lambda folder: text_config(folder, hidden_size=22), "weights of another shape"),
    "negative width": (lambda folder: text_config(folder, hidden_size=-1), r"text_config.hidden_size is -1"),
    "width in words": (lambda folder: text_config(folder, hidden_size="wide"), r"text_config.hidden_size is wrong"),
    "unknown activation": (lambda folder: text_config(folder, hidden_act="nobody"), "text_config.hidden_act is 'nob"),
    "many layers": (lambda folder: text_config(folder, num_hidden_layers=10**6), "num_hidden_layers is 1000000"),
    "outside": (
        lambda folder: change_json(folder / "config.json", transformers_weights="../a.safetensors"),
        r"'\.\./a",
    ),
    "number": (lambda folder: change_json(folder / "config.json", transformers_weights=3), "names 3 as a file of"),
    "list": (lambda folder: (folder / "config.json").write_text("[1]"), "config.json must hold a JSON object"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "JSON"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_refused_by_every_loader(saved, tmp_path, damage):
    change, message = DAMAGES[damage]
    for loader, kind in LOADERS.items():
        if loader is AUTO and damage == "list":  # transformers reads the file first, and its errors differ by version
            continue
        folder = copy(saved, kind, tmp_path)
        change(folder)
        with pytest.raises((OSError, ValueError), match=message) as caught:
            loader(str(folder))
        assert str(folder) in str(caught.value)
        assert re.fullmatch(r"[^\n]+\.", str(caught.value))


@pytest.mark.parametrize(
    "names",
    [
        3,
        None,
        ["a.safetensors"],
        "../model/model.safetensors",
        "/model.safetensors",
        "..\\model.safetensors",
        "C:model.safetensors",
        "sub/model.safetensors",
        "..",
        "model-00009-of-00009.safetensors",
    ],
)
def test_index_names_files_of_its_own_folder_only(saved, tmp_path, names):
    (tmp_path / "model").mkdir()
    shutil.copy(saved / "model" / WEIGHTS, tmp_path / "model" / WEIGHTS)
    folder = copy(saved, "shards", tmp_path)
    weights = json.loads((folder / INDEX).read_text())["weight_map"]
    change_json(folder / INDEX, weight_map=weights | {min(weights): names})
    for loader in (CLASS, AUTO):
        with pytest.raises((OSError, ValueError), match=re.escape(INDEX) + "|not opened") as caught:
            loader(folder)
        assert re.fullmatch(rf"{re.escape(str(folder))} [^\n]+\.", str(caught.value))


@pytest.mark.parametrize("fields", [{"weight_map": 3}, {"weight_map": {}}, {"weight_map": ["a"]}, {"metadata": 3}])
def test_index_of_wrong_type_is_refused(saved, tmp_path, fields):
    folder = copy(saved, "shards", tmp_path)
    change_json(folder / INDEX, **fields)
    with pytest.raises(ValueError, match=rf"^{re.escape(INDEX)} of .* has the {next(iter(fields))} [^\n]+\.$"):
        CLASS(folder)


def test_shard_that_is_cut_or_missing_is_named(saved, tmp_path):
    folder = copy(saved, "shards", tmp_path)
    last = sorted(folder.glob("*.safetensors"))[-1]
    cut(last)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(last))} is damaged or incomplete \([^\n]+\): copy or"):
        CLASS(folder)
    last.unlink()
    with pytest.raises(OSError, match=rf"^{re.escape(str(folder))} has no {last.name}, which its {re.escape(INDEX)}"):
        AUTO(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: cut(folder / "adapter_model.safetensors"), "is damaged or incomplete"),
        (lambda folder: fill(folder, "lora_A", torch.nan, "adapter_model.safetensors"), "NaN or|not (be )?loaded"),
        (lambda folder: change_json(folder / "adapter_config.json", r=4), "not be loaded|another shape"),
        (lambda folder: change_json(folder / "adapter_config.json", r="two"), "cannot be loaded"),
        (lambda folder: change_json(folder / "adapter_config.json", peft_type="NOBODY"), "cannot be loaded"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "adapter_model.safetensors"),
    ],
)
def test_damaged_adapters_are_refused(saved, tmp_path, change, message):
    folder = copy(saved, "adapters", tmp_path)
    change(folder)
    for load in (CLASS(saved / "model").load_adapter, AUTO):
        with pytest.raises((OSError, ValueError), match=message) as caught:
            load(str(folder))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("base", [["a"], None, 3, ""])
def test_base_of_adapters_is_a_name(saved, tmp_path, base):
    folder = copy(saved, "adapters", tmp_path)
    change_json(folder / "adapter_config.json", base_model_name_or_path=base)
    for check in (check_files, CLASS):
        with pytest.raises(ValueError, match=r"^adapter_config\.json of .* has base_model_name_or_path [^\n]+\.$"):
            check(folder)


def test_damage_of_the_base_of_adapters_is_named(saved, tmp_path):
    base = copy(saved, "model", tmp_path)
    cut(base / WEIGHTS)
    folder = shutil.copytree(saved / "adapters", tmp_path / "adapters")
    change_json(folder / "adapter_config.json", base_model_name_or_path=str(base))
    with pytest.raises(
        ValueError, match=rf"^The base model of {re.escape(str(folder))}: {re.escape(str(base))}/model"
    ):
        check_files(folder)


def test_weights_of_another_shape_load_on_request(saved, tmp_path):
    folder = copy(saved, "model", tmp_path)
    with pytest.raises(
        ValueError, match=r"has 2 weights of another shape .*\(classifier\.bias is \[3\] instead of \[5"
    ):
        CLASS(folder, num_labels=5, output_loading_info=True)
    model, info = CLASS(folder, num_labels=5, ignore_mismatched_sizes=True, output_loading_info=True)
    assert {entry[0] for entry in info["mismatched_keys"]} == {"classifier.bias", "classifier.weight"}
    assert model.classifier.out_features == 5


def test_wrong_argument_of_a_call_is_no_fault_of_the_checkpoint(saved):
    with pytest.raises(TypeError, match="nonsense"):
        AutoModelForSequenceClassification.from_pretrained(saved / "model", nonsense=3)
