"""Pooling, compared with a loop over rows."""

import pytest
import torch
from emofusion.modeling.fusion_pooling import masked_mean, statistics_pooling
from emofusion.modeling.fusion_rows import Rows
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
    states, mask = ragged((4, 4, 4))
    valid = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 1]]).bool()
    expected = torch.stack([row[chosen].mean(dim=0) for row, chosen in zip(states, valid, strict=True)])
    assert_close(masked_mean(states, Rows(mask, (4, 4, 4), valid)), expected)


@pytest.mark.parametrize("lengths", [(7, 1, 4), (5, 5)])
def test_statistics_are_means_and_standard_deviations(lengths):
    states, mask = ragged(lengths)
    pooled = pool(statistics_pooling, states, mask, eps=0.0)
    for row, valid, output in zip(states, mask, pooled, strict=True):
        expected = torch.cat([row[valid].mean(dim=0), row[valid].std(dim=0, correction=0)])
        assert_close(output, expected)


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
