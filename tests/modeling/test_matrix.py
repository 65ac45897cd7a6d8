"""Checks of the forward contract over all variants."""

import pytest
import torch
from emofusion.configuration import VARIANTS
from emofusion.configuration.modalities import MODALITIES
from testing_common import CASES, CLASSES, INPUTS, SEGMENTS, make_batch, row
from testing_matrix import (
    built,
    copied,
    every_case,
    every_encoding_case,
    every_encoding_fusion,
    every_fusion,
    log_probabilities,
    sparse_batch,
)
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoModelForSequenceClassification

FIRST = {case.variant: case for case in reversed(CASES)}.values()
EAGER_ONLY = {"wavlm", "deberta-v2"}


def layers_below_fusion(config, modality) -> int:
    if modality == "video":
        return 0
    return config.num_audio_layers if modality == "audio" else config.num_encoder_layers(modality)


def assert_identical(actual, expected) -> None:
    assert_close(actual, expected, atol=0, rtol=0)


def test_every_variant_has_case():
    assert {case.variant for case in CASES} == set(VARIANTS)
    assert len({case.name for case in CASES}) == len(CASES)


@every_case
def test_outputs_have_documented_shapes(case):
    model, batch = built(case), make_batch()
    output = model(**batch)
    assert output.loss.shape == ()
    assert output.logits.shape == (4, CLASSES)
    assert output.embedding.shape == (4, model.config.embedding_size)
    assert_close(sum(output.losses.values()), output.loss)
    assert list(output.keys())[:4] == ["loss", "logits", "embedding", "losses"]
    assert not {"cross_attentions", "gates", "hidden_states", "attentions"} & set(output.keys())
    assert model(**batch | {"labels": None}).loss is None
    base = model.base_model(**batch)
    assert "losses" not in base
    assert torch.equal(base.embedding, output.embedding)


@every_encoding_case
def test_hidden_states_are_returned_on_request(case):
    model, batch = built(case), make_batch()
    output = model(**batch, output_hidden_states=True)
    assert set(output.hidden_states) == set(case.modalities)
    for modality, states in output.hidden_states.items():
        assert len(states) == layers_below_fusion(model.config, modality) + 1
        assert {state.shape[-1] for state in states} == {model.config.state_size(modality)}
    assert torch.equal(output.logits, model(**batch).logits)


@every_case
def test_tuple_has_values_of_output(case):
    model, batch = built(case), make_batch()
    assert_identical(model(**batch, return_dict=False), model(**batch).to_tuple())
    assert_identical(model.base_model(**batch, return_dict=False), model.base_model(**batch).to_tuple())


@every_case
def test_padding_never_changes_row(case):
    model, batch, padded = built(case), make_batch(), make_batch(padding=700)
    for values, mask in INPUTS.values():
        padded[values][:, : batch[values].shape[1]] = batch[values]
        hidden = (padded[mask] == 0).view(*padded[mask].shape, *[1] * (padded[values].ndim - 2))
        padded[values] = padded[values].masked_fill(hidden, 7)  # arbitrary values
    expected = log_probabilities(model, batch)
    if "text" in case.modalities:  # BERT has 32 positions
        padded |= {name: padded[name][:, :30] for name in INPUTS["text"]}
    assert_close(log_probabilities(model, padded), expected, atol=1e-5, rtol=0)
    assert expected.std(dim=0).max() > 0.01  # rows differ, so the check above is meaningful


@every_case
def test_batch_mates_never_change_row(case):
    model = copied(built(case)).double()  # in float32 rounding may grow to 2e-5
    for batch in (make_batch(), sparse_batch(case)):
        together = log_probabilities(model, batch)
        for index in range(4):
            alone = row(batch, index)
            if any(INPUTS[modality][0] in alone for modality in case.modalities):
                assert_close(log_probabilities(model, alone), together[index : index + 1], atol=1e-5, rtol=0)


@every_case
def test_order_of_rows_changes_no_output(case):
    model, batch, order = built(case), make_batch(), torch.tensor([2, 0, 3, 1])
    shuffled = {name: value[order] for name, value in batch.items()}
    assert_close(log_probabilities(model, shuffled), log_probabilities(model, batch)[order], atol=1e-5, rtol=0)


