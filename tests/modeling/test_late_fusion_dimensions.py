"""Late fusion of dimensions: order of the members, missing inputs, training, saving."""

import pytest
import torch
from emofusion import LateFusionForSequenceClassification as LateFusion
from testing_common import CASES, make_batch
from testing_dimensions import BOTH, DIMENSIONS
from torch.testing import assert_close
from transformers import AutoModelForAudioClassification

BY_NAME = {case.name: case for case in CASES}
REVERSED = DIMENSIONS | {"dimensions": DIMENSIONS["dimensions"][::-1]}


def members() -> list:
    """Return a model of speech, and one of text that has the dimensions in another order."""
    return [BY_NAME["speech"].model(**DIMENSIONS), BY_NAME["text"].model(seed=1, **REVERSED)]


def unlabelled(*lengths) -> dict:
    batch = make_batch(*lengths)
    return {name: value for name, value in batch.items() if name != "labels"}


def values(model, batch) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch).logits


def test_mean_follows_order_of_fusion():
    batch, (speech, text) = unlabelled((4000, 2000), (5, 3)), members()
    fusion = LateFusion.from_members_pretrained([speech, text])
    assert fusion.config.dimensions == DIMENSIONS["dimensions"]
    expected = torch.stack([values(speech, batch), values(text, batch).flip(-1)])
    assert_close(values(fusion, batch), expected.mean(dim=0), atol=1e-5, rtol=1e-5)
    assert_close(fusion(**batch).embedding.view(2, 2, 3).transpose(0, 1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("combination", ["mean", "weighted", "linear"])
@pytest.mark.parametrize("missing", ["row", "batch"])
def test_member_without_input_is_left_out(combination, missing):
    batch, (speech, text) = unlabelled((4000, 4000), (5, 5)), members()
    fusion = LateFusion.from_members_pretrained([speech, text], combination=combination)
    if missing == "row":
        batch["audio_attention_mask"][1] = 0
    else:
        batch["input_values"] = batch["audio_attention_mask"] = None
    assert fusion(**batch).embedding[1, :3].isnan().all()
    assert_close(values(fusion, batch)[1], values(text, batch)[1].flip(-1), atol=1e-5, rtol=1e-5)
    batch["attention_mask"][1] = 0
    if missing == "row":
        assert_close(values(fusion, batch)[1], torch.full((3,), 4.0))  # the centre of the scale


def test_member_that_overflows_is_not_taken_for_missing():
    speech, text = members()
    with torch.no_grad():
        speech.dimension_head.outputs["valence"].bias.fill_(torch.nan)
    fusion = LateFusion.from_members_pretrained([speech, text])
    assert not values(fusion, unlabelled()).isfinite().all(dim=0)[1]


def test_members_with_classes_and_dimensions_are_fused_either_way(tmp_path):
    both = [BY_NAME[name].model(seed=seed, **BOTH) for seed, name in enumerate(("speech", "text"))]
    batch = unlabelled((4000, 2000), (5, 3))
    classes = LateFusion.from_members_pretrained(both)
    assert classes(**batch).dimensions is None
    expected = sum(values(member, batch).log_softmax(dim=-1) for member in both) / 2
    assert_close(values(classes, batch), expected.log_softmax(dim=-1), atol=1e-5, rtol=1e-5)
    fused = LateFusion.from_members_pretrained(both, problem_type="regression", combination="linear")
    expected = sum(member(**batch).dimensions for member in both) / 2
    assert_close(fused(**batch).logits, expected)
    fused.save_pretrained(tmp_path)
    loaded = AutoModelForAudioClassification.from_pretrained(tmp_path)
    assert_close(values(loaded, batch), values(fused, batch))


def test_only_combination_is_trained_with_frozen_members():
    fusion = LateFusion.from_members_pretrained(members(), combination="linear").train()
    batch = unlabelled() | {"labels": 1 + 6 * torch.rand(4, 3)}
    fusion(**batch).loss.backward()
    trained = {name for name, parameter in fusion.named_parameters() if parameter.grad is not None}
    assert trained == {"dimension_head.weight", "dimension_head.bias"}


def test_values_keep_float32_in_half_precision():
    fusion = LateFusion.from_members_pretrained(members(), combination="linear", dtype="bfloat16")
    batch = unlabelled((4000, 2000), (5, 3))
    batch["input_values"] = batch["input_values"].bfloat16()
    with torch.backends.mkldnn.flags(enabled=False):  # its bfloat16 convolution is wrong for few channels
        output = fusion(**batch)
    assert output.logits.dtype == output.embedding.dtype == torch.float32
