"""LoRA adapters: their layers, the trained parameters, and the folders of runs."""

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from emofusion.training.adapters.base import check_quantization
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from emofusion.training.arguments import EmotionTrainingArguments, ModelArguments
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from safetensors.torch import load_file
from testing_common import CASES, make_batch
from testing_training import FUSION, tiny_recipe

ADAPTABLE = [case for case in CASES if {"audio", "text"} & set(case.config().encoders)]
# Each of the first two rows lacks one modality, so that what stands in for it has something to learn.
BATCH = make_batch((0, 16000, 8000), (4, 0, 6), (1, 5, 0))


def named(name):
    return next(case for case in CASES if case.name == name)


def adapt(model, **lora):
    lora = Lora(**lora)
    return put_adapters(model, lora, find_targets(model, lora)).train()


def shake(model):
    """Set adapters to random values, as if trained; new ones add zero."""
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return model


@pytest.mark.parametrize("case", ADAPTABLE, ids=lambda case: case.name)
def test_adapters_and_everything_outside_the_encoders_are_trained(case):
    model = case.model(dropout=False)
    with torch.no_grad():
        before = model(**BATCH).logits
    own = {name for name, _ in model.named_parameters() if not re.match(r"model\.(audio|text|vision)_encoder\.", name)}
    adapted = adapt(model, rank=2)
    torch.testing.assert_close(adapted(**BATCH).logits, before, rtol=1e-6, atol=1e-6)
    shake(adapted)(**BATCH).loss.backward()
    gradients = {
        name.removeprefix("base_model.model."): weight.grad
        for name, weight in adapted.named_parameters()
        if weight.requires_grad
    }
    adapters = {name for name in gradients if "lora_" in name}
    assert {name.replace("modules_to_save.default.", "") for name in gradients} == adapters | own
    for kind in ("audio", "text"):
        if kind in case.modalities:
            assert any(f"{kind}_encoder" in name for name in adapters)
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name


@pytest.mark.parametrize("setting", ["freeze_audio_layers", "freeze_text_layers"])
@pytest.mark.parametrize("name", ["cross_attention-wavlm-deberta", "wavfusion-text", "multi_level"])
def test_frozen_layers_get_no_adapters(name, setting):
    model = named(name).model(dropout=False, **{setting: 1})
    encoded = model.encode(**BATCH)
    adapted = shake(adapt(model))
    kind = setting.split("_")[1]
    layers = {int(re.search(r"\.(\d+)\.", path)[1]) for path in adapted.targeted_module_names if kind in path}
    assert layers == {1}
    assert getattr(model.config, setting) == 1
    for part, value in adapted.encode(**BATCH).items():
        torch.testing.assert_close(value, encoded[part])
    adapted(**BATCH).loss.backward()
    assert all(weight.grad is not None for key, weight in adapted.named_parameters() if "lora_B" in key)


def test_an_encoder_without_adapters_is_frozen_and_can_be_cached():
    model = named("wavfusion").model(freeze_vision_encoder=False, freeze_feature_encoder=False)
    adapted = adapt(model, text=[])
    assert model.config.freeze_text_layers == -1
    assert model.config.freeze_vision_encoder
    assert model.config.freeze_feature_encoder
    assert not model.model.text_encoder.training
    assert not any("text_encoder" in path or "vision_encoder" in path for path in adapted.targeted_module_names)


def test_any_layer_of_any_encoder_can_be_named():
    model = named("wavfusion").model(freeze_vision_encoder=False)
    adapted = adapt(model, audio=["attention.out_proj"], text=["word_embeddings"], vision=["fc1", "fc2"])
    ends = {path.partition("_encoder")[0] + " " + path.rpartition(".")[2] for path in adapted.targeted_module_names}
    assert ends == {"model.audio out_proj", "model.text word_embeddings", "model.vision fc1", "model.vision fc2"}
    shake(adapted)(**BATCH).loss.backward()
    assert all(weight.grad is not None for key, weight in adapted.named_parameters() if "lora_B" in key)


def test_switches_reach_peft():
    adapted = adapt(named("text").model(), rank=3, alpha=5, dropout=0.25, use_rslora=True, use_dora=True)
    config = adapted.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 5, 0.25)
    assert config.use_rslora
    assert config.use_dora
    assert any("lora_magnitude_vector" in name for name, _ in adapted.named_parameters())


