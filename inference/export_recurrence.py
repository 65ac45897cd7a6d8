"""Recurrent layers as the operators LSTM and GRU of ONNX, which take the lengths of rows."""

import torch
from torch import nn

from ..modeling.fusion_recurrence import BidirectionalGRU, BidirectionalLSTM
from ..modeling.modeling_rows import Rows

# The order of the gates in ONNX, by their places in torch: torch has i f g o, ONNX i o f g; torch has r z n, ONNX z r n.
GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


class RecurrenceOperator(nn.Module):
    """The operator that replaces a bidirectional layer in an exported graph. Outside of an export its result is zero.

    Args:
        layer: The layer.
    """

    def __init__(self, layer: BidirectionalLSTM | BidirectionalGRU):
        super().__init__()
        self.mode, self.hidden_size = layer.mode, layer.hidden_size
        weights, recurrent, *biases = (
            torch.stack([self._in_order(direction[number]) for direction in layer.all_weights]) for number in range(4)
        )
        self.register_buffer("weights", weights)
        self.register_buffer("recurrent_weights", recurrent)
        self.register_buffer("biases", torch.cat(biases, dim=1))

    def _in_order(self, weight: torch.Tensor) -> torch.Tensor:
        gates = weight.detach().chunk(len(GATES[self.mode]))
        return torch.cat([gates[place] for place in GATES[self.mode]])

    def forward(self, padded: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map `(batch, positions, input_size)` to `(batch, positions, 2 * hidden_size)`, zero where padded."""
        attributes = {"direction": "bidirectional", "hidden_size": self.hidden_size}
        if self.mode == "GRU":
            attributes["linear_before_reset"] = 1
        states = torch.onnx.ops.symbolic(
            self.mode,
            (padded.transpose(0, 1), self.weights, self.recurrent_weights, self.biases, rows.counts.int()),
            attributes,
            dtype=padded.dtype,
            shape=(padded.shape[1], 2, padded.shape[0], self.hidden_size),
        )
        return states.permute(2, 0, 1, 3).flatten(2)


def replace_recurrences(model: nn.Module) -> None:
    """Replace all bidirectional layers of a model by operators."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, BidirectionalLSTM | BidirectionalGRU):
                setattr(module, name, RecurrenceOperator(child))
