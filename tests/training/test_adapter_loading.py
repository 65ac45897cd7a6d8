"""Files of adapters that lack weights, or have others, are refused by every loader."""

import json
import warnings

import pytest
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from emofusion.training.adapters.merge import merge_adapter
from emofusion.training.checkpoints import check_weights
from peft import PeftModel
from safetensors.torch import load_file, save_file
from testing_common import CASES

CASE = next(case for case in CASES if case.name == "cross_attention")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """A folder of untrained adapters, with their base model beside it; neither warns of what is deprecated."""
    folder = tmp_path_factory.mktemp("adapters")
    model = CASE.model()
    model.save_pretrained(folder / "base")
    model.name_or_path = str(folder / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        adapted = put_adapters(model, Lora(rank=2), find_targets(model, Lora(rank=2)))
        adapted.save_pretrained(folder / "adapter")
        PeftModel.from_pretrained(CASE.model(), folder / "adapter")
    return folder / "adapter", adapted


def without(word):
    return lambda weights: {name: weight for name, weight in weights.items() if word not in name}


def halved(weights):
    return {name: weight[:1].clone() if "lora_A" in name else weight for name, weight in weights.items()}


def renamed(weights):
    return {name.replace("attention.q_proj.lora", "attention.o_proj.lora"): weight for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("lora_"), r"lacks \d+ weights \(.*lora_A"),
        (without("lora_B"), r"lacks \d+ weights \(.*lora_B"),
        (without("audio_encoder"), r"lacks \d+ weights"),
        (halved, "shape"),
        (renamed, "lacks|unlike"),
        (
            lambda weights: weights | {"base_model.model.x.lora_A.weight": next(iter(weights.values())).clone()},
            "unlike",
        ),
        (without("classifier"), "classifier"),
        (without(""), "missing_modality|none"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_every_loader(adapter, change, problem, tmp_path):
    folder, adapted = adapter
    weights = change(load_file(folder / "adapter_model.safetensors"))
    tmp_path.joinpath("adapter_config.json").write_bytes((folder / "adapter_config.json").read_bytes())
    save_file(weights, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises((ValueError, KeyError), match=problem):  # peft's own error, where a whole module is missing
        PeftModel.from_pretrained(CASE.model(), tmp_path)
    with pytest.raises(ValueError, match="adapters") as caught:
        merge_adapter(tmp_path, tmp_path / "merged")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"The weights in .* do not fit the model"):  # as a resumed training
        check_weights(tmp_path, adapted)


def test_whole_adapters_fit(adapter):
    check_weights(*adapter)


@pytest.mark.parametrize("base", [["a", "b"], None, 3])
def test_a_base_that_is_no_name_is_refused(adapter, base, tmp_path):
    for file in adapter[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    fields = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(fields | {"base_model_name_or_path": base}))
    with pytest.raises(ValueError, match=r"base_model_name_or_path .*--base"):
        merge_adapter(tmp_path, tmp_path / "merged")
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        merge_adapter(tmp_path, tmp_path / "merged")