@every_case
def test_missing_masks_mean_all_ones(case):
    model, batch = built(case), make_batch((4000,) * 2, (5,) * 2, (3,) * 2)
    bare = {name: value for name, value in batch.items() if "mask" not in name}
    assert torch.equal(log_probabilities(model, bare), log_probabilities(model, batch))


@every_case
def test_unused_inputs_are_ignored(case):
    model, batch = built(case), make_batch()
    other = {name: None for modality in INPUTS if modality not in case.modalities for name in INPUTS[modality]}
    other |= {f"{level}_spans": None for level in SEGMENTS if level not in model.config.span_levels}
    assert torch.equal(log_probabilities(model, batch | other), log_probabilities(model, batch))


@every_fusion
def test_modality_missing_in_rows_equals_missing_in_batch(case):
    model, batch = built(case), make_batch()
    full = log_probabilities(model, batch)
    for modality in case.modalities:
        values, mask = INPUTS[modality]
        by_row = log_probabilities(model, batch | {mask: torch.zeros_like(batch[mask])})
        by_batch = log_probabilities(model, batch | {values: None, mask: None})
        assert_close(by_row, by_batch, atol=1e-5, rtol=0)
        assert (by_row - full).abs().max() > 1e-3


@every_case
def test_row_without_any_modality_ignores_its_padding(case):
    model, batch = built(case), make_batch()
    for _, mask in INPUTS.values():
        batch[mask][1:3] = 0
    outputs = log_probabilities(model, batch)
    assert outputs.isfinite().all()
    assert_close(outputs[1], outputs[2], atol=1e-5, rtol=0)


@every_case
def test_batch_without_inputs_is_refused(case):
    with pytest.raises(ValueError, match=r"^The batch has no input for \w+; give \w+.*\.$"):
        built(case)(labels=torch.tensor([0]))


@every_case
def test_saving_and_loading_keep_every_output(case, tmp_path):
    model, batch = built(case), make_batch()
    model.save_pretrained(tmp_path)
    output = model(**batch)
    # Freezing is saved with `type(model)` in test_matrix_training.py. The classes of transformers know variants only.
    loaders = [AutoModelForAudioClassification, AutoModelForSequenceClassification]
    for loader in loaders if case in FIRST else loaders[:1]:
        loaded, info = loader.from_pretrained(tmp_path, output_loading_info=True)
        assert type(loaded) is type(model)
        assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        assert not loaded.training
        assert_identical(loaded.state_dict(), model.state_dict())
        assert_close(loaded(**batch).logits, output.logits)
    base = AutoModel.from_pretrained(tmp_path)
    assert type(base) is type(model.base_model)
    assert_identical(base.state_dict(), model.base_model.state_dict())
    assert_close(base(**batch).embedding, output.embedding)


@every_case
def test_configuration_survives_round_trip(case, tmp_path):
    config = case.config(class_weights=[1.0, 2.0, 0.5], id2label={0: "angry", 1: "happy", 2: "sad"})
    config.save_pretrained(tmp_path)
    for loaded in (type(config).from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is type(config)
        assert loaded.to_dict() | {"_name_or_path": ""} == config.to_dict()
        for name in (MODALITIES[modality].config_field for modality in config.encoders):
            assert type(getattr(loaded, name)) is type(getattr(config, name))


@every_encoding_case
def test_eager_attention_equals_sdpa_and_returns_maps(case, tmp_path):
    built(case).save_pretrained(tmp_path)
    batch, outputs = make_batch(), {}
    config = case.config()
    types = {getattr(config, MODALITIES[modality].config_field).model_type for modality in config.encoders}
    sdpa = None if types & EAGER_ONLY else "sdpa"  # None: each encoder uses its default
    for kind in ("eager", sdpa):
        model = AutoModelForAudioClassification.from_pretrained(tmp_path, attn_implementation=kind)
        outputs[kind] = model(**batch, output_attentions=True)
        assert_close(model(**batch).logits, outputs[kind].logits, atol=1e-5, rtol=0)
    assert_close(outputs["eager"].logits, outputs[sdpa].logits, atol=1e-5, rtol=0)
    assert set(outputs["eager"].attentions) == set(case.modalities)
    for modality in config.encoders:
        maps = outputs["eager"].attentions[modality]
        config = getattr(model.config, MODALITIES[modality].config_field)
        assert len(maps) == layers_below_fusion(model.config, modality)
        for weights in maps:
            assert weights.shape[:2] == (4, config.num_attention_heads)
            assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))


