"""A-GRU-LVC, WavFusion's reader of video frames (Li 2024, arXiv 2412.05558)."""

import torch
from torch import nn

from .fusion_pooling import masked_mean
from .fusion_recurrent_attention import RecurrentAttention


class LearnableVisualCenter(nn.Module):
    """What a film holds as a whole decides how much of each channel of its frames is let through.

        a_ik = softmax_k(s_k |x_i - b_k|^2)            each frame x_i is shared out among codewords b_k
        e_k = mean_i a_ik (x_i - b_k)                  what it differs by is gathered
        y_i = x_i + x_i * sigmoid(FC(mean_k ReLU(LN(e_k))))

    After the learnable visual center of "Centralized Feature Pyramid for Object Detection" (Quan et al. 2022), made
    one-dimensional (ours, as are the mean over frames and the layer normalisation, which leave rows their own).

    Args:
        hidden_size: width of the frames.
        num_codewords: codewords.
        layer_norm_eps: epsilon of the layer normalisation.
    """

    def __init__(self, hidden_size: int, num_codewords: int, layer_norm_eps: float):
        super().__init__()
        self.codewords = nn.Parameter(torch.zeros(num_codewords, hidden_size))
        self.scales = nn.Parameter(torch.zeros(num_codewords))  # start at random between -1 and 0
        self.layer_norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.gate = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch, frames, hidden)` and its mask `(batch, frames)` to `(batch, frames, hidden)`."""
        shares = self.assign(hidden_states)
        # mean_i a_ik (x_i - b_k) = mean_i a_ik x_i - (mean_i a_ik) b_k
        gathered = masked_mean((shares.unsqueeze(-1) * hidden_states.unsqueeze(2)).flatten(2), mask)
        residuals = gathered.unflatten(-1, self.codewords.shape)
        residuals = residuals - masked_mean(shares, mask).unsqueeze(-1) * self.codewords
        gate = self.gate(self.layer_norm(residuals).relu().mean(dim=1)).sigmoid()
        return hidden_states * (1 + gate.unsqueeze(1))

    def assign(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The share `(batch, frames, codewords)` of every codeword in every frame."""
        distances = (hidden_states.unsqueeze(2) - self.codewords).square().sum(dim=-1)
        return (self.scales * distances).softmax(dim=-1)


class VisualEncoder(nn.Module):
    """A-GRU-LVC: [GRU -> self-attention] beside the learnable visual center, concatenated.

    The blocks are those of a third party's notes of the paper. Their widths, and the linear layer that brings the
    frames to the center's, are ours.

    Args:
        input_size: width of the vision encoder.
        hidden_size: width of the result; half of it for each of the two parts, or all for the first.
        num_codewords: codewords of the center; 0 leaves it out.
        num_attention_heads: heads; divides the width of the first part.
        attention_dropout: dropout on the attention weights.
        hidden_dropout: dropout on the attention's output before it is added.
        layer_norm_eps: epsilon of the layer normalisations.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_codewords: int,
        num_attention_heads: int,
        attention_dropout: float,
        hidden_dropout: float,
        layer_norm_eps: float,
    ):
        super().__init__()
        width = hidden_size // 2 if num_codewords else hidden_size
        self.recurrent = RecurrentAttention(
            input_size, width, num_attention_heads, attention_dropout, hidden_dropout, layer_norm_eps
        )
        self.projection = nn.Linear(input_size, width) if num_codewords else None
        self.center = LearnableVisualCenter(width, num_codewords, layer_norm_eps) if num_codewords else None

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch, frames, input_size)` and its mask `(batch, frames)` to `(batch, frames, hidden_size)`."""
        states = self.recurrent(hidden_states, mask)
        if self.center is None:
            return states
        return torch.cat([states, self.center(self.projection(hidden_states), mask)], dim=-1)
