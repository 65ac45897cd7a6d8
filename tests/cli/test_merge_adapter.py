import json
import re
import shutil
import sys

import pytest
import torch
import yaml
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from peft import PeftModel
from testing_training import tiny_recipe
from transformers import AutoModelForAudioClassification, AutoProcessor


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, corpus_root):
    """A tiny fusion model, trained with adapters."""
    place = tmp_path_factory.mktemp("merge")
    recipe = tiny_recipe(corpus_root, place / "adapter", lora={"rank": 2, "use_dora": True}, num_train_epochs=1)
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    train(parse_recipe([str(place / "recipe.yaml")]))
    return place / "adapter"


def test_the_merged_folder_is_plain_and_predicts_the_same(adapter, call, tmp_path):
    out = tmp_path / "merged"
    assert "CrossAttentionFusionForSequenceClassification" in call("merge-adapter", adapter, out)
    model = AutoModelForAudioClassification.from_pretrained(adapter / "base")
    model = PeftModel.from_pretrained(model, adapter).eval()
    merged = AutoModelForAudioClassification.from_pretrained(out).eval()
    batch = AutoProcessor.from_pretrained(out)(
        audio=torch.randn(4000).numpy(), text="I will be there", sampling_rate=16000
    )
    with torch.no_grad():
        torch.testing.assert_close(merged(**batch).logits, model(**batch).logits, rtol=1e-6, atol=1e-6)
    names = {file.name for file in out.iterdir()}
    assert {
        "model.safetensors",
        "modeling_cross_attention.py",
        "processor_config.json",
        "confusion_matrix.png",
    } <= names
    assert not [name for name in names if "adapter_" in name and not name.endswith(".py")]
    assert not re.search("peft|lora|adapter_(config|model)", (out / "config.json").read_text())
    page = (out / "README.md").read_text()
    assert "library_name: transformers" in page
    assert "peft" not in page
    results, before = (json.loads((place / "results.json").read_text()) for place in (out, adapter))
    assert results["metrics"] == before["metrics"]
    assert results["adapter"] is None


def test_predict_loads_adapters(adapter, call):
    shares = call("predict", adapter, "--text", "I will be there").splitlines()
    assert {line.split()[0] for line in shares} == {"angry", "happy", "sad", "calm"}


def test_predict_names_the_extra_for_adapters(adapter, complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    message = complaint("predict", adapter, "--text", "I will be there")
    assert message == "peft is not installed; install it with: pip install 'emofusion[train]'"


def test_the_base_of_moved_adapters_is_found(adapter, call, tmp_path, complaint):
    moved = tmp_path / "moved"
    shutil.copytree(adapter, moved)
    config = json.loads((moved / "adapter_config.json").read_text()) | {"base_model_name_or_path": "/nowhere/base"}
    (moved / "adapter_config.json").write_text(json.dumps(config))
    call("merge-adapter", moved, tmp_path / "merged")
    shutil.rmtree(moved / "base")
    assert "base model /nowhere/base, which is not there" in complaint("merge-adapter", moved, tmp_path / "other")
    call("merge-adapter", moved, tmp_path / "other", "--base", adapter / "base")


def test_what_cannot_be_merged_is_one_sentence(adapter, complaint, tmp_path):
    assert "is not a folder of adapters" in complaint("merge-adapter", tmp_path, tmp_path / "out")
    assert "is not empty" in complaint("merge-adapter", adapter, adapter)
    quantised = tmp_path / "quantised"
    shutil.copytree(adapter / "base", quantised)
    config = json.loads((quantised / "config.json").read_text()) | {"quantization_config": {"load_in_8bit": True}}
    (quantised / "config.json").write_text(json.dumps(config))
    assert "quantised base" in complaint("merge-adapter", adapter, tmp_path / "out", "--base", quantised)
    assert not (tmp_path / "out").exists()
