"""A GRU followed by self-attention: WavFusion's branch for text, and part of that for video (Li 2024, arXiv 2412.05558)."""

import torch
from torch import nn

from .fusion_attention import CrossModalAttention
from .fusion_recurrence import BidirectionalGRU
from .modeling_rows import Rows


class RecurrentAttention(nn.Module):
    """`LN(G + MHA(Q=K=V=G))` with `G = GRU(x)` (GRU and self-attention after notes of the paper; the rest is ours).

    Args:
        input_size: The width of the encoder.
        hidden_size: The width of the output, half of it per direction of the GRU.
        num_attention_heads: The number of heads; divides `hidden_size`.
        attention_dropout: Dropout on the attention weights.
        hidden_dropout: Dropout on the attention's output before the residual connection.
        layer_norm_eps: Epsilon of the layer normalisation.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_attention_heads: int,
        attention_dropout: float,
        hidden_dropout: float,
        layer_norm_eps: float,
    ):
        super().__init__()
        self.gru = BidirectionalGRU(input_size, hidden_size // 2)
        self.self_attention = CrossModalAttention(
            hidden_size, num_attention_heads, attention_dropout, hidden_dropout, layer_norm_eps
        )

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map packed states with `input_size` channels to packed states with `hidden_size` channels."""
        states = rows.pack(self.gru(rows.pad(packed), rows))
        return self.self_attention(states, rows, states, rows)[0]
