"""What stands between an encoder and the pooling: one branch per modality (Krishna 2021)."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class ConvBranch(nn.Module):
    """`ReLU(Conv1d(x))` over the valid frames: the text branch, and the start of the speech branch.

    Args:
        input_size: width of the encoder.
        hidden_size: width of the branch.
        kernel_size: odd, so that the frames keep their places.
    """

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int):
        super().__init__()
        self.conv = nn.Conv1d(input_size, hidden_size, kernel_size, padding=kernel_size // 2)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch, frames, input_size)` and its mask `(batch, frames)` to `(batch, frames, hidden_size)`."""
        # Padding must look to the convolution like the nothing beyond an utterance's end.
        hidden_states = hidden_states * mask.unsqueeze(-1)
        return self.conv(hidden_states.transpose(1, 2)).transpose(1, 2).relu()


class RecurrentBranch(nn.Module):
    """`BiLSTM(Linear(ReLU(Conv1d(x))))`: the speech branch.

    Args:
        input_size: width of the encoder.
        hidden_size: width of the branch; half of it for each direction of the LSTM.
        kernel_size: of the convolution, odd.
    """

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int):
        super().__init__()
        self.conv_branch = ConvBranch(input_size, hidden_size, kernel_size)
        self.linear = nn.Linear(hidden_size, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size // 2, batch_first=True, bidirectional=True)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch, frames, input_size)` and its mask `(batch, frames)` to `(batch, frames, hidden_size)`."""
        states = self.linear(self.conv_branch(hidden_states, mask))
        # Packed, so that the backward direction starts at each utterance's own last frame.
        packed = pack_padded_sequence(states, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=states.shape[1])
        return states
