"""Checks of models that learn dimensions, or classes and dimensions, once over all variants."""

import pytest
import torch
from emofusion.configuration import VARIANTS
from testing_common import CASES, CLASSES, FUSION_MEMBER, INPUTS, SPEECH_MEMBER, TEXT_MEMBER, Case, make_batch
from testing_dimensions import BOTH, DIMENSIONS, with_dimension_labels
from testing_matrix import sparse_batch
from torch.testing import assert_close
from transformers import AutoModelForAudioClassification
from transformers.utils import find_labels

NAMES = ("speech-layer-norm", "cross_attention-layer-sums", "speaker_resnet", "multi_level", "wavfusion")
BY_NAME = {case.name: case for case in CASES}
MEMBERS = [SPEECH_MEMBER, TEXT_MEMBER | {"dimensions": DIMENSIONS["dimensions"][::-1]}, FUSION_MEMBER]
FUSION = Case(
    "late_fusion", "late_fusion", {"combination": "weighted", "freeze_members": False, "member_configs": MEMBERS}
)


def outputs(model, batch) -> torch.Tensor:
    """Return all answers of a model, the values of dimensions in units of half their scale."""
    output, (lowest, highest) = model(**batch), model.config.dimension_scale
    values = output.logits if model.config.is_regression else output.dimensions
    units = (values - (lowest + highest) / 2) / ((highest - lowest) / 2)
    return units if model.config.is_regression else torch.cat([output.logits.log_softmax(dim=-1), units], dim=-1)


def build(case: Case, learned: dict):
    model = case.model(dropout=False, **learned)
    return model, with_dimension_labels(sparse_batch(case), model.config)


every_variant = pytest.mark.parametrize(
    ("case", "learned"),
    [*((BY_NAME[name], learned) for name in NAMES for learned in (DIMENSIONS, BOTH)), (FUSION, DIMENSIONS)],
    ids=lambda value: value.name if isinstance(value, Case) else value.get("problem_type", "both"),
)


def test_every_variant_is_covered():
    assert {case.variant for case in (*(BY_NAME[name] for name in NAMES), FUSION)} == set(VARIANTS)


def test_trainer_of_transformers_takes_labels_only_for_labels():
    assert find_labels(type(BY_NAME["wavfusion"].model())) == ["labels"]


@every_variant
def test_forward_contract_holds(case, learned, tmp_path):
    model, batch = build(case, learned)
    output = model(**batch)
    names = {"dimensions"} if model.config.is_regression else {"cross_entropy", "dimensions"}
    assert set(output.losses) - {"discrepancy"} == names
    assert set(output.losses) == set(model.config.loss_parts)
    assert_close(sum(output.losses.values()), output.loss)
    assert output.logits.shape == (4, CLASSES)
    assert output.logits.dtype == output.loss.dtype == torch.float32
    assert ("dimensions" in output) == (not model.config.is_regression)

    with torch.no_grad():
        expected = outputs(model, batch)
        wider = make_batch(*(batch[mask].sum(dim=1).tolist() for _, mask in INPUTS.values()), padding=20)
        for values, mask in INPUTS.values():
            wider[values][:, : batch[values].shape[1]] = batch[values]
            hidden = (wider[mask] == 0).view(*wider[mask].shape, *[1] * (wider[values].ndim - 2))
            wider[values] = wider[values].masked_fill(hidden, 7)  # arbitrary values
        labels = {name: batch[name] for name in ("labels", "dimension_labels") if name in batch}
        assert_close(outputs(model, wider | labels), expected, atol=1e-5, rtol=0)
        assert torch.equal(model(encoded=model.encode(**batch), **labels).loss, output.loss)

    model.save_pretrained(tmp_path)
    loaded = AutoModelForAudioClassification.from_pretrained(tmp_path)
    assert loaded.config.to_dict() | {"_name_or_path": ""} == model.config.to_dict() | {"_name_or_path": ""}
    assert_close(dict(loaded.state_dict()), dict(model.state_dict()), atol=0, rtol=0)
    with torch.no_grad():
        assert_close(outputs(loaded, batch), expected)


@pytest.mark.parametrize(
    ("case", "learned"),
    [*((BY_NAME[name], BOTH) for name in NAMES), (FUSION, DIMENSIONS)],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_gradients_reach_all_parameters(case, learned):
    model, batch = build(case, learned)
    model.train()
    model(**batch).loss.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
        if name.startswith(("classifier.", "dimension_head.")):
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("name", ["cross_attention-layer-sums", "wavfusion"])
def test_classifier_is_starting_point_for_dimensions_and_back(name, tmp_path):
    case = BY_NAME[name]
    old = case.model()
    old.save_pretrained(tmp_path / "classes")
    config = case.config(**DIMENSIONS)
    with pytest.raises(ValueError, match=r"lacks \d+ weights of .*dimension_head\."):
        type(old).from_pretrained(tmp_path / "classes", config=config)
    new, info = type(old).from_pretrained(tmp_path / "classes", config=config, output_loading_info=True)
    assert all(key.startswith("dimension_head.") for key in info["missing_keys"])
    assert len(info["missing_keys"]) >= 2 * len(config.dimensions)
    kept = {key: value for key, value in old.base_model.state_dict().items() if "homogeneous" not in key}
    assert_close({key: new.base_model.state_dict()[key] for key in kept}, kept, atol=0, rtol=0)

    new.save_pretrained(tmp_path / "values")
    config = case.config(**BOTH)  # two of its three dimensions, in another order, and in another scale
    back, info = type(old).from_pretrained(tmp_path / "values", config=config, output_loading_info=True)
    assert all(key.startswith(("classifier.", "model.homogeneous")) for key in info["missing_keys"])
    for dimension in BOTH["dimensions"]:
        assert_close(
            back.dimension_head.outputs[dimension].state_dict(), new.dimension_head.outputs[dimension].state_dict()
        )
