"""The rule for the device and the dtype of a model that infers."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from emofusion.cli.loading import describe_model, load_pipeline
from emofusion.inference.identity import identify_model
from emofusion.modeling import modeling_dtype
from emofusion.training.adapters.lora import find_targets, put_adapters
from emofusion.training.adapters.lora_settings import Lora
from testing_model_folder import make_model_folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders of a model that was saved in float32, in bfloat16, and of adapters for the first."""
    place = tmp_path_factory.mktemp("saved")
    model, _ = make_model_folder(place / "full")
    shutil.copytree(place / "full", place / "half")
    model.to(torch.bfloat16).save_pretrained(place / "half")
    return place


@pytest.fixture
def units(monkeypatch):
    """A CPU with units for bfloat16, and no lower limit of parameters."""
    monkeypatch.setattr(modeling_dtype, "bfloat16_units", lambda: "AMX")
    monkeypatch.setattr(modeling_dtype, "LEAST_PARAMETERS", 0)
    monkeypatch.setattr(modeling_dtype, "TOLERANCE", 2.0)


def load(folder, dtype):
    """Return the dtype of all weights, and the sentence of a command."""
    said = []
    model = load_pipeline(str(folder), device="cpu", dtype=dtype, report=said.append).model
    (dtype,) = {weight.dtype for weight in model.parameters()}
    return dtype, *said


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("full", None, "float32"),
        ("full", "float32", "float32"),
        ("full", "float16", "float16"),
        ("half", "auto", "bfloat16"),
        ("half", None, "bfloat16"),
        ("half", "float32", "float32"),
    ],
)
def test_model_runs_in_the_saved_dtype_unless_another_is_given(saved, units, name, dtype, expected):
    assert load(saved / name, dtype) == (getattr(torch, expected), f"{name} runs on the CPU in {expected}.")


def test_auto_says_why_and_how_to_change_it(saved, units, monkeypatch):
    logged = []
    monkeypatch.setattr(modeling_dtype.logger, "warning_once", logged.append)
    reason = "bfloat16, for which this CPU has units (AMX); --dtype float32 is slower and more precise."
    assert load(saved / "full", "auto") == (torch.bfloat16, f"full runs on the CPU in {reason}")
    monkeypatch.setattr(modeling_dtype, "TOLERANCE", 0.0)
    dtype, sentence = load(saved / "full", "auto")
    assert dtype == torch.float32
    assert sentence.startswith("full runs on the CPU in float32, since bfloat16 changes the scores of a test by ")
    assert not logged  # each is said once


@pytest.mark.parametrize(
    ("dtype", "own", "rest"),
    [
        ("auto", torch.float32, "float32; --dtype bfloat16 is faster and less precise."),
        ("float32", torch.float32, "float32."),
        ("auto", torch.bfloat16, "bfloat16."),
    ],
)
def test_gpu_keeps_the_saved_dtype_and_the_option_is_named(monkeypatch, dtype, own, rest):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: True)
    recognise = SimpleNamespace(model=SimpleNamespace(dtype=own), device=torch.device("cuda:1"))
    assert describe_model("a/b", recognise, dtype) == f"a/b runs on the GPU cuda:1 in {rest}"


def test_python_reads_of_an_argument(saved, units, monkeypatch):
    said = []
    monkeypatch.setattr(modeling_dtype.logger, "warning_once", said.append)
    assert load_pipeline(str(saved / "full"), device="cpu").model.dtype == torch.bfloat16
    assert [sentence.endswith('; pass dtype="float32" for float32.') for sentence in said] == [True]


def test_adapters_follow_the_rule(units, tmp_path):
    base, folder = tmp_path / "base", tmp_path / "adapters"
    model, processor = make_model_folder(base)
    model.name_or_path = str(base)
    put_adapters(model, Lora(rank=2), find_targets(model, Lora(rank=2))).save_pretrained(folder)
    processor.save_pretrained(folder)
    for dtype, expected in ((None, "float32"), ("auto", "bfloat16"), ("float16", "float16")):
        assert load(folder, dtype)[0] == getattr(torch, expected)
    recognise = load_pipeline(str(folder), device="cpu")
    before = identify_model(str(folder), recognise)
    (base / "config.json").write_text((base / "config.json").read_text() + "\n")
    assert identify_model(str(folder), recognise) != before
