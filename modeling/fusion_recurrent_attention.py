"""A GRU followed by self-attention: WavFusion's branch for text, and part of that for video (Li 2024, arXiv 2412.05558)."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .fusion_attention import CrossModalAttention


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
        self.gru = nn.GRU(input_size, hidden_size // 2, batch_first=True, bidirectional=True)
        self.self_attention = CrossModalAttention(
            hidden_size, num_attention_heads, attention_dropout, hidden_dropout, layer_norm_eps
        )

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map `(batch, positions, input_size)` with its mask `(batch, positions)` to `(batch, positions, hidden_size)`."""
        # Packed, so that the backward direction starts at the last valid position of each utterance.
        packed = pack_padded_sequence(hidden_states, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=mask.shape[1])
        return self.self_attention(states, states, mask)[0]
