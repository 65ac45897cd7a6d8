"""Folders that cannot be pushed because a part of the model is missing, damaged or of another model."""

import json
import re

import pytest
import torch
from emofusion import SpeakerResNetConfig, SpeakerResNetForSpeakerRecognition
from emofusion.evaluation.results import SpeakerData, SpeakerResults
from emofusion.hub import write_bundle, write_card
from emofusion.hub.contents import collect_contents
from emofusion.hub.loadable import _expand, check_loadable
from emofusion.processing import EmoFusionProcessor
from emofusion.training.adapters.lora import _as_pattern
from safetensors.torch import load_file, save_file
from testing_model_folder import change_results, make_adapter
from transformers import BertTokenizer, Wav2Vec2FeatureExtractor


def change_weights(change, name="model.safetensors"):
    def run(folder):
        weights = load_file(folder / name)
        change(weights)
        save_file(weights, folder / name, metadata={"format": "pt"})

    return run


def change_json(name, **fields):
    def run(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return run


def remove(name):
    return lambda folder: (folder / name).unlink()


def replace_tokenizer(folder):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(500))]
    BertTokenizer(vocab={token: number for number, token in enumerate(tokens)}).save_pretrained(folder)


BROKEN = {
    "no tokenizer": (remove("tokenizer.json"), "tokenizer"),
    "another tokenizer": (replace_tokenizer, "token ids up to 504"),
    "no processor": (remove("processor_config.json"), "has no processor_config.json"),
    "a weight less": (change_weights(lambda weights: weights.pop("classifier.bias")), r"classifier\.bias"),
    "a weight more": (change_weights(lambda weights: weights.update(other=torch.ones(1))), "other"),
    "NaN": (change_weights(lambda weights: weights["classifier.bias"].fill_(torch.nan)), "NaN"),
    "no class": (change_json("config.json", architectures=None), "names no class of its model"),
    "a class that is no string": (change_json("config.json", architectures=[3]), r"names no class|architectures"),
    "equal names": (change_json("config.json", id2label={"0": "a", "1": "a", "2": "b"}), "id2label|labels"),
    "labels of another run": (
        change_json("results.json", labels=["sad", "happy", "calm"]),
        "they are of different runs",
    ),
    "results of another format": (change_json("results.json", format=7), "format 7 is unknown"),
    "results of a wrong type": (
        change_json("results.json", labels=[["sad"]]),
        r"labels: item 0: \['sad'\] must be a string",
    ),
    "results that are a list": (lambda folder: (folder / "results.json").write_text("[]"), "not the result of a run"),
    "cut results": (lambda folder: (folder / "results.json").write_text('{"format"'), "results.json is not readable"),
}


def test_a_complete_folder_is_accepted(folder):
    assert "model.safetensors" in collect_contents(folder).files


@pytest.mark.parametrize("case", BROKEN)
def test_an_incomplete_folder_is_refused_in_one_sentence(folder, case):
    damage, message = BROKEN[case]
    damage(folder)
    with pytest.raises((ValueError, OSError), match=message) as caught:
        collect_contents(folder)
    assert "\n" not in str(caught.value)
    assert "cross_attention" in str(caught.value)


def drop(*parts):
    def change(weights):
        for name in [name for name in weights if any(part in name for part in parts)]:
            del weights[name]

    return change_weights(change, "adapter_model.safetensors")


BROKEN_ADAPTERS = {
    "no matrices": (drop("lora"), r"lacks the LoRA matrices .* \(model\.audio_encoder\.layers\.0\.query, "),
    "half of the matrices": (
        drop("0.query.lora_B"),
        r"lacks the LoRA matrices .* \(model\.audio_encoder\.layers\.0\.query\)",
    ),
    "a layer less": (drop("1.query"), r"lacks the LoRA matrices .* \(model\.audio_encoder\.layers\.1\.query\)"),
    "no head": (drop("classifier"), r"lacks modules .* \(classifier\)"),
    "a module less": (
        change_json("adapter_config.json", modules_to_save=["model.fusion"]),
        r"modules .* \(model\.fusion\)",
    ),
    "NaN": (
        change_weights(lambda weights: next(iter(weights.values())).fill_(torch.nan), "adapter_model.safetensors"),
        "NaN or infinite numbers in",
    ),
    "other layers": (change_json("adapter_config.json", target_modules=["value"]), r"matrices .* \(value\)"),
}


@pytest.mark.parametrize("case", [None, *BROKEN_ADAPTERS])
def test_incomplete_adapters_are_refused(folder, case):
    make_adapter(folder, "someone/base")
    if case is None:
        check_loadable(folder)
        return
    damage, message = BROKEN_ADAPTERS[case]
    damage(folder)
    with pytest.raises(ValueError, match=message) as caught:
        collect_contents(folder)
    assert re.search(r"adapter_model\.safetensors|adapter_config\.json", str(caught.value))


def test_the_processor_of_adapters_is_compared_with_a_base_on_this_machine(folder, made):
    make_adapter(folder, made)
    check_loadable(folder)
    replace_tokenizer(folder)
    with pytest.raises(ValueError, match="token ids up to 504"):
        check_loadable(folder)


def test_patterns_of_layers_are_expanded():
    names = [
        "model.a_encoder.layers.0.q",
        "model.a_encoder.layers.11.q",
        "model.a_encoder.layers.0.v",
        "model.text.w-1",
    ]
    assert set(_expand(_as_pattern(names))) == set(names)
    assert list(_expand("(a(b)c)+")) == []


def test_a_speaker_network_is_accepted(tmp_path):
    sizes = {"num_mel_bins": 16, "hidden_sizes": [4, 8], "depths": [1, 2], "embedding_size": 12, "num_speakers": 3}
    model = SpeakerResNetForSpeakerRecognition(SpeakerResNetConfig(**sizes))
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(), None)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    write_bundle(model, tmp_path, processor)
    SpeakerResults(p_target=0.01, data=SpeakerData(speakers=3, training=9, validation=3)).write(tmp_path)
    write_card(tmp_path)
    assert "config.json" in collect_contents(tmp_path).files
    change_results(tmp_path, data={"speakers": "many"})
    with pytest.raises(ValueError, match="data: speakers: 'many' must be an integer"):
        collect_contents(tmp_path)
