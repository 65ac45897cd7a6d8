"""Bidirectional recurrent layers over rows of different lengths, without waiting for the device (ours)."""

import torch
from torch import nn

from .fusion_rows import Rows


class _RecurrenceByRow:
    """A `forward` for `nn.LSTM` and `nn.GRU`, bidirectional and batch-first, in which both directions end with their row.

    On a CPU oneDNN's fused kernels take no packed sequences, which are three times slower forward and ten times with
    gradients. So each direction runs over padded rows, the second over rows in reverse: padding comes last in both, and
    what is computed there is ignored. On CUDA the positions are in the order of a packed sequence, as cuDNN wants them;
    the order is computed on the device, and the numbers of rows at each step on the host. cuDNN wants the weights one behind
    the other: `load_checked` sees to it, torch when a model is moved.

    Args:
        input_size: The width of the input.
        hidden_size: The width of one direction.
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size, batch_first=True, bidirectional=True)

    def forward(self, padded: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map `(batch, longest row, input_size)` to `(batch, longest row, 2 * hidden_size)`, arbitrary where padded."""
        if padded.device.type == "cuda":
            return super().forward(padded)[0] if rows.are_equal else self._run_packed(padded, rows)
        with torch.autocast(padded.device.type, enabled=False):
            padded = padded.to(self.weight_ih_l0.dtype)
            return super().forward(padded)[0] if rows.key_mask is None else self._run_directions(padded, rows)

    def _run_directions(self, padded: torch.Tensor, rows: Rows) -> torch.Tensor:
        # Padding repeats a position of its row: after many zeros the state of a new layer, whose biases are zero, is
        # denormal, and computing with such numbers takes ten times longer.
        places, last = torch.arange(rows.longest, device=padded.device), rows.counts[:, None] - 1
        onwards, reverse = places.minimum(last), (last - places).clamp_min(0)
        start = self._initial_state(padded, 1, len(padded))
        outputs = []
        for order, weights in zip((onwards, reverse), self.all_weights, strict=True):
            states = _select(padded, order)
            outputs.append(self._run(states, start, weights, True, 1, 0.0, self.training, False, True)[0])
        first, second = outputs
        return torch.cat([first, _select(second, reverse)], dim=-1)

    def _run_packed(self, padded: torch.Tensor, rows: Rows) -> torch.Tensor:
        count = len(rows.lengths)
        steps = torch.tensor([sum(length > step for length in rows.lengths) for step in range(rows.longest)])
        order = rows.counts.argsort(descending=True)
        by_step = rows.mask.index_select(0, order).T.flatten().nonzero_static(size=sum(rows.lengths))[:, 0]
        places = order.index_select(0, by_step % count) * rows.longest + by_step // count
        packed = padded.flatten(0, 1).index_select(0, places)
        weights = [weight for direction in self.all_weights for weight in direction]
        start = self._initial_state(packed, 2, count)
        states = self._run(packed, steps, start, weights, True, 1, 0.0, self.training, True)[0]
        output = states.new_zeros(count * rows.longest, states.shape[-1]).index_copy_(0, places, states)
        return output.view(count, rows.longest, -1)

    def _initial_state(self, states: torch.Tensor, directions: int, rows: int):
        zeros = states.new_zeros(directions, rows, self.hidden_size)
        return (zeros, zeros) if self.mode == "LSTM" else zeros

    @property
    def _run(self):
        return torch.lstm if self.mode == "LSTM" else torch.gru


def _select(padded: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return `(batch, positions, hidden)` with the positions of each row in another order, `(batch, positions)`."""
    first = padded.shape[1] * torch.arange(len(padded), device=padded.device)
    return padded.flatten(0, 1).index_select(0, (places + first[:, None]).flatten()).view_as(padded)


class BidirectionalLSTM(_RecurrenceByRow, nn.LSTM):
    """One layer of `nn.LSTM` in both directions, with its parameters."""


class BidirectionalGRU(_RecurrenceByRow, nn.GRU):
    """One layer of `nn.GRU` in both directions, with its parameters."""
