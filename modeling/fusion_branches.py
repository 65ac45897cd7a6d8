"""Branches between encoder and pooling, one per modality (Krishna 2021, arXiv 2108.09669; their form is ours)."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class ConvBranch(nn.Module):
    """`ReLU(Conv1d(x))` over valid frames: the text branch, and the first part of the speech branch.

    Args:
        input_size: The width of the encoder.
        hidden_size: The width of the branch.
        kernel_size: The kernel size; odd, so that the number of frames stays the same.
    """

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int):
        super().__init__()
        self.conv = nn.Conv1d(input_size, hidden_size, kernel_size, padding=kernel_size // 2)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map `(batch, frames, input_size)` with its mask `(batch, frames)` to `(batch, frames, hidden_size)`."""
        hidden_states = hidden_states * mask.unsqueeze(-1)  # so that the result does not depend on padding
        return self.conv(hidden_states.transpose(1, 2)).transpose(1, 2).relu()


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
        self.lstm = nn.LSTM(hidden_size, hidden_size // 2, batch_first=True, bidirectional=True)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map `(batch, frames, input_size)` with its mask `(batch, frames)` to `(batch, frames, hidden_size)`."""
        states = self.linear(self.conv_branch(hidden_states, mask))
        # Packed, so that the backward direction starts at the last valid frame of each utterance.
        packed = pack_padded_sequence(states, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=states.shape[1])
        return states
