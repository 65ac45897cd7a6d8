"""Auxiliary heads: outputs, loss, unknown classes."""

import pytest
import torch
import torch.nn.functional as F
from emofusion import UnimodalConfig
from testing_common import CASES, make_batch
from torch.testing import assert_close

AUXILIARY = {"gender": ["female", "male"], "items": ["a", "b", "c"]}
CASE = next(case for case in CASES if case.name == "speech")


def labelled(**labels) -> dict:
    batch = make_batch()
    given = {"gender": [0, 1, -100, 1], "items": [2, 0, 1, -100]} | labels
    return batch | {"auxiliary_labels": {name: torch.tensor(values) for name, values in given.items()}}


def test_loss_has_weighted_parts_over_known_rows():
    model = CASE.model(auxiliary_labels=AUXILIARY, loss_weights={"auxiliary_gender": 0.25})
    batch = labelled()
    output = model(**batch)
    assert {name: scores.shape for name, scores in output.auxiliary_logits.items()} == {
        "gender": (4, 2),
        "items": (4, 3),
    }
    for name, weight in (("gender", 0.25), ("items", 1.0)):
        expected = F.cross_entropy(output.auxiliary_logits[name], batch["auxiliary_labels"][name], ignore_index=-100)
        assert_close(output.losses[f"auxiliary_{name}"], weight * expected)
    assert_close(output.loss, sum(output.losses.values()))


def test_heads_run_on_request_only_and_change_nothing_else():
    model, batch = CASE.model(auxiliary_labels=AUXILIARY, context_layers=1, context_hidden_size=8), make_batch()
    for parameter in model.dialogue_context.parameters():  # new layers add nothing to the embedding
        torch.nn.init.normal_(parameter, std=0.5)
    output = model(**batch)
    assert not torch.allclose(output.embedding, model.model(**batch).embedding)
    assert_close(model.apply_heads(output.embedding)["logits"], output.logits)
    assert output.auxiliary_logits is None
    assert list(output.losses) == ["cross_entropy"]
    assert torch.equal(output.logits, model(**labelled()).logits)
    wanted = model.apply_heads(output.embedding, auxiliary=True)["auxiliary_logits"]
    assert_close(wanted, model(**labelled()).auxiliary_logits)


def test_unknown_and_mixed_classes():
    model = CASE.model(auxiliary_labels=AUXILIARY).train()
    batch = labelled(gender=[-100] * 4, items=[[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    output = model(**batch)
    assert output.losses["auxiliary_gender"] == 0
    costs = -output.auxiliary_logits["items"].log_softmax(dim=-1)
    assert_close(output.losses["auxiliary_items"], (costs[0, :2].mean() + costs[2, 2]) / 2)
    output.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_checkpoint_keeps_heads_and_base_model_leaves_them_out(tmp_path):
    model = CASE.model(auxiliary_labels=AUXILIARY)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.config.auxiliary_labels == AUXILIARY
    assert_close(loaded(**labelled()).auxiliary_logits, model(**labelled()).auxiliary_logits)
    model.model_class.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"gender": ["female"]}, r"auxiliary_labels.gender is \['female'\]; it must be 2 to 100000 distinct names"),
        ({"gender": ["a", "a", "b"]}, "2 to 100000 distinct names"),
        ({"gender": ["a", " "]}, "2 to 100000 distinct names"),
        ({"a.b": ["a", "b"]}, "auxiliary_labels has the name 'a.b'; it must be letters"),
        ({"gender": "female"}, "auxiliary_labels is"),
        ({1: ["a", "b"]}, "auxiliary_labels is"),
        ({"gender": [1, 2]}, "auxiliary_labels is"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        UnimodalConfig(auxiliary_labels=labels)


def test_weight_of_a_head_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="loss_weights names 'auxiliary_gender', which is no part"):
        UnimodalConfig(loss_weights={"auxiliary_gender": 0.2})
