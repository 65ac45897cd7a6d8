"""Bidirectional recurrent layers over rows of different lengths, without waiting for the device (ours)."""

import torch
from torch import nn

from .modeling_rows import Rows

FEATURES = 8  # of padding, all of them equal: fast kernels want widths that 8 divides
CLOSING = {"LSTM": -1e4, "GRU": 1e4}  # inputs of gates that are closed, or open, to the last bit


class _RecurrenceByRow:
    """A `forward` for `nn.LSTM` and `nn.GRU`, bidirectional and batch-first, in which both directions end with their row.

    On a CPU oneDNN's fused kernels take no packed sequences, which are three times slower forward and ten times with
    gradients. So each direction runs over padded rows, the second over rows in reverse: padding comes last in both, and
    what is computed there is ignored. cuDNN takes packed sequences, but launches each of their steps by itself, and those
    of bfloat16: 32 rows of up to 419 positions take 15 and 11 ms on an H200, padded in float32 2.3 ms. So on CUDA both
    directions run in one call over padded rows, in float32, and padding holds back the second direction: features of its
    own close the gates, so that the state stays zero until the row begins.

    Args:
        input_size: The width of the input.
        hidden_size: The width of one direction.
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size, batch_first=True, bidirectional=True)

    def forward(self, padded: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map `(batch, longest row, input_size)` to `(batch, longest row, 2 * hidden_size)`, arbitrary where padded."""
        dtype = self.weight_ih_l0.dtype
        with torch.autocast(padded.device.type, enabled=False):
            if padded.device.type == "cuda":
                return self._run_at_once(padded.to(torch.promote_types(dtype, torch.float32)), rows).to(dtype)
            padded = padded.to(dtype)
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

    def _run_at_once(self, padded: torch.Tensor, rows: Rows) -> torch.Tensor:
        directions = [list(weights) for weights in self.all_weights]
        if rows.key_mask is not None:
            padding = (~rows.key_mask).unsqueeze(-1).expand(-1, -1, FEATURES)
            padded = torch.cat([padded, padding], dim=-1)
            # A zero state stays zero: all gates of an LSTM are closed, the update gate of a GRU keeps the old state.
            closing = self.weight_ih_l0.new_full((len(self.weight_ih_l0), FEATURES), CLOSING[self.mode])
            for weights in directions:
                weights[0] = torch.cat([weights[0], closing], dim=1)
        weights = _join([weight for weights in directions for weight in weights], padded.dtype)
        start = self._initial_state(padded, 2, len(padded))
        return self._run(padded, start, weights, True, 1, 0.0, self.training, True, True)[0]

    def _initial_state(self, states: torch.Tensor, directions: int, rows: int):
        zeros = states.new_zeros(directions, rows, self.hidden_size)
        return (zeros, zeros) if self.mode == "LSTM" else zeros

    @property
    def _run(self):
        return torch.lstm if self.mode == "LSTM" else torch.gru


def _join(weights: list[torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
    """Return weights in a dtype, one behind the other in the order of cuDNN, which else copies them: matrices, then biases."""
    order = sorted(range(len(weights)), key=lambda place: -weights[place].dim())
    joined = torch.cat([weights[place].flatten() for place in order]).to(dtype)
    parts = dict(zip(order, joined.split([weights[place].numel() for place in order]), strict=True))
    return [parts[place].view_as(weight) for place, weight in enumerate(weights)]


def _select(padded: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return `(batch, positions, hidden)` with the positions of each row in another order, `(batch, positions)`."""
    first = padded.shape[1] * torch.arange(len(padded), device=padded.device)
    return padded.flatten(0, 1).index_select(0, (places + first[:, None]).flatten()).view_as(padded)


class BidirectionalLSTM(_RecurrenceByRow, nn.LSTM):
    """One layer of `nn.LSTM` in both directions, with its parameters."""


class BidirectionalGRU(_RecurrenceByRow, nn.GRU):
    """One layer of `nn.GRU` in both directions, with its parameters."""
