"""Packed rows, and attention inside them."""

import json

import pytest
import torch
import torch.distributed as dist
from emofusion import LateFusionForSequenceClassification
from emofusion.configuration.modalities import host_lengths
from emofusion.modeling.encoder_packing import (
    PACKED_ATTENTION,
    attention_arguments,
    length_buckets,
    packed_attention,
    run_in_buckets,
)
from emofusion.modeling.modeling_lengths import complete_lengths
from emofusion.modeling.modeling_rows import Rows
from testing_common import CASES, make_batch
from torch.testing import assert_close

SMALL = {case.name: case for case in CASES}
CPU = torch.device("cpu")


@pytest.mark.parametrize("lengths", [(3, 7, 1), (4, 4), (5,)])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_padding_undoes_packing(lengths, shape):
    padded = torch.randn(len(lengths), max(lengths) + 2, *shape, dtype=torch.float64, requires_grad=True)
    rows = Rows(lengths, CPU)
    packed = rows.pack(padded)
    assert packed.shape[:2] == ((len(lengths), lengths[0]) if len(set(lengths)) == 1 else (1, sum(lengths)))
    assert [len(row) for row in rows.split(packed)] == list(lengths)
    mask = rows.mask.view(len(lengths), max(lengths), *(1 for _ in shape))
    back = rows.pad(packed)
    assert torch.equal(back, padded[:, : max(lengths)] * mask)
    back.square().sum().backward()
    assert torch.equal(padded.grad[:, : max(lengths)], 2 * padded[:, : max(lengths)] * mask)
    assert not padded.grad[:, max(lengths) :].any()


def test_buckets_hold_every_row_once_with_little_padding():
    lengths = (10, 3, 9, 8, 100, 4, 100)
    buckets = length_buckets(lengths)
    assert [[lengths[row] for row in bucket] for bucket in buckets] == [[100, 100], [10, 9, 8], [4, 3]]
    assert sorted(row for bucket in buckets for row in bucket) == list(range(7))


def test_processes_of_a_distributed_run_call_layers_equally_often(monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    assert length_buckets((8, 2)) == [[0, 1]]


@pytest.mark.parametrize("lengths", [(10, 3, 9), (6, 6)])
def test_layers_in_buckets_see_no_more_padding_than_their_mask_says(lengths):
    rows = Rows(lengths, CPU)
    packed = rows.pack(torch.randn(len(lengths), max(lengths), 4))

    def run(padded, mask):
        mask = torch.ones(padded.shape[:2], dtype=torch.bool) if mask is None else mask
        means = (padded * mask[..., None]).sum(dim=1, keepdim=True) / mask.sum(dim=1)[:, None, None]
        return padded, padded - means

    same, centred = run_in_buckets(run, packed, rows)
    assert torch.equal(same, packed)
    for row, states in zip(rows.split(packed), rows.split(centred), strict=True):
        assert_close(states, row - row.mean(dim=0))


def test_attention_stays_inside_rows():
    torch.manual_seed(0)
    lengths, scaling = (10, 15, 17), 0.3
    states = [torch.randn(1, 42, 4, 8, requires_grad=True) for _ in range(3)]
    heads = [state.transpose(1, 2) for state in states]
    context, _ = packed_attention(None, *heads, None, scaling=scaling, **attention_arguments(Rows(lengths, CPU)))
    assert context.shape == (1, 42, 4, 8)
    expected = []
    for query, key, value in zip(*(state[0].split(lengths) for state in states), strict=True):
        scores = torch.einsum("qhd,khd->hqk", query, key) * scaling
        expected.append(torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), value))
    expected = torch.cat(expected)[None]
    assert_close(context, expected)
    assert_close(*(torch.autograd.grad(result.square().sum(), states) for result in (context, expected)))


def test_mask_of_packed_positions_is_cut_into_those_of_rows():
    query, key, value = torch.randn(3, 1, 2, 9, 4)
    near = (torch.arange(9)[:, None] - torch.arange(9)).abs() <= 1
    context, _ = packed_attention(None, query, key, value, near[None, None], row_layout=Rows((4, 5), CPU))
    row = torch.arange(9) < 4
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, near & (row[:, None] == row))
    assert_close(context, expected.transpose(1, 2))


def test_packed_attention_takes_the_place_of_sdpa_only(tmp_path):
    model, batch = SMALL["cross_attention"].model(head=False), make_batch()
    model.eval()
    encoders = [model.audio_encoder, model.text_encoder]
    assert [encoder.config._attn_implementation for encoder in encoders] == [PACKED_ATTENTION] * 2
    packed = model(**batch).embedding
    model.set_attn_implementation("eager")
    assert [encoder.config._attn_implementation for encoder in encoders] == ["eager"] * 2
    assert_close(model(**batch).embedding, packed, atol=1e-5, rtol=1e-5)
    assert model(**batch, output_attentions=True).attentions["audio"]
    model.set_attn_implementation({"audio_config": "sdpa"})
    assert [encoder.config._attn_implementation for encoder in encoders] == [PACKED_ATTENTION, "eager"]
    assert_close(model(**batch).embedding, packed, atol=1e-5, rtol=1e-5)
    model.save_pretrained(tmp_path)
    assert PACKED_ATTENTION not in (tmp_path / "config.json").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["audio_config"]


def test_members_of_a_late_fusion_attend_without_padding():
    members = [SMALL[name].model() for name in ("speech", "text")]
    fusion = LateFusionForSequenceClassification.from_members_pretrained(members)
    encoders = [fusion.model.members[0].model.audio_encoder, fusion.model.members[1].model.text_encoder]
    assert [encoder.config._attn_implementation for encoder in encoders] == [PACKED_ATTENTION] * 2
    fusion.set_attn_implementation("eager")
    fusion.set_attn_implementation("sdpa")
    assert [encoder.config._attn_implementation for encoder in encoders] == [PACKED_ATTENTION] * 2


def test_lengths_on_the_host_are_those_of_masks_with_ones_first():
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    assert host_lengths({"attention_mask": mask}) == {"text": (2, 3)}
    with pytest.raises(ValueError, match=r"^attention_mask has a zero before a one; pad every row at its end"):
        host_lengths({"attention_mask": mask.flip(1)})


def test_lengths_come_from_masks_unless_they_fit_the_batch():
    values, mask = torch.zeros(2, 5), torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    assert complete_lengths({"audio": (values, mask)}, None) == {"audio": (2, 5)}
    assert complete_lengths({"audio": (values, None)}, {}) == {"audio": (5, 5)}
    assert complete_lengths({"audio": (values, mask)}, {"audio": [1, 3]}) == {"audio": (1, 3)}
    assert complete_lengths({"audio": (values, mask)}, {"audio": [1, 3, 5, 5]}) == {"audio": (2, 5)}
    with pytest.raises(ValueError, match=r"^attention_mask has a zero before a one; pad every row at its end"):
        complete_lengths({"text": (values, mask.flip(1))}, None)
