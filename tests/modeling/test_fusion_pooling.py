"""Pooling, compared with a loop over rows."""

import pytest
import torch
from emofusion.modeling.fusion_pooling import AttentiveStatisticsPooling, masked_mean, statistics_pooling
from emofusion.modeling.modeling_rows import PaddedRows
from testing_rows import rows_of
from torch.testing import assert_close


def ragged(lengths=(7, 1, 4)):
    states = torch.randn(len(lengths), max(lengths), 5, generator=torch.Generator().manual_seed(0))
    return states, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def test_mean_is_over_valid_frames():
    states, mask = ragged()
    expected = torch.stack([row[valid].mean(dim=0) for row, valid in zip(states, mask, strict=True)])
    assert_close(pool(masked_mean, states, mask), expected)


def pool(pooling, states, mask, **options):
    rows = rows_of(mask)
    return pooling(rows.pack(states), rows, **options)


def test_mean_is_over_marked_positions():
    states, _ = ragged((4, 4, 4))
    valid = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 1]]).bool()
    expected = torch.stack([row[chosen].mean(dim=0) for row, chosen in zip(states, valid, strict=True)])
    assert_close(masked_mean(states, PaddedRows(valid)), expected)


@pytest.mark.parametrize("lengths", [(7, 1, 4), (5, 5)])
def test_statistics_are_means_and_standard_deviations(lengths):
    states, mask = ragged(lengths)
    pooled = pool(statistics_pooling, states.requires_grad_(), mask, eps=1e-5)
    expected = [
        torch.cat([row[valid].mean(dim=0), (row[valid].var(dim=0, correction=0) + 1e-5).sqrt()])
        for row, valid in zip(states, mask, strict=True)
    ]
    assert_close(pooled, torch.stack(expected))
    assert_close(*gradients(states, (pooled, torch.stack(expected))))


def gradients(leaf, outputs):
    """Return the gradient of a sum in which every output has another weight, for each of several outputs."""
    return [torch.autograd.grad((output * torch.arange(output.shape[1])).sum(), leaf)[0] for output in outputs]


def test_padding_is_ignored():
    states, mask = ragged()
    noisy = states.masked_fill(~mask.unsqueeze(-1), 1e4)
    assert torch.equal(pool(statistics_pooling, noisy, mask), pool(statistics_pooling, states, mask))


def test_one_frame_has_finite_gradient():
    states, mask = ragged((1, 1))
    states.requires_grad_()
    pool(statistics_pooling, states, mask).sum().backward()
    assert states.grad.isfinite().all()


def test_bfloat16_is_summed_in_float32():
    states = torch.full((1, 3000, 2), 1.0, dtype=torch.bfloat16)
    pooled = pool(statistics_pooling, states, torch.ones(1, 3000, dtype=torch.bool))
    assert pooled.dtype == torch.bfloat16
    assert_close(pooled[0, :2], torch.ones(2, dtype=torch.bfloat16))


def attentive(size=5) -> AttentiveStatisticsPooling:
    torch.manual_seed(0)
    return AttentiveStatisticsPooling(size, attention_size=3)


def loop(pooling, states):
    """Attentive statistics of one row, frame by frame in float64."""
    weight, bias, vector = pooling.projection.weight, pooling.projection.bias, pooling.weigh.weight[0]
    frames = states.double()
    scores = torch.stack([vector.double() @ torch.tanh(weight.double() @ frame + bias.double()) for frame in frames])
    shares = scores.exp() / scores.exp().sum()
    mean = sum(share * frame for share, frame in zip(shares, frames, strict=True))
    variance = sum(share * (frame - mean) ** 2 for share, frame in zip(shares, frames, strict=True))
    return torch.cat([mean, torch.sqrt(variance + pooling.eps)])


@pytest.mark.parametrize("lengths", [(7, 1, 4), (5, 5)])
def test_attentive_statistics_equal_loop_over_frames(lengths):
    states, mask = ragged(lengths)
    pooling = attentive()
    pooled = pool(pooling, states.requires_grad_(), mask)
    expected = torch.stack([loop(pooling, row[valid]) for row, valid in zip(states, mask, strict=True)])
    assert_close(pooled.double(), expected, atol=1e-6, rtol=1e-5)
    assert_close(*gradients(states, (pooled, expected)), atol=1e-5, rtol=1e-5)


def test_attentive_statistics_are_over_marked_positions():
    states, _ = ragged((4, 4))
    valid, pooling = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]]).bool(), attentive()
    for row, chosen, output in zip(states, valid, pooling(states, PaddedRows(valid)), strict=True):
        assert_close(output.double(), loop(pooling, row[chosen]), atol=1e-6, rtol=1e-5)


def test_attention_ignores_padding_and_has_finite_gradient_for_one_frame():
    states, mask = ragged((7, 1, 4))
    pooling = attentive()
    noisy = states.masked_fill(~mask.unsqueeze(-1), 1e4).requires_grad_()
    pooled = pool(pooling, noisy, mask)
    assert torch.equal(pooled, pool(pooling, states, mask))
    pooled.sum().backward()
    assert noisy.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in pooling.parameters())


def test_attention_in_bfloat16_is_summed_in_float32():
    pooling = attentive(2).to(torch.bfloat16)
    pooled = pool(pooling, torch.ones(1, 3000, 2, dtype=torch.bfloat16), torch.ones(1, 3000, dtype=torch.bool))
    assert pooled.dtype == torch.bfloat16
    assert_close(pooled[0, :2], torch.ones(2, dtype=torch.bfloat16))
