"""`dtype="auto"`: bfloat16 where the CPU has units for it and the results stay the same."""

import pytest
import torch
from emofusion import LateFusionForSequenceClassification
from emofusion.modeling import modeling_dtype
from emofusion.modeling.modeling_dtype import bfloat16_units, cast_if_equal, choose_dtype, synthetic_batch
from testing_common import CASES
from testing_dimensions import BOTH, DIMENSIONS
from testing_matrix import every_case

SMALL = {case.name: case for case in CASES}


@pytest.fixture
def units(monkeypatch):
    """A CPU with units for bfloat16, no lower limit of parameters, and a tolerance for small models of wide weights."""
    monkeypatch.setattr(modeling_dtype, "bfloat16_units", lambda: "AMX")
    monkeypatch.setattr(modeling_dtype, "LEAST_PARAMETERS", 0)
    monkeypatch.setattr(modeling_dtype, "TOLERANCE", 2.0)


def test_auto_is_bfloat16_only_for_large_float32_models_on_cpus_with_units(units, monkeypatch, tmp_path):
    model = SMALL["cross_attention"].model()
    model.save_pretrained(tmp_path)
    load = type(model).from_pretrained
    loaded = load(tmp_path, dtype="auto")
    assert loaded.dtype == loaded.config.dtype == loaded.config.audio_config.dtype == torch.bfloat16
    assert not loaded.training
    assert load(tmp_path).dtype == load(tmp_path, dtype="float32").dtype == torch.float32
    with monkeypatch.context() as patched:
        patched.setattr(modeling_dtype, "LEAST_PARAMETERS", 20_000_000)
        assert load(tmp_path, dtype="auto").dtype == torch.float32
    model.half().save_pretrained(tmp_path)
    assert load(tmp_path, dtype="auto").dtype == torch.float16
    monkeypatch.setattr(modeling_dtype, "bfloat16_units", lambda: None)
    assert choose_dtype(SMALL["cross_attention"].model()).dtype == torch.float32


@every_case
def test_results_of_every_variant_are_compared(case, units):
    model = case.model().eval()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    batch = synthetic_batch(model)
    with torch.no_grad():
        expected = model(**batch).logits.log_softmax(dim=-1)
    difference = cast_if_equal(model, batch)
    assert 0 < difference < 2
    assert model.dtype == torch.bfloat16
    with torch.no_grad():
        changed = model(**batch).logits.float().log_softmax(dim=-1)
    assert (changed - expected).abs().max() == pytest.approx(difference)
    assert weights.keys() == model.state_dict().keys()


@pytest.mark.parametrize("learned", [DIMENSIONS, BOTH], ids=["dimensions", "both"])
def test_dimensions_are_compared_in_units_of_half_their_scale(learned, units):
    model = SMALL["text"].model(**learned)
    batch, (lowest, highest) = synthetic_batch(model), model.config.dimension_scale

    def values():
        with torch.no_grad():
            output = model(**batch)
        return output.logits if model.config.is_regression else output.dimensions

    expected = values()
    difference = cast_if_equal(model, batch)
    found = (values() - expected).abs().max() / ((highest - lowest) / 2)
    assert 0 < found <= difference + 1e-6
    if model.config.is_regression:
        assert found == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize("kind", ["tolerance", "NaN"])
@pytest.mark.parametrize("name", ["multi_level", "speaker_resnet"])
def test_model_whose_results_change_stays_as_it_was(name, kind, units, monkeypatch):
    model = SMALL[name].model().train()
    if kind == "tolerance":
        monkeypatch.setattr(modeling_dtype, "TOLERANCE", 0.0)
    else:
        model.classifier.register_forward_hook(
            lambda module, inputs, output: output * torch.nan if output.dtype == torch.bfloat16 else output
        )
    weights = {key: value.clone() for key, value in (*model.named_parameters(), *model.named_buffers())}
    assert choose_dtype(model) is model
    assert model.config.dtype == torch.float32
    assert model.training
    for key, value in (*model.named_parameters(), *model.named_buffers()):
        assert value.dtype == weights[key].dtype
        assert torch.equal(value, weights[key])


def test_late_fusion_and_models_without_head_are_checked_too(units):
    members = [SMALL[name].model() for name in ("speech", "text")]
    fusion = LateFusionForSequenceClassification.from_members_pretrained(members)
    assert choose_dtype(fusion).dtype == torch.bfloat16
    assert choose_dtype(SMALL["text"].model(head=False)).dtype == torch.bfloat16


def test_units_are_those_of_this_cpu():
    assert bfloat16_units() in ("AMX", "AVX512-BF16", None)
