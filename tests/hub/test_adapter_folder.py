"""Folders of adapters, loaded in every way by a process that cannot import emofusion."""

import pytest
import torch
import transformers
from emofusion.hub import write_bundle
from emofusion.hub.loadable import check_loadable
from emofusion.processing import EmoFusionProcessor
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from packaging.version import Version
from safetensors.torch import load_file, save_file
from testing_common import CASES, IMAGE
from testing_dimensions import BOTH, DIMENSIONS
from transformers import BertTokenizer, ViTImageProcessorPil, Wav2Vec2FeatureExtractor

NAMES = ("cross_attention-layer-sums", "multi_level", "wavfusion", "speech-wavlm")
# What two of them learn instead of classes, or besides them.
LEARNED = {"multi_level": DIMENSIONS, "wavfusion": BOTH}
# transformers 5.17 loads no completely trained modules; our loading raises an error there.
LOADS_ALL = Version(transformers.__version__) >= Version("5.23")

LOAD = """
import sys

import torch
from peft import AutoPeftModelForSequenceClassification, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForAudioClassification, AutoProcessor

loads_all, *folders = sys.argv[1:]
remote = {"trust_remote_code": True}
for folder in folders:
    processor = AutoProcessor.from_pretrained(folder, **remote)
    base = AutoModelForAudioClassification.from_pretrained(f"{folder}-base", **remote)
    given = {name: value.numpy() for name, value in load_file("given.safetensors").items()} | {"text": "hello there"}
    batch = processor(**{name: given[name] for name in base.config.modalities}, sampling_rate=16000)
    with torch.no_grad():
        outputs = {"base": base(**batch).logits}
        outputs["peft"] = PeftModel.from_pretrained(base, folder).eval()(**batch).logits
        auto = AutoPeftModelForSequenceClassification.from_pretrained(folder, **remote)
        outputs["auto"] = auto.eval()(**batch).logits
        try:
            outputs["native"] = AutoModelForAudioClassification.from_pretrained(folder, **remote)(**batch).logits
        except ValueError as error:
            assert loads_all == "False" and "peft.PeftModel.from_pretrained" in str(error), error
    save_file(outputs, f"{folder}.safetensors")
"""


def save_adapters(root, name):
    """Write a base and adapters that change its output; return the model and its processor."""
    model = next(case for case in CASES if case.name == name).model(dropout=False, **LEARNED.get(name, {}))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "there"]
    modalities = model.config.modalities
    processor = EmoFusionProcessor(
        Wav2Vec2FeatureExtractor(),
        BertTokenizer(vocab={token: number for number, token in enumerate(vocabulary)})
        if "text" in modalities
        else None,
        ViTImageProcessorPil(size={"height": IMAGE, "width": IMAGE}) if "video" in modalities else None,
    )
    base = root / f"{name}-base"
    model.save_pretrained(base)
    processor.save_pretrained(base)
    write_bundle(model, base, processor)
    model.name_or_path = str(base)
    adapted = put_adapters(model, Lora(rank=2), find_targets(model, Lora()))
    for weight in adapted.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(root / name)
    processor.save_pretrained(root / name)
    write_bundle(None, root / name, processor)
    return adapted.eval(), processor


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return root, {name: save_adapters(root, name) for name in NAMES}


@pytest.fixture(scope="module")
def elsewhere(saved, run_python):
    """Inputs, and the outputs for them of all folders in one process without emofusion."""
    root, _ = saved
    given = {"audio": 0.1 * torch.randn(4000), "video": torch.randint(0, 256, (3, 20, 24, 3), dtype=torch.uint8)}
    save_file(given, root / "given.safetensors")
    run_python(LOAD, LOADS_ALL, *NAMES, cwd=root)
    return given, {name: load_file(root / f"{name}.safetensors") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_loading_gives_the_same_outputs(saved, elsewhere, name):
    _, models = saved
    (model, processor), (given, outputs) = models[name], elsewhere
    given = {modality: value.numpy() for modality, value in given.items()} | {"text": "hello there"}
    batch = processor(**{modality: given[modality] for modality in model.config.modalities}, sampling_rate=16000)
    with torch.no_grad():
        expected = model(**batch).logits
    assert (expected - outputs[name].pop("base")).abs().max() > 1e-2
    assert set(outputs[name]) == ({"peft", "auto", "native"} if LOADS_ALL else {"peft", "auto"})
    for way, logits in outputs[name].items():
        torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-6, msg=way)


@pytest.mark.parametrize("name", LEARNED)
def test_a_head_of_dimensions_is_saved_and_needed(saved, name):
    root, _ = saved
    folder = root / name
    weights = load_file(folder / "adapter_model.safetensors")
    heads = {key for key in weights if "dimension_head." in key}
    assert len(heads) >= 2 * len(LEARNED[name]["dimensions"])
    check_loadable(folder)
    save_file({key: weights[key] for key in weights.keys() - heads}, folder / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"lacks .*dimension_head"):
        check_loadable(folder)
    save_file(weights, folder / "adapter_model.safetensors")


def test_the_folder_is_small_and_has_only_the_code_of_its_processor(saved):
    root, _ = saved
    for name in NAMES:
        names = {file.name for file in (root / name).iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors", "processor_config.json"} <= names
        code = {name for name in names if name.endswith(".py")} - {"configuration_checks.py"}  # of all configurations
        assert "processing_emofusion.py" in code
        assert not [name for name in code if name.startswith(("configuration_", "encoder_", "fusion_", "modeling_"))]
        assert "config.json" not in names  # with it, transformers would take the folder for the base