@every_encoding_fusion
def test_fusion_maps_are_distributions(case):
    model, batch = case.model(), make_batch()
    sizes = {
        "audio": 18,
        "text": 9,
        "video": 5,
        "word": 6,
        "syllable": 6,
        "phone": 9,
    }  # one row falls back to 6 frames
    padding = (batch["attention_mask"] == 0)[:, None, None]
    for kind in ("eager", "sdpa"):
        model.set_attn_implementation(kind)
        assert model(**batch).cross_attentions is None
        maps = model(**batch, output_attentions=True).cross_attentions
        assert (maps is None) == case.name.endswith("concat")
        for name, weights in (maps or {}).items():
            level, (queries, keys) = name.split("_")[0], name.split("_")[-2:]
            shape = [sizes[level if part == "audio" and level in SEGMENTS else part] for part in (queries, keys)]
            assert weights.shape == (4, model.config.num_attention_heads, *shape)
            assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
            if keys == "text":
                assert (weights[padding.expand_as(weights)] == 0).all()
            if keys == "audio":
                assert (weights[1, ..., 1:] == 0).all()  # 300 samples are one frame


@every_case
@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_bfloat16_is_near_float32(case):
    model, batch = case.model(), sparse_batch(case)
    exact = log_probabilities(model, batch)
    floats = ("input_values", "pixel_values_videos")
    batch |= {name: batch[name].bfloat16() for name in floats}
    model.to(torch.bfloat16).float()
    rounded = log_probabilities(model, batch | {name: batch[name].float() for name in floats})
    model.to(torch.bfloat16)
    # oneDNN's bfloat16 convolution is wrong on some CPUs for at most 8 channels per group, which no real encoder has.
    with torch.backends.mkldnn.flags(enabled=False):
        low = log_probabilities(model, batch).float()
        output = model.train()(**batch)
        output.loss.backward()
    # Rounding every state costs a few times as much as rounding weights and inputs only.
    bound = 4 * (rounded - exact).abs().max().item() + 0.01
    assert_close(low, exact, atol=bound, rtol=0)
    assert output.logits.dtype == torch.bfloat16
    assert output.loss.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@every_case
def test_two_stages_equal_one_pass(case):
    full, sparse = make_batch(), sparse_batch(case)
    for number, freezing in enumerate(case.freezings):
        model = copied(built(case, **freezing))
        # Both modes see both batches over the settings of freezing, each setting one of the pairs.
        pairs = [(False, full), (True, sparse), (False, sparse), (True, full)]
        if len(case.freezings) > 3:
            pairs = [pairs[number % 4]]
        for mode, batch in pairs:
            model.train(mode)
            torch.manual_seed(1)
            whole = model(**batch)
            encoded = model.encode(**batch)
            torch.manual_seed(1)
            staged = model(encoded=encoded, labels=batch["labels"])
            assert torch.equal(staged.logits, whole.logits), (freezing, mode)
            assert torch.equal(staged.loss, whole.loss), (freezing, mode)


@every_case
def test_first_stage_has_no_graph_and_is_deterministic(case):
    for freezing in case.freezings:
        model = built(case, **freezing).train()
        first, second = (model.encode(**make_batch()) for _ in range(2))
        assert first.keys() == second.keys()
        assert first.get("lengths") == second.get("lengths")
        for name in first.keys() - {"lengths"}:
            assert not first[name].requires_grad, (freezing, name)
            assert torch.equal(first[name], second[name]), (freezing, name)


@every_fusion
def test_first_stage_may_have_one_modality_only(case):
    model, batch = built(case, **case.freezings[-1]), make_batch()
    for modality in case.modalities:
        alone = {name: batch[name] for name in INPUTS[modality]}
        assert torch.equal(model(encoded=model.encode(**alone)).logits, model(**alone).logits)
