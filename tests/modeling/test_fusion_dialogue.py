"""Speech context: an utterance depends on earlier utterances of its dialogue, and on nothing else of the batch."""

import math

import pytest
import torch
from emofusion.configuration import VARIANTS
from emofusion.configuration.configuration_unimodal import UnimodalConfig
from emofusion.modeling.fusion_dialogue import DialogueContext
from emofusion.modeling.modeling_rows import Rows, drop_context
from testing_common import CASES, make_batch, row
from torch.testing import assert_close

FIELDS = {"context_layers": 2, "context_window": 2, "context_hidden_size": 8, "context_heads": 2}
# Two dialogues in the order of a shuffled batch; the last row is a dialogue of its own.
DIALOGUES = {"dialogue": (7, 3, 7, 7), "turn": (2, 0, 0, 1), "speaker": (0, 1, 0, -1)}
FIRST = {case.variant: case for case in reversed(CASES)}
CASE = FIRST["cross_attention"]


@pytest.fixture(scope="module")
def context():
    torch.manual_seed(0)
    module = DialogueContext(UnimodalConfig(hidden_size=6, initializer_range=0.5, **FIELDS)).eval()
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return module


def reference(module, embedding, dialogues):
    """Compute every row alone, in Python."""
    places = list(zip(dialogues["dialogue"], dialogues["turn"], dialogues["speaker"], strict=True))
    states = [module.input(module.input_norm(vector)) for vector in embedding]
    for layer in module.layers:
        parts = [layer.query_key_value(layer.attention_norm(state)).chunk(3) for state in states]
        following = []
        for (dialogue, turn, speaker), (query, _, _), state in zip(places, parts, states, strict=True):
            heads = []
            for head in range(2):
                scores, values = [], []
                for (other, at, who), (_, key, value) in zip(places, parts, strict=True):
                    if other == dialogue and 0 <= turn - at <= 2:
                        relation = 2 if -1 in (speaker, who) else int(speaker != who)
                        bias = layer.distance_bias.weight[turn - at, head] + layer.speaker_bias.weight[relation, head]
                        own = slice(4 * head, 4 * head + 4)
                        scores.append(query[own] @ key[own] / math.sqrt(4) + bias)
                        values.append(value[own])
                heads.append(torch.stack(scores).softmax(0) @ torch.stack(values))
            state = state + layer.attention_output(torch.cat(heads))
            inner = torch.nn.functional.gelu(layer.intermediate(layer.feed_forward_norm(state)))
            following.append(state + layer.output(inner))
        states = following
    return embedding + torch.stack([module.output(module.output_norm(state)) for state in states])


def test_context_equals_reference(context):
    embedding = torch.randn(4, 12)
    assert_close(context(embedding, DIALOGUES), reference(context, embedding, DIALOGUES))


def test_utterance_without_dialogue_is_a_dialogue_of_one(context):
    embedding = torch.randn(4, 12)
    alone = torch.cat([context(vector[None]) for vector in embedding])
    assert_close(context(embedding), alone)
    assert_close(context(embedding, DIALOGUES)[2], alone[2])  # the first turn of its dialogue, of a known speaker


def test_values_that_are_not_finite_stay_in_their_dialogue(context):
    embedding = torch.randn(4, 12)
    clean = context(embedding, DIALOGUES)
    embedding[1] = math.nan
    spoiled = context(embedding, DIALOGUES)
    assert spoiled[1].isnan().all()
    assert_close(spoiled[[0, 2, 3]], clean[[0, 2, 3]])


def test_wrong_number_of_rows_is_refused(context):
    with pytest.raises(ValueError, match="dialogues describes 4 rows, and the batch has 3"):
        context(torch.randn(3, 12), DIALOGUES)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "late_fusion"])
