"""Gated cross-modal attention, alone and inside encoder layers, compared with its equations."""

import pytest
import torch
from emofusion.modeling.fusion_gated_attention import GatedCrossModalAttention
from testing_common import DATA2VEC, HUBERT, WAV2VEC2_GROUP, WAV2VEC2_LAYER, WAVLM
from testing_rows import rows_of
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel

ENCODERS = {
    "wav2vec2": WAV2VEC2_GROUP,
    "wav2vec2-layer-norm": WAV2VEC2_LAYER,
    "hubert": HUBERT,
    "wavlm": WAVLM,
    "data2vec": DATA2VEC,
}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
every_encoder = pytest.mark.parametrize("fields", ENCODERS.values(), ids=ENCODERS)


@pytest.fixture
def streams():
    random = torch.Generator().manual_seed(0)
    states = {"text": torch.randn(2, 5, 16, generator=random), "video": torch.randn(2, 3, 6, generator=random)}
    masks = {"text": torch.arange(5) < torch.tensor([[5], [2]]), "video": torch.arange(3) < torch.tensor([[1], [3]])}
    return states, masks


def gated(attention, queries: torch.Tensor, streams: tuple, *others) -> tuple:
    """Return the output of an attention for queries `(2, 7, 16)` and padded streams with their masks."""
    states, masks = streams
    rows = {name: rows_of(mask) for name, mask in masks.items()}
    packed = {name: rows[name].pack(states[name]) for name in states}
    return attention(queries, packed, rows | {"audio": rows_of(torch.ones(2, 7, dtype=torch.bool))}, *others)


def layer_of(fields: dict) -> nn.Module:
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(**fields)).encoder.layers[0].eval()


def randomised(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def attend(attention, queries: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Multi-head attention, head by head and row by row."""
    query, key, value = attention.q_proj(queries), attention.k_proj(keys), attention.v_proj(keys)
    rows = []
    for row in range(len(queries)):
        heads = []
        for head in range(attention.num_attention_heads):
            part = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
            scores = query[row, :, part] @ key[row, mask[row], part].T / attention.head_dim**0.5
            heads.append(scores.softmax(dim=-1) @ value[row, mask[row], part])
        rows.append(torch.cat(heads, dim=-1))
    return attention.out_proj(torch.stack(rows))


@pytest.mark.parametrize("output_attentions", [False, True])
def test_gate_weighs_text_against_video(streams, output_attentions):
    attention = randomised(
        GatedCrossModalAttention(layer_of(WAV2VEC2_GROUP).attention, {"text": 16, "video": 6}, True)
    )
    states, masks = streams
    queries = torch.randn(2, 7, 16)
    text, video = (attend(attention.cross_attentions[name], queries, states[name], masks[name]) for name in states)
    share = torch.sigmoid(torch.cat([text, video], dim=-1) @ attention.gate.weight.T + attention.gate.bias)
    output, record = gated(attention, queries, streams, output_attentions)
    assert_close(output, share * text + (1 - share) * video)
    assert share.std() > 0.1
    if not output_attentions:
        assert record is None
    else:
        maps, gate = record
        assert_close(gate, share)
        assert {name: tuple(weights.shape) for name, weights in maps.items()} == {
            "text": (2, 2, 7, 5),
            "video": (2, 2, 7, 3),
        }


def test_gate_weighs_text_against_self_attention(streams):
    kept = layer_of(WAV2VEC2_GROUP).attention
    attention = randomised(GatedCrossModalAttention(kept, {"text": 16}, True))
    states, masks = streams
    queries = torch.randn(2, 7, 16)
    text = attend(attention.cross_attentions["text"], queries, states["text"], masks["text"])
    own = kept(queries)[0]
    share = torch.sigmoid(torch.cat([text, own], dim=-1) @ attention.gate.weight.T + attention.gate.bias)
    assert_close(gated(attention, queries, streams)[0], share * text + (1 - share) * own)


def test_text_alone_without_gate(streams):
    attention = randomised(GatedCrossModalAttention(layer_of(WAV2VEC2_GROUP).attention, {"text": 16}, False))
    states, masks = streams
    queries = torch.randn(2, 7, 16)
    output, (_, gate) = gated(attention, queries, streams, True)
    assert_close(output, attend(attention.cross_attentions["text"], queries, states["text"], masks["text"]))
    assert gate is None
    assert attention.self_attention is None


@every_encoder
@pytest.mark.parametrize("size", [16, 6])
def test_text_attention_is_initialised_from_self_attention(fields, size):
    replaced = layer_of(fields).attention
    attention = GatedCrossModalAttention(replaced, {"text": size, "video": 16}, True)
    for name in PROJECTIONS:
        weights, expected = getattr(attention.cross_attentions["text"], name).weight, getattr(replaced, name).weight
        if size == 16 or name in ("q_proj", "out_proj"):
            assert torch.equal(weights, expected)
        else:
            assert weights.shape == (16, 6)
        assert not torch.equal(getattr(attention.cross_attentions["video"], name).weight, expected)
    assert len(list(attention.parameters())) == 2 * 8 + 2  # no weights of the self-attention are left


@every_encoder
def test_attention_to_own_input_equals_self_attention(fields):
    layer, states = layer_of(fields), torch.randn(2, 9, 16)
    if fields is WAVLM:  # cross-modal attention has no position bias
        nn.init.zeros_(layer.attention.rel_attn_embed.weight)
    mask = torch.ones(2, 9, dtype=torch.bool)
    context = {"position_bias": None} if fields is WAVLM else {}
    expected = layer(states, attention_mask=None, **context)
    if fields is WAVLM:
        expected, context["position_bias"] = expected
    layer.attention = GatedCrossModalAttention(layer.attention, {"text": 16}, False).eval()
    output = layer(
        states,
        attention_mask=None,
        streams={"text": layer_input(layer, fields, states)},
        rows={"audio": rows_of(mask), "text": rows_of(mask)},
        **context,
    )
    assert_close(output[0] if fields is WAVLM else output, expected)


def layer_input(layer: nn.Module, fields: dict, states: torch.Tensor) -> torch.Tensor:
    """Return the input of a layer's self-attention: with pre-normalisation, the normalised states."""
    return layer.layer_norm(states) if fields.get("do_stable_layer_norm") else states
