"""One matrix of checks over every variant: what the forward contract promises."""

import pytest
import torch
from emofusion.configuration import VARIANTS
from testing_common import CASES, CLASSES, make_batch, row
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoModelForSequenceClassification

INPUTS = {"audio": ("input_values", "audio_attention_mask"), "text": ("input_ids", "attention_mask")}
# A shift of all keys moves no softmax, so their biases never learn.
GRADIENT_FREE = ("k_proj.bias", "key.bias")

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_fusion = pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.modalities) > 1], ids=lambda case: case.name
)


def log_probabilities(model, batch) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch).logits.log_softmax(dim=-1)


def sparse_batch(case) -> dict:
    """A batch in which each modality of the case is missing for some row."""
    audio, text = (16000, 9000, 0, 12000), (4, 9, 3, 6)
    return make_batch(audio, (4, 0, 3, 6) if "text" in case.modalities else text)


def assert_identical(actual, expected) -> None:
    assert_close(actual, expected, atol=0, rtol=0)


def test_every_variant_has_a_case():
    assert {case.variant for case in CASES} == set(VARIANTS)
    assert len({case.name for case in CASES}) == len(CASES)


@every_case
def test_outputs_have_the_promised_shapes(case):
    model, batch = case.model(), make_batch()
    output = model(**batch)
    assert output.loss.shape == ()
    assert output.logits.shape == (4, CLASSES)
    assert output.embedding.shape == (4, model.config.embedding_size)
    assert_close(sum(output.losses.values()), output.loss)
    assert list(output.keys()) == ["loss", "logits", "embedding", "losses"]
    assert model(**batch | {"labels": None}).loss is None
    base = model.base_model(**batch)
    assert list(base.keys()) == ["embedding"]
    assert torch.equal(base.embedding, output.embedding)


@every_case
def test_hidden_states_of_every_encoder_are_returned_on_request(case):
    model, batch = case.model(), make_batch()
    output = model(**batch, output_hidden_states=True)
    assert set(output.hidden_states) == set(case.modalities)
    for modality, states in output.hidden_states.items():
        config = getattr(model.config, f"{modality}_config")
        assert len(states) == config.num_hidden_layers + 1
        assert {state.shape[-1] for state in states} == {config.hidden_size}
    assert torch.equal(output.logits, model(**batch).logits)


@every_case
def test_a_tuple_holds_what_the_output_holds(case):
    model, batch = case.model(), make_batch()
    assert_identical(model(**batch, return_dict=False), model(**batch).to_tuple())
    assert_identical(model.base_model(**batch, return_dict=False), model.base_model(**batch).to_tuple())


@every_case
def test_the_loss_falls(case):
    model, batch = case.model(dropout=False).train(), make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    before = model(**batch).loss.item()
    for _ in range(20):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    assert model(**batch).loss.item() < 0.7 * before


@every_case
def test_gradients_reach_every_trainable_parameter_and_no_other(case):
    for freezing in case.freezings:
        model = case.model(**freezing).train()
        model(**sparse_batch(case)).loss.backward()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad, (freezing, name)
            if parameter.requires_grad and not name.endswith(GRADIENT_FREE):
                assert parameter.grad.abs().max() > 0, (freezing, name)
                assert parameter.grad.isfinite().all(), (freezing, name)


@every_case
def test_a_training_step_changes_what_is_trainable_and_nothing_else(case):
    for freezing in case.freezings:
        model = case.model(**freezing)
        before = {name: parameter.clone() for name, parameter in model.state_dict().items()}
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
        model.train()(**sparse_batch(case)).loss.backward()
        optimizer.step()
        trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == trainable, freezing


