"""Cross-modal attention against `torch.nn.MultiheadAttention` with the same weights."""

import pytest
import torch
from emofusion.modeling import fusion_attention
from emofusion.modeling.fusion_attention import CrossModalAttention
from testing_rows import rows_of
from torch import nn
from torch.testing import assert_close


@pytest.fixture
def attention():
    torch.manual_seed(0)
    module = CrossModalAttention(16, 4, attention_dropout=0.0, hidden_dropout=0.0, layer_norm_eps=1e-5)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


@pytest.fixture
def inputs():
    random = torch.Generator().manual_seed(1)
    queries, keys = torch.randn(3, 6, 16, generator=random), torch.randn(3, 9, 16, generator=random)
    mask = torch.arange(6) < torch.tensor([[2], [6], [5]])
    return queries * mask.unsqueeze(-1), mask, keys, torch.arange(9) < torch.tensor([[9], [1], [4]])


def attend(module, queries, query_mask, keys, mask, output_attentions=False):
    """Return the padded output, and the maps."""
    rows, key_rows = rows_of(query_mask), rows_of(mask)
    states, maps = module(rows.pack(queries), rows, key_rows.pack(keys), key_rows, output_attentions)
    return rows.pad(states), maps


def reference(attention: CrossModalAttention) -> nn.MultiheadAttention:
    copy = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    copy.load_state_dict(
        {
            "in_proj_weight": torch.cat([part.weight for part in parts]),
            "in_proj_bias": torch.cat([part.bias for part in parts]),
            "out_proj.weight": attention.out_proj.weight,
            "out_proj.bias": attention.out_proj.bias,
        }
    )
    return copy


@pytest.mark.parametrize("output_attentions", [False, True])
def test_attention_equals_torch(attention, inputs, output_attentions):
    queries, query_mask, keys, mask = inputs
    context, weights = reference(attention)(queries, keys, keys, key_padding_mask=~mask, average_attn_weights=False)
    expected = nn.functional.layer_norm(
        queries + context, (16,), attention.layer_norm.weight, attention.layer_norm.bias, 1e-5
    )
    states, maps = attend(attention, *inputs, output_attentions)
    assert_close(states, expected * query_mask.unsqueeze(-1))
    if output_attentions:
        assert_close(maps.transpose(1, 2)[query_mask], weights.transpose(1, 2)[query_mask])
    else:
        assert maps is None


def test_masked_keys_are_ignored(attention, inputs):
    queries, query_mask, keys, mask = inputs
    noisy = keys.masked_fill(~mask.unsqueeze(-1), 50.0)
    assert_close(attend(attention, queries, query_mask, noisy, mask)[0], attend(attention, *inputs)[0])


@pytest.mark.parametrize("output_attentions", [False, True])
@pytest.mark.parametrize("name", ["attention_dropout", "hidden_dropout"])
def test_dropouts_act_in_training_only(inputs, name, output_attentions):
    rates = {"attention_dropout": 0.0, "hidden_dropout": 0.0} | {name: 0.5}
    module = CrossModalAttention(16, 4, **rates, layer_norm_eps=1e-5)
    states = [attend(module.train(), *inputs, output_attentions)[0] for _ in range(2)]
    assert not torch.equal(*states)
    states = [attend(module.eval(), *inputs, output_attentions)[0] for _ in range(2)]
    assert torch.equal(*states)


@pytest.mark.parametrize("lengths", [((30, 41), (2, 3)), ((2, 3), (30, 41)), ((30, 30), (2, 3))])
def test_folded_projections_give_same_result_and_gradients(attention, lengths, monkeypatch):
    masks = [torch.arange(max(counts)) < torch.tensor(counts)[:, None] for counts in lengths]
    queries, keys = (torch.randn(*mask.shape, 16) for mask in masks)
    found = []
    for folding in (0, 1e9):
        monkeypatch.setattr(fusion_attention, "FOLDING", folding)
        assert (attention._folded(*map(rows_of, masks)) is None) == (folding > 0)
        attention.zero_grad()
        states, _ = attend(attention, queries, masks[0], keys, masks[1])
        states.square().sum().backward()
        found.append((states, [parameter.grad for parameter in attention.parameters()]))
    assert_close(*found, rtol=1e-4, atol=1e-4)


def test_adapted_projections_are_not_folded(attention, monkeypatch):
    monkeypatch.setattr(fusion_attention, "FOLDING", 0)
    rows = [rows_of(torch.arange(count) < torch.tensor([[count], [count - 1]])) for count in (40, 3)]
    assert attention._folded(*rows) is not None
    attention.q_proj = nn.Sequential(attention.q_proj)
    assert attention._folded(*rows) is None
