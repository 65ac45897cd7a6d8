"""A GRU and then self-attention: how WavFusion reads text and film (Li 2024, arXiv 2412.05558)."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .fusion_attention import CrossModalAttention


class RecurrentAttention(nn.Module):
    """`LN(G + MHA(Q=K=V=G))` with `G = GRU(x)` (GRU and self-attention after notes of the paper, the rest ours).

    Args:
        input_size: width of the encoder.
        hidden_size: width of the result; half of it for each direction of the GRU.
        num_attention_heads: heads; divides `hidden_size`.
        attention_dropout: dropout on the attention weights.
        hidden_dropout: dropout on the attention's output before it is added.
        layer_norm_eps: epsilon of the layer normalisation.
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
        self.gru = nn.GRU(input_size, hidden_size // 2, batch_first=True, bidirectional=True)
        self.self_attention = CrossModalAttention(
            hidden_size, num_attention_heads, attention_dropout, hidden_dropout, layer_norm_eps
        )

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch, positions, input_size)` and its mask `(batch, positions)` to `(batch, positions, hidden_size)`."""
        # Packed, so that the backward direction starts at each utterance's own last position.
        packed = pack_padded_sequence(hidden_states, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=mask.shape[1])
        return self.self_attention(states, states, mask)[0]