@every_case
def test_freezing_covers_what_it_names(case):
    def frozen(**freezing):
        return {n for n, p in case.model(**freezing).named_parameters() if not p.requires_grad}

    for modality in case.modalities:
        part = f"model.{modality}_encoder."
        layers = [frozen(**{f"freeze_{modality}_layers": count}) for count in (1, 2, -1)]
        assert frozen() < layers[0] < layers[1] <= layers[2]
        assert {n for n in layers[2] if n.startswith(part)} == {
            n for n, _ in case.model().named_parameters() if n.startswith(part)
        }
        assert not any(".layers.1." in n or ".layer.1." in n for n in layers[0])
        assert any(".layers.0." in n or ".layer.0." in n for n in layers[0])
    model = case.model()
    for modality in case.modalities:
        getattr(model, f"freeze_{modality}_encoder")()
    everything = {f"freeze_{modality}_layers": -1 for modality in case.modalities}
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == frozen(**everything)
    assert model.config.to_dict().items() >= everything.items()


@every_case
def test_freezing_changes_no_answer(case):
    expected = log_probabilities(case.model(), make_batch())
    for freezing in case.freezings:
        assert_close(log_probabilities(case.model(**freezing), make_batch()), expected, atol=1e-5, rtol=0)


@every_case
def test_padding_never_changes_a_row(case):
    model, batch, padded = case.model(), make_batch(), make_batch(padding=700)
    for values, mask in INPUTS.values():
        padded[values][:, : batch[values].shape[1]] = batch[values]
        padded[values] = padded[values].masked_fill(padded[mask] == 0, 7)  # whatever the padding holds
    expected = log_probabilities(model, batch)
    if "text" in case.modalities:  # BERT has places for 32 tokens
        padded |= {name: padded[name][:, :30] for name in INPUTS["text"]}
    assert_close(log_probabilities(model, padded), expected, atol=1e-5, rtol=0)
    assert expected.std(dim=0).max() > 0.05  # rows that differ, or the check above says nothing


@every_case
def test_batch_mates_never_change_a_row(case):
    model = case.model()
    for batch in (make_batch(), sparse_batch(case)):
        together = log_probabilities(model, batch)
        for index in range(4):
            alone = row(batch, index)
            if any(INPUTS[modality][0] in alone for modality in case.modalities):
                assert_close(log_probabilities(model, alone), together[index : index + 1], atol=1e-5, rtol=0)


@every_case
def test_the_order_of_a_batch_is_only_its_order(case):
    model, batch, order = case.model(), make_batch(), torch.tensor([2, 0, 3, 1])
    shuffled = {name: value[order] for name, value in batch.items()}
    assert_close(log_probabilities(model, shuffled), log_probabilities(model, batch)[order], atol=1e-5, rtol=0)


@every_case
def test_masks_left_out_are_all_ones(case):
    model, batch = case.model(), make_batch((4000,) * 2, (5,) * 2)
    bare = {name: value for name, value in batch.items() if "mask" not in name}
    assert torch.equal(log_probabilities(model, bare), log_probabilities(model, batch))


@every_case
def test_members_of_the_batch_that_a_variant_does_not_use_are_ignored(case):
    model, batch = case.model(), make_batch()
    other = {name: None for modality in INPUTS if modality not in case.modalities for name in INPUTS[modality]}
    more = {"word_spans": torch.full((4, 1, 2), -1.0)}
    assert torch.equal(log_probabilities(model, batch | other | more), log_probabilities(model, batch))


@every_fusion
def test_a_missing_modality_is_the_same_for_a_row_and_for_the_batch(case):
    model, batch = case.model(), make_batch()
    full = log_probabilities(model, batch)
    for modality in case.modalities:
        values, mask = INPUTS[modality]
        by_row = log_probabilities(model, batch | {mask: torch.zeros_like(batch[mask])})
        by_batch = log_probabilities(model, batch | {values: None, mask: None})
        assert_close(by_row, by_batch, atol=1e-5, rtol=0)
        assert (by_row - full).abs().max() > 1e-3