@pytest.mark.parametrize(
    ("name", "fields", "lora", "sentence"),
    [
        (
            "cross_attention",
            {},
            {"text": ["q_proj"]},
            "lora.text names 'q_proj', but this bert has no such layer; it has dense, key",
        ),
        ("speech-wavlm", {}, {"audio": ["q_proj"]}, "reads without calling .* intermediate_dense and output_dense"),
        ("text", {}, {"audio": ["q_proj"]}, "lora.audio is given, but this UnimodalFor.* has no such encoder"),
        ("text", {"freeze_text_layers": -1}, {"text": ["query"]}, "all frozen by freeze_text_layers"),
        ("video", {}, {"vision": ["fc1"]}, "all frozen by freeze_vision_encoder"),
        ("text", {"freeze_text_layers": -1}, {}, "has no layer for adapters"),
        ("speaker_resnet", {}, {}, "has no layer for adapters"),
    ],
)
def test_layers_that_cannot_have_adapters_are_refused(name, fields, lora, sentence):
    with pytest.raises(ValueError, match=sentence):
        find_targets(named(name).model(**fields), Lora(**lora))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lora": {"ranks": 8}}, "lora has an unknown field 'ranks'"),
        ({"lora": {"rank": 0}}, "lora.rank is 0"),
        ({"lora": {"alpha": -1}}, "lora.alpha is -1"),
        ({"lora": {"dropout": 1}}, "lora.dropout is 1"),
        ({"lora": {"text": "query"}}, "lora.text is 'query'; give a list"),
        ({"lora": {"use_dora": "yes"}}, "lora.use_dora is 'yes'"),
        ({"lora": {"rank": 8}, "quantization": "2bit"}, "quantization is '2bit'; choose one of 8bit, 4bit"),
        ({"quantization": "8bit"}, "quantization is given without lora"),
    ],
)
def test_bad_fields_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=rf"^{sentence}.*\.$"):
        ModelArguments(**arguments)


def test_without_a_gpu_nothing_is_quantised(tmp_path):
    with pytest.raises(ValueError, match="quantization needs a CUDA device"):
        check_quantization(EmotionTrainingArguments(output_dir=str(tmp_path), use_cpu=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus_root):
    """Train a tiny fusion with adapters; return its results and folder."""
    place = tmp_path_factory.mktemp("adapters")

    def train_to(name, **options):
        recipe = place / f"{name}.yaml"
        folder = place / name
        recipe.write_text(yaml.safe_dump(tiny_recipe(corpus_root, folder, lora={"rank": 2}) | options))
        return train(parse_recipe([str(recipe)])), folder

    return train_to


@pytest.fixture(scope="module")
def trained(run):
    return run("trained", class_weights=[1, 2, 1, 1], save_total_limit=3, learning_rates={"audio_encoder": 1e-3})


def test_a_folder_holds_adapters_and_names_a_complete_base(trained):
    results, folder = trained
    for place in (folder, *folder.glob("checkpoint-*")):
        names = {file.name for file in place.iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors", "processor_config.json", "README.md"} <= names
        assert {"processing_emofusion.py", "tokenizer.json"} <= names
        assert not names & {"config.json", "model.safetensors", "training_args.bin", "adapter_model.bin"}
    base = folder / "base"
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base.resolve())
    assert {"config.json", "model.safetensors", "modeling_cross_attention.py", "README.md"} <= {
        file.name for file in base.iterdir()
    }
    assert results.adapter.base_model == str(base.resolve())
    weights = load_file(folder / "adapter_model.safetensors")
    assert sum(weight.numel() for weight in weights.values()) == results.parameters.trainable
    whole = sum(weight.numel() for weight in load_file(base / "model.safetensors").values())
    lora = sum(weight.numel() for name, weight in weights.items() if "lora_" in name)
    assert results.parameters.total == whole + lora


def test_the_card_says_that_it_is_an_adapter(trained):
    _, folder = trained
    page = (folder / "README.md").read_text()
    assert "library_name: peft" in page
    assert "- lora" in page
    assert "pip install peft" in page
    assert str(folder) not in page


def test_a_resumed_run_ends_with_the_same_weights(trained, run, tmp_path):
    results, folder = trained
    first = sorted(folder.glob("checkpoint-*"))[0]
    options = {"class_weights": [1, 2, 1, 1], "learning_rates": {"audio_encoder": 1e-3}}
    again, resumed = run("resumed", resume_from_checkpoint=str(first), **options)
    whole, rest = (load_file(place / "adapter_model.safetensors") for place in (folder, resumed))
    assert whole.keys() == rest.keys()
    assert all(torch.equal(weight, rest[name]) for name, weight in whole.items())
    assert again.metrics == results.metrics


def test_the_best_checkpoint_is_kept(trained):
    _, folder = trained
    state = json.loads(max(folder.glob("checkpoint-*/trainer_state.json")).read_text())
    best, last = (
        load_file(Path(place, "adapter_model.safetensors")) for place in (state["best_model_checkpoint"], folder)
    )
    assert all(torch.equal(weight, last[name]) for name, weight in best.items())


def test_a_frozen_prefix_is_cached_below_adapters(run, tmp_path):
    still = {**FUSION, "audio_config": FUSION["audio_config"] | {"num_hidden_layers": 2}, "freeze_audio_layers": 1}
    options = {"model_config": still, "num_train_epochs": 1, "head_epochs": 1}
    plain, _ = run("plain", **options)
    cached, _ = run("cached", cache_prefix=True, cache_dir=str(tmp_path), **options)
    assert cached.metrics["test"].nll == pytest.approx(plain.metrics["test"].nll, abs=1e-5)
    assert "lora" in cached.training


def test_an_unchanged_checkpoint_is_the_base(run):
    _, plain = run("whole", lora={}, num_train_epochs=1)
    options = {"model_name_or_path": str(plain), "num_train_epochs": 1}
    results, folder = run("on_whole", model_config={}, **options)
    assert results.adapter.base_model == str(plain.resolve())
    assert not (folder / "base").exists()
    results, folder = run("on_other", model_config={"classifier_dropout": 0.5}, **options)
    assert results.adapter.base_model == str((folder / "base").resolve())
