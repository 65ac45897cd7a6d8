"""A-GRU-LVC, WavFusion's branch for video (Li 2024, arXiv 2412.05558)."""

import torch
from torch import nn

from .fusion_recurrent_attention import RecurrentAttention
from .modeling_rows import Rows


class LearnableVisualCenter(nn.Module):
    """A gate on the channels of each frame, computed from all frames of the video.

        a_ik = softmax_k(s_k |x_i - b_k|^2)            soft assignment of frame x_i to codewords b_k
        e_k = mean_i a_ik (x_i - b_k)                  aggregated residuals
        y_i = x_i + x_i * sigmoid(FC(mean_k ReLU(LN(e_k))))

    After the learnable visual center of "Centralized Feature Pyramid for Object Detection" (Quan et al. 2022). Ours:
    the one-dimensional form, and the mean over frames and the layer normalisation, which keep rows independent.

    Args:
        hidden_size: The width of the frames.
        num_codewords: The number of codewords.
        layer_norm_eps: Epsilon of the layer normalisation.
    """

    def __init__(self, hidden_size: int, num_codewords: int, layer_norm_eps: float):
        super().__init__()
        self.codewords = nn.Parameter(torch.zeros(num_codewords, hidden_size))
        self.scales = nn.Parameter(torch.zeros(num_codewords))  # initialised between -1 and 0
        self.layer_norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.gate = nn.Linear(hidden_size, hidden_size)

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map packed frames to packed frames of the same width."""
        # mean_i a_ik (x_i - b_k) = (mean_i a_ik x_i) - (mean_i a_ik) b_k
        shares = (rows.pad(self.assign(packed)) / rows.counts[:, None, None]).transpose(1, 2)
        residuals = shares @ rows.pad(packed) - shares.sum(dim=-1, keepdim=True) * self.codewords
        gate = self.gate(self.layer_norm(residuals).relu().mean(dim=1)).sigmoid()
        return packed.addcmul(packed, rows.spread(gate))

    def assign(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the soft assignment `(..., codewords)` of frames `(..., hidden)` to codewords."""
        distances = (hidden_states.unsqueeze(-2) - self.codewords).square().sum(dim=-1)
        return (self.scales * distances).softmax(dim=-1)


class VisualBranch(nn.Module):
    """A-GRU-LVC: the concatenation of [GRU -> self-attention] and the learnable visual center.

    The blocks are from a third party's notes of the paper. Their widths, and the linear projection before the center,
    are ours.

    Args:
        input_size: The width of the vision encoder.
        hidden_size: The width of the output: half for each part, or all for the first part without a center.
        num_codewords: The number of codewords of the center; 0 leaves the center out.
        num_attention_heads: The number of heads; divides the width of the first part.
        attention_dropout: Dropout on the attention weights.
        hidden_dropout: Dropout on the attention's output before the residual connection.
        layer_norm_eps: Epsilon of the layer normalisations.
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
        self.recurrent_attention = RecurrentAttention(
            input_size, width, num_attention_heads, attention_dropout, hidden_dropout, layer_norm_eps
        )
        self.projection = nn.Linear(input_size, width) if num_codewords else None
        self.visual_center = LearnableVisualCenter(width, num_codewords, layer_norm_eps) if num_codewords else None

    def forward(self, packed: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Map packed frames with `input_size` channels to packed frames with `hidden_size` channels."""
        states = self.recurrent_attention(packed, rows)
        if self.visual_center is None:
            return states
        return torch.cat([states, self.visual_center(self.projection(packed), rows)], dim=-1)
