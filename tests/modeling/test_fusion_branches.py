"""Branches on a padded batch, compared with the same layers on each row."""

import pytest
import torch
from emofusion.modeling.fusion_branches import ConvBranch, RecurrentBranch
from testing_rows import rows_of
from torch import nn
from torch.testing import assert_close

LENGTHS = (9, 1, 5)


@pytest.fixture
def batch():
    states = torch.randn(3, 9, 6, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    return states.masked_fill(~mask.unsqueeze(-1), 100.0), mask


def run(branch: nn.Module, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    rows = rows_of(mask)
    return branch(rows.pack(states), rows)


def lstm(module: nn.LSTM, row: torch.Tensor) -> torch.Tensor:
    """The LSTM of one row, by the `forward` of torch."""
    return nn.LSTM.forward(module, row)[0]


def conv(module: nn.Conv1d, row: torch.Tensor) -> torch.Tensor:
    """`ReLU(Conv1d(x))` of one row `(frames, features)`, frame by frame."""
    reach = module.kernel_size[0] // 2
    padded = nn.functional.pad(row, (0, 0, reach, reach))
    windows = [padded[start : start + module.kernel_size[0]] for start in range(len(row))]
    return torch.stack([(module.weight * window.T).sum(dim=(1, 2)) + module.bias for window in windows]).relu()


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_conv_branch_ignores_padding(batch, kernel_size):
    states, mask = batch
    branch = ConvBranch(6, 8, kernel_size)
    outputs = run(branch, states, mask)
    assert outputs.shape == (3, 9, 8)
    for row, length in enumerate(LENGTHS):
        assert_close(outputs[row, :length], conv(branch.conv, states[row, :length]))


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_convolution_may_be_longer_than_every_row(kernel_size):
    states, branch = torch.randn(2, 1, 6), ConvBranch(6, 8, kernel_size)
    outputs = run(branch, states, torch.ones(2, 1, dtype=torch.bool))
    assert_close(outputs, torch.stack([conv(branch.conv, row) for row in states]))


def test_recurrent_branch_is_bidirectional_per_row(batch):
    states, mask = batch
    branch = RecurrentBranch(6, 8, 3)
    outputs = run(branch, states, mask)
    assert outputs.shape == (3, 9, 8)
    for row, length in enumerate(LENGTHS):
        projected = branch.linear(conv(branch.conv_branch.conv, states[row, :length]))
        assert_close(outputs[row, :length], lstm(branch.lstm, projected))


def test_output_is_as_long_as_longest_row(batch):
    states, mask = batch
    branch = RecurrentBranch(6, 8, 3)
    assert run(branch, states[1:], mask[1:]).shape == (2, 5, 8)
    assert_close(run(branch, states[1:], mask[1:])[1], run(branch, states, mask)[2, :5])
