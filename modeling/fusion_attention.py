"""Attention of one sequence to another."""

import torch
import torch.nn.functional as F
from torch import nn

from .fusion_rows import Rows


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017); keys and values may have another width than queries.

    Args:
        hidden_size: The width of queries and output.
        key_value_size: The width of keys and values.
        num_attention_heads: The number of heads; divides `hidden_size`.
        attention_dropout: Dropout on the attention weights.
    """

    def __init__(self, hidden_size: int, key_value_size: int, num_attention_heads: int, attention_dropout: float):
        super().__init__()
        self.num_attention_heads = num_attention_heads
        self.head_dim = hidden_size // num_attention_heads
        self.attention_dropout = attention_dropout
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(key_value_size, hidden_size)
        self.v_proj = nn.Linear(key_value_size, hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def forward(
        self,
        hidden_states: torch.Tensor,
        rows: Rows,
        key_value_states: torch.Tensor,
        key_value_rows: Rows,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the attention of queries to keys and values of the same row.

        Args:
            hidden_states: The queries, packed, with `hidden_size` channels.
            rows: Their layout.
            key_value_states: Keys and values, packed, with `key_value_size` channels.
            key_value_rows: Their layout; every row has at least one valid position.
            output_attentions: Whether to return the attention map, which is then computed explicitly. Otherwise torch
                chooses the fastest kernel.

        Returns:
            The same shape as `hidden_states`, and the weights `(batch, heads, queries, keys)` or `None`.
        """
        query, key, value = self.q_proj(hidden_states), self.k_proj(key_value_states), self.v_proj(key_value_states)
        is_padded = not (rows.are_equal and key_value_rows.are_equal)
        if is_padded and not output_attentions and query.device.type == "cpu":
            return self.out_proj(self._attend_by_row(query, rows, key, value, key_value_rows)), None
        query = self._split_heads(rows.pad(query))
        key, value = (self._split_heads(key_value_rows.pad(states)) for states in (key, value))
        mask = None if key_value_rows.key_mask is None else key_value_rows.key_mask[:, None, None, :]
        weights = None
        if output_attentions:
            scores = (query @ key.transpose(-1, -2)) * self.head_dim**-0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            weights = scores.softmax(dim=-1)
            context = F.dropout(weights, self._dropout) @ value
        else:
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=self._dropout)
        return self.out_proj(rows.pack(context.transpose(1, 2).flatten(2))), weights

    def _attend_by_row(self, query, rows: Rows, key, value, key_value_rows: Rows) -> torch.Tensor:
        """Compute no padding; where a call costs little, as on a CPU, this is faster than one call for all rows."""
        contexts = []
        parts = zip(rows.split(query), key_value_rows.split(key), key_value_rows.split(value), strict=True)
        for row, part in enumerate(parts):
            heads = [self._split_heads(states[None]) for states in part]
            valid = key_value_rows.valid
            mask = None if valid is None else valid[row, None, None, None, : len(part[1])]
            context = F.scaled_dot_product_attention(*heads, attn_mask=mask, dropout_p=self._dropout)
            contexts.append(context.transpose(1, 2).flatten(2))
        return torch.cat(contexts, dim=0 if rows.are_equal else 1)

    @property
    def _dropout(self) -> float:
        return self.attention_dropout if self.training else 0.0

    def _split_heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (self.num_attention_heads, self.head_dim)).transpose(1, 2)


class CrossModalAttention(MultiHeadAttention):
    """`LN(X + Dropout(MHA(Q=X, K=V=Y)))`: each position of one modality attends to the other modality.

    Krishna 2021 (arXiv 2108.09669); the residual connection and the normalisation after it are ours.

    Args:
        hidden_size: The width of both sequences.
        num_attention_heads: The number of heads; divides `hidden_size`.
        attention_dropout: Dropout on the attention weights.
        hidden_dropout: Dropout on the output before the residual connection.
        layer_norm_eps: Epsilon of the layer normalisation.
    """

    def __init__(
        self,
        hidden_size: int,
        num_attention_heads: int,
        attention_dropout: float,
        hidden_dropout: float,
        layer_norm_eps: float,
    ):
        super().__init__(hidden_size, hidden_size, num_attention_heads, attention_dropout)
        self.dropout = nn.Dropout(hidden_dropout)
        self.layer_norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)

    def forward(
        self,
        hidden_states: torch.Tensor,
        rows: Rows,
        key_value_states: torch.Tensor,
        key_value_rows: Rows,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the attention, add the residual and normalise; arguments and results as in [`MultiHeadAttention`]."""
        context, weights = super().forward(hidden_states, rows, key_value_states, key_value_rows, output_attentions)
        return self.layer_norm(hidden_states + self.dropout(context)), weights
