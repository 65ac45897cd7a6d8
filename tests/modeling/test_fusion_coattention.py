"""A coattention block, compared with its equations."""

import pytest
import torch
from emofusion.modeling.fusion_coattention import CoattentionBlock
from testing_rows import rows_of
from torch import nn
from torch.testing import assert_close


@pytest.fixture
def block():
    torch.manual_seed(0)
    module = CoattentionBlock(16, 4, 24, attention_dropout=0.0, hidden_dropout=0.0, layer_norm_eps=1e-5)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


@pytest.fixture
def inputs():
    random = torch.Generator().manual_seed(1)
    audio, text = torch.randn(3, 9, 16, generator=random), torch.randn(3, 6, 16, generator=random)
    lengths = torch.tensor([[9, 6], [1, 3], [4, 1]])
    masks = torch.arange(9) < lengths[:, :1], torch.arange(6) < lengths[:, 1:]
    return audio * masks[0].unsqueeze(-1), masks[0], text * masks[1].unsqueeze(-1), masks[1]


def run(block, audio, audio_mask, text, text_mask, output_attentions=False):
    """Return the padded sequences, and the maps."""
    audio_rows, text_rows = rows_of(audio_mask), rows_of(text_mask)
    audio, text, maps = block(audio_rows.pack(audio), audio_rows, text_rows.pack(text), text_rows, output_attentions)
    return audio_rows.pad(audio), text_rows.pad(text), maps


def reference(attention, feed_forward, queries, keys, mask):
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    context, weights = nn.functional.multi_head_attention_forward(
        *(states.transpose(0, 1) for states in (queries, keys, keys)),
        embed_dim_to_check=16,
        num_heads=4,
        in_proj_weight=torch.cat([part.weight for part in projections]),
        in_proj_bias=torch.cat([part.bias for part in projections]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=attention.out_proj.weight,
        out_proj_bias=attention.out_proj.bias,
        key_padding_mask=~mask,
        average_attn_weights=False,
    )
    states = normalise(queries + context.transpose(0, 1), attention.layer_norm)
    inner = states @ feed_forward.intermediate.weight.T + feed_forward.intermediate.bias
    inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    outer = inner @ feed_forward.output.weight.T + feed_forward.output.bias
    return normalise(states + outer, feed_forward.layer_norm), weights


def normalise(states, norm):
    centred = states - states.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("output_attentions", [False, True])
def test_block_equals_its_equations(block, inputs, output_attentions):
    audio, audio_mask, text, text_mask = inputs
    new_audio, new_text, maps = run(block, *inputs, output_attentions)
    expected = {
        "audio_text": reference(block.audio_text_attention, block.audio_feed_forward, audio, text, text_mask),
        "text_audio": reference(block.text_audio_attention, block.text_feed_forward, text, audio, audio_mask),
    }
    assert_close(new_audio, expected["audio_text"][0] * audio_mask.unsqueeze(-1))
    assert_close(new_text, expected["text_audio"][0] * text_mask.unsqueeze(-1))
    for (name, (_, weights)), mask in zip(expected.items(), (audio_mask, text_mask), strict=True):
        if output_attentions:
            assert_close(maps[name].transpose(1, 2)[mask], weights.transpose(1, 2)[mask])
        else:
            assert maps[name] is None


@pytest.mark.parametrize("name", ["attention_dropout", "hidden_dropout"])
def test_dropouts_act_in_training_only(inputs, name):
    rates = {"attention_dropout": 0.0, "hidden_dropout": 0.0} | {name: 0.5}
    module = CoattentionBlock(16, 4, 24, **rates, layer_norm_eps=1e-5)
    for mode in (True, False):
        first, second = (run(module.train(mode), *inputs)[:2] for _ in range(2))
        assert [torch.equal(*pair) for pair in zip(first, second, strict=True)] == [not mode] * 2