def test_no_utterance_looks_into_the_future(variant):
    """Change the last turn and the other dialogue: earlier turns keep their logits."""
    model, batch = FIRST[variant].model(**FIELDS), make_batch()
    logits = model(**batch, dialogues=DIALOGUES).logits
    assert_close(logits[1], model(**row(batch, 1)).logits[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits[0], model(**row(batch, 0)).logits[0], atol=1e-4)  # it reads earlier turns
    changed = {name: value.clone() for name, value in make_batch(seed=1).items()}
    for name, values in changed.items():
        values[[2, 3]] = batch[name][[2, 3]]
    after = model(**changed, dialogues=DIALOGUES).logits
    assert_close(after[[2, 3]], logits[[2, 3]], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(after[0], logits[0], atol=1e-4)


def test_loss_of_an_utterance_has_no_gradient_in_later_ones():
    model = CASE.model(**FIELDS, freeze_feature_encoder=False)
    batch = make_batch()
    batch["input_values"].requires_grad_()
    labels = batch.pop("labels")
    one = {name: tuple(DIALOGUES[name][place] for place in (3, 0, 1, 2)) for name in DIALOGUES} | {"asked": (1,)}
    rows = {name: values[[3, 0, 1, 2]] for name, values in batch.items()}
    output = model(**rows, labels=labels[[3]], dialogues=one)
    assert output.logits.shape == (1, 3)
    assert output.embedding.shape[0] == 1
    (gradient,) = torch.autograd.grad(output.loss, batch["input_values"])
    assert gradient[[2, 3]].abs().sum() > 0  # the first turn, and the utterance itself
    assert not gradient[[0, 1]].any()  # the last turn, and the other dialogue


def test_result_depends_on_nothing_beyond_the_history():
    """Two layers of a window of two reach four utterances back; the rest of a dialogue changes nothing."""
    model, rows = CASE.model(**FIELDS), 7
    parts = [make_batch((1500,) * 4, (3,) * 4, seed=seed) for seed in (0, 1)]
    batch = {name: torch.cat([part[name] for part in parts])[:rows] for name in ("input_values", "input_ids")}
    places = {"dialogue": (0,) * rows, "turn": tuple(range(rows)), "speaker": (0, 1) * 3 + (0,)}
    whole = model(**batch, dialogues=places).logits
    assert model.config.history == 4
    part = {name: values[2:] for name, values in batch.items()}
    cut = model(**part, dialogues={name: numbers[2:] for name, numbers in places.items()}).logits
    assert_close(cut[-1], whole[-1], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(cut[-2], whole[-2], atol=1e-5)


def test_late_fusion_passes_dialogues_to_its_members():
    case = FIRST["late_fusion"]
    speech, *others = case.fields["member_configs"]
    model = case.model(member_configs=[speech | FIELDS, *others])
    assert model.config.history == 4
    batch = {name: value for name, value in make_batch().items() if name != "labels"}
    plain, placed = model(**batch), model(**batch, dialogues=DIALOGUES | {"asked": (3,)})
    assert placed.logits.shape == (3, 3)
    assert_close(placed.embedding[:, 3:], plain.embedding[:3, 3:])
    assert not torch.allclose(placed.embedding[0, :3], plain.embedding[0, :3], atol=1e-4)
    assert_close(placed.embedding[2, :3], plain.embedding[2, :3])  # the first turn of its dialogue


def test_every_parameter_has_a_gradient_without_context():
    model = CASE.model(**FIELDS)
    model.train()
    model(**make_batch()).loss.backward()
    assert all(weight.grad is not None for weight in model.dialogue_context.parameters())


@pytest.mark.parametrize(("fields", "message"), [({"context_heads": 3}, "must divide"), ({"context_layers": -1}, "0")])
def test_wrong_fields_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        CASE.config(**FIELDS | fields)
    with pytest.raises(ValueError, match="context_layers"):
        FIRST["late_fusion"].config(context_layers=1)


def test_tokens_of_earlier_turns_are_left_out_behind_the_first():
    states = torch.arange(12.0).view(2, 6, 1)
    kept, rows = drop_context(states, Rows((6, 3), states.device), (3, 0))
    assert rows.lengths == (3, 3)
    assert kept[0, :, 0].tolist() == [0, 4, 5]
    assert kept[1, :3, 0].tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    "name", ["text", "text-roberta", "text-modernbert", "cross_attention", "multi_level", "wavfusion"]
)
def test_fusion_reads_the_utterance_after_the_encoder_has_read_the_context(name):
    """The context changes the result through the encoder alone, equally in one and in two stages, alone and in a batch."""
    case = next(case for case in CASES if case.name == name)
    batch = make_batch() | {"context_lengths": torch.tensor([2, 5, 0, 3])}
    model = case.model()
    logits = model(**batch).logits
    assert_close(model(encoded=model.encode(**batch)).logits, logits)
    for index in range(4):
        alone = row(batch, index) | {"context_lengths": batch["context_lengths"][index : index + 1]}
        assert_close(model(**alone).logits[0], logits[index], atol=1e-5, rtol=1e-5)
    without = model(**{key: value for key, value in batch.items() if key != "context_lengths"}).logits
    assert_close(logits[2], without[2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits[1], without[1], atol=1e-4)
    hidden = model.model(**batch, output_hidden_states=True).hidden_states["text"][-1]
    frozen = case.model(freeze_text_layers=-1)
    assert_close(frozen(**batch).logits, logits)
    assert hidden.shape[1] == 9  # the encoder reads all tokens
