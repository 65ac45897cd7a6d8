"""Branches between encoder and pooling, one per modality (Krishna 2021, arXiv 2108.09669; their form is ours)."""

import torch
import torch.nn.functional as F
from torch import nn

from .fusion_recurrence import BidirectionalLSTM
from .modeling_rows import Rows


class ConvByRow(nn.Conv1d):
    """`nn.Conv1d` over each row, as one product of its positions with the weights of all taps, shifted and added.

    Args:
        input_size: The channels of the input.
        output_size: The channels of the output.
        kernel_size: The kernel size; odd, so that the number of frames stays the same.
    """

    def __init__(self, input_size: int, output_size: int, kernel_size: int):
        super().__init__(input_size, output_size, kernel_size, padding=kernel_size // 2)

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map packed states with `input_size` channels to `(batch, longest row, output_size)`, padded."""
        (size,), (border,) = self.kernel_size, self.padding
        taps = rows.pad(F.linear(packed, self.weight.permute(2, 0, 1).flatten(0, 1)))
        taps = F.pad(taps, (0, 0, border, border)).chunk(size, dim=-1)
        first, *others = (states[:, tap : tap + rows.longest] for tap, states in enumerate(taps))
        return sum(others, start=first) + self.bias


class ConvBranch(nn.Module):
    """`ReLU(Conv1d(x))` of each row: the text branch, and the first part of the speech branch.

    Args:
        input_size: The width of the encoder.
        hidden_size: The width of the branch.
        kernel_size: The kernel size; odd, so that the number of frames stays the same.
    """

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int):
        super().__init__()
        self.conv = ConvByRow(input_size, hidden_size, kernel_size)

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map packed states with `input_size` channels to `(batch, longest row, hidden_size)`, padded."""
        return self.conv(packed, rows).relu()


class RecurrentBranch(nn.Module):
    """`BiLSTM(Linear(ReLU(Conv1d(x))))`: the speech branch.

    Args:
        input_size: The width of the encoder.
        hidden_size: The width of the branch, half of it per direction of the LSTM.
        kernel_size: The kernel size of the convolution; odd.
    """

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int):
        super().__init__()
        self.conv_branch = ConvBranch(input_size, hidden_size, kernel_size)
        self.linear = nn.Linear(hidden_size, hidden_size)
        self.lstm = BidirectionalLSTM(hidden_size, hidden_size // 2)

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map packed states with `input_size` channels to `(batch, longest row, hidden_size)`, padded."""
        return self.lstm(self.linear(self.conv_branch(packed, rows)), rows)