@every_case
def test_a_row_without_anything_gets_an_answer_that_ignores_its_padding(case):
    model, batch = case.model(), make_batch()
    for _, mask in INPUTS.values():
        batch[mask][1:3] = 0
    answers = log_probabilities(model, batch)
    assert answers.isfinite().all()
    assert_close(answers[1], answers[2], atol=1e-5, rtol=0)


@every_case
def test_a_batch_of_nothing_is_refused(case):
    with pytest.raises(ValueError, match=r"^The batch holds nothing that \w+ looks at; give it input_\w+.*\.$"):
        case.model()(labels=torch.tensor([0]))


@every_case
def test_saving_and_loading_keep_every_answer(case, tmp_path):
    model, batch = case.model(), make_batch()
    model.save_pretrained(tmp_path)
    output = model(**batch)
    for loader in (type(model), AutoModelForAudioClassification, AutoModelForSequenceClassification):
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
def test_freezing_survives_saving(case, tmp_path):
    model = case.model(**case.freezings[-1])
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    expected = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in loaded.named_parameters()} == expected


@every_case
def test_the_configuration_survives_a_round_trip(case, tmp_path):
    config = case.config(class_weights=[1.0, 2.0, 0.5], id2label={0: "angry", 1: "happy", 2: "sad"})
    config.save_pretrained(tmp_path)
    for loaded in (type(config).from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is type(config)
        assert loaded.to_dict() | {"_name_or_path": ""} == config.to_dict()
        for modality in case.modalities:
            name = f"{modality}_config"
            assert type(getattr(loaded, name)) is type(getattr(config, name))


@every_case
def test_eager_attention_equals_sdpa_and_shows_the_encoders_maps(case, tmp_path):
    case.model().save_pretrained(tmp_path)
    batch, outputs = make_batch(), {}
    for kind in ("eager", "sdpa"):
        model = AutoModelForAudioClassification.from_pretrained(tmp_path, attn_implementation=kind)
        outputs[kind] = model(**batch, output_attentions=True)
        assert_close(model(**batch).logits, outputs[kind].logits, atol=1e-5, rtol=0)
    assert_close(outputs["eager"].logits, outputs["sdpa"].logits, atol=1e-5, rtol=0)
    assert set(outputs["eager"].attentions) == set(case.modalities)
    for modality, maps in outputs["eager"].attentions.items():
        config = getattr(model.config, f"{modality}_config")
        assert len(maps) == config.num_hidden_layers
        for weights in maps:
            assert weights.shape[:2] == (4, config.num_attention_heads)
            assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))


@every_fusion
def test_fusion_maps_are_distributions_over_what_is_there(case):
    model, batch = case.model(), make_batch()
    for kind in ("eager", "sdpa"):
        model.set_attn_implementation(kind)
        assert model(**batch).cross_attentions is None
        maps = model(**batch, output_attentions=True).cross_attentions
        assert set(maps) == {"audio_text", "text_audio"}
        weights = maps["audio_text"]
        assert weights.shape == (4, model.config.num_attention_heads, 49, 9)
        assert maps["text_audio"].shape == (4, model.config.num_attention_heads, 9, 49)
        assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
        assert_close(maps["text_audio"].sum(dim=-1), torch.ones(4, model.config.num_attention_heads, 9))
        padding = (batch["attention_mask"] == 0)[:, None, None].expand_as(weights)
        assert (weights[padding] == 0).all()
        assert (maps["text_audio"][1, ..., 1:] == 0).all()  # 300 samples are one frame


@every_case
def test_bfloat16_is_finite_and_near_float32(case):
    model, batch = case.model(), sparse_batch(case)
    expected = log_probabilities(model, batch)
    model.to(torch.bfloat16)
    batch["input_values"] = batch["input_values"].bfloat16()
    output = model.train()(**batch)
    output.loss.backward()
    assert output.logits.dtype == torch.bfloat16
    assert output.loss.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert_close(log_probabilities(model.eval(), batch).float(), expected, atol=0.15, rtol=0)


@every_case
def test_gradient_checkpointing_changes_no_gradient(case):
    results = []
    for checkpointing in (False, True):
        model = case.model().train()
        if checkpointing:
            enable = "activation_checkpointing_enable"  # its name since transformers 5.23
            getattr(model, enable, model.gradient_checkpointing_enable)()
            assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        torch.manual_seed(1)
        loss = model(**sparse_batch(case)).loss
        loss.backward()
        results.append((loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    assert_close(results[1], results[0])


@every_case
def test_training_is_the_same_under_the_same_seed(case):
    model, batch = case.model(modality_dropout=0.5).train(), make_batch()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(model(**batch).loss)
    assert losses[0] == losses[1] != losses[2]


@every_case
def test_two_stages_equal_one(case):
    for freezing in case.freezings:
        model = case.model(**freezing)
        for batch in (make_batch(), sparse_batch(case)):
            for mode in (False, True):
                model.train(mode)
                torch.manual_seed(1)
                whole = model(**batch)
                encoded = model.encode(**batch)
                torch.manual_seed(1)
                staged = model(encoded=encoded, labels=batch["labels"])
                assert torch.equal(staged.logits, whole.logits), (freezing, mode)
                assert torch.equal(staged.loss, whole.loss), (freezing, mode)


@every_case
def test_the_first_stage_builds_no_graph_and_is_the_same_each_time(case):
    for freezing in case.freezings:
        model = case.model(**freezing).train()
        first, second = (model.encode(**make_batch()) for _ in range(2))
        assert first.keys() == second.keys()
        for name in first:
            assert not first[name].requires_grad, (freezing, name)
            assert torch.equal(first[name], second[name]), (freezing, name)


@every_fusion
def test_the_first_stage_of_one_modality_is_enough(case):
    model, batch = case.model(**case.freezings[-1]), make_batch()
    for modality in case.modalities:
        part = {name: batch[name] for name in INPUTS[modality]}
        assert torch.equal(model(encoded=model.encode(**part)).logits, model(**part).logits)


@every_fusion
def test_modality_dropout_takes_one_modality_and_never_the_last(case):
    model, batch = case.model(dropout=False), make_batch()
    full = log_probabilities(model, batch)
    assert_close(log_probabilities(model.train(), batch), full)

    model.config.modality_dropout = 0.9999
    assert_close(log_probabilities(model.eval(), batch), full)
    alone = [log_probabilities(model, {name: batch[name] for name in INPUTS[kept]}) for kept in case.modalities]
    model.train()
    seen = set()
    torch.manual_seed(0)
    for _ in range(8):
        for index, answer in enumerate(log_probabilities(model, batch)):
            distances = [(answer - answers[index]).abs().max().item() for answers in alone]
            assert min(distances) < 1e-5
            seen.add(distances.index(min(distances)))
    assert seen == set(range(len(alone)))
    for kept, answers in zip(case.modalities, alone, strict=True):
        last = {name: batch[name] for name in INPUTS[kept]}
        assert_close(log_probabilities(model, last), answers)


@every_case
def test_the_loss_is_cross_entropy_with_class_weights_and_soft_labels(case):
    weights = torch.tensor([1.0, 2.0, 0.5])
    hard = make_batch()["labels"]
    soft = torch.rand(4, CLASSES, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    for class_weights in (None, weights.tolist()):
        model = case.model(class_weights=class_weights)
        weight = torch.ones(CLASSES) if class_weights is None else weights
        costs = -log_probabilities(model, make_batch()) * weight
        expected = sum(costs[i, label] for i, label in enumerate(hard)) / weight[hard].sum()
        assert_close(model(**make_batch()).losses, {"cross_entropy": expected})
        expected = (costs * soft).sum() / 4
        assert_close(model(**make_batch() | {"labels": soft}).losses, {"cross_entropy": expected})
