"""Attention of one sequence to another."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from .modeling_lengths import works_by_row
from .modeling_linear import joins, project_jointly
from .modeling_modules import is_plain_linear
from .modeling_row_attention import attend_inside_rows, has_kernel
from .modeling_rows import Rows

# Cost of the narrow products of single heads that fold one projection, in operations of a product of all heads (ours; in
# bfloat16 on a CPU with AMX they run at a quarter of its rate).
FOLDING = 4


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
        projected: tuple[torch.Tensor, ...] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the attention of queries to keys and values of the same row.

        Args:
            hidden_states: The queries, packed, with `hidden_size` channels.
            rows: Their layout.
            key_value_states: Keys and values, packed, with `key_value_size` channels.
            key_value_rows: Their layout; every row has at least one valid position.
            output_attentions: Whether to return the attention map, which is then computed explicitly. Otherwise torch
                chooses the fastest kernel.
            projected: The outputs of `q_proj`, `k_proj` and `v_proj`, if they have been computed elsewhere.

        Returns:
            The same shape as `hidden_states`, and the weights `(batch, heads, queries, keys)` or `None`.
        """
        is_padded = not (rows.are_equal and key_value_rows.are_equal)
        is_by_row = is_padded and not output_attentions and works_by_row(hidden_states.device)
        if is_by_row and (attend := self._folded(rows, key_value_rows)):
            return attend(hidden_states, rows, key_value_states, key_value_rows), None
        query, key, value = projected or self._project(hidden_states, key_value_states)
        query, key, value = (
            states.unflatten(-1, (self.num_attention_heads, self.head_dim)) for states in (query, key, value)
        )
        if is_by_row or (is_padded and not output_attentions and has_kernel(query, rows, key_value_rows)):
            context = attend_inside_rows(query, key, value, rows, key_value_rows, self._dropout)
            return self.out_proj(context.flatten(2)), None
        query, key, value = (
            layout.pad(states).transpose(1, 2)
            for layout, states in ((rows, query), (key_value_rows, key), (key_value_rows, value))
        )
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

    def _project(self, hidden_states: torch.Tensor, key_value_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        layers = (self.q_proj, self.k_proj, self.v_proj)
        if not joins(layers, key_value_states):
            return self.q_proj(hidden_states), self.k_proj(key_value_states), self.v_proj(key_value_states)
        if hidden_states is key_value_states:
            return project_jointly(layers, hidden_states)
        return self.q_proj(hidden_states), *project_jointly(layers[1:], key_value_states)

    def _folded(self, rows: Rows, key_value_rows: Rows) -> Callable[..., torch.Tensor] | None:
        """Return the cheaper form in which a long sequence is not projected, if one saves operations.

        `(X Wq) (Y Wk)' = X (Y Wk Wq')'`, head by head: where the heads of the short sequence have fewer rows than there are
        channels, projecting them twice costs less than projecting the long one. Counts are multiplications over channels.
        """
        size = self.num_attention_heads * self.head_dim
        layers = (self.q_proj, self.k_proj, self.v_proj, self.out_proj)
        if not all(map(is_plain_linear, layers)) or self.k_proj.in_features != size:
            return None
        queries, keys = sum(rows.lengths), sum(key_value_rows.lengths)
        pairs = self.num_attention_heads * sum(
            query * key for query, key in zip(rows.lengths, key_value_rows.lengths, strict=True)
        )
        few_keys, few_queries = (
            long * size - pairs - FOLDING * short * size for long, short in ((queries, keys), (keys, queries))
        )
        if max(few_keys, few_queries) <= 0:
            return None
        return self._attend_to_few_keys if few_keys >= few_queries else self._attend_with_few_queries

    def _attend_to_few_keys(self, hidden_states, rows: Rows, key_value_states, key_value_rows: Rows) -> torch.Tensor:
        """Fold the projections of queries and output into keys and values."""
        key, value = (self._heads_first(layer(key_value_states)) for layer in (self.k_proj, self.v_proj))
        key = key * self.head_dim**-0.5
        key, offset = key @ self._by_head(self.q_proj.weight), key @ self._by_head(self.q_proj.bias).unsqueeze(-1)
        value = value @ self._by_head(self.out_proj.weight.t())
        lengths, contexts = list(key_value_rows.lengths), []
        parts = (states.split(lengths, dim=1) for states in (key, offset, value))
        for query, key, offset, value in zip(rows.split(hidden_states), *parts, strict=True):
            scores = torch.addmm(offset.flatten(), query, key.flatten(0, 1).t()).unflatten(1, key.shape[:2])
            weights = self._weigh(scores)
            contexts.append(torch.addmm(self.out_proj.bias, weights.flatten(1), value.flatten(0, 1)))
        return rows.join(contexts)

    def _attend_with_few_queries(
        self, hidden_states, rows: Rows, key_value_states, key_value_rows: Rows
    ) -> torch.Tensor:
        """Fold the projections of keys and values into queries and output."""
        query = self._heads_first(self.q_proj(hidden_states)) * self.head_dim**-0.5
        # The same for all keys, so that the softmax removes it; the bias keeps its (zero) gradient.
        offset = query @ self._by_head(self.k_proj.bias).unsqueeze(-1)
        query = query @ self._by_head(self.k_proj.weight)
        lengths, contexts, sums = list(rows.lengths), [], []
        parts = (states.split(lengths, dim=1) for states in (query, offset))
        for states, query, offset in zip(key_value_rows.split(key_value_states), *parts, strict=True):
            scores = torch.addmm(offset.flatten(0, 1), query.flatten(0, 1), states.t()).unflatten(0, query.shape[:2])
            weights = self._weigh(scores)
            contexts.append((weights.flatten(0, 1) @ states).unflatten(0, query.shape[:2]))
            sums.append(weights.sum(dim=-1, keepdim=True))  # dropout changes it
        context = torch.cat(contexts, dim=1) @ self._by_head(self.v_proj.weight).transpose(1, 2)
        context = context + torch.cat(sums, dim=1) * self._by_head(self.v_proj.bias).unsqueeze(1)
        return self.out_proj(rows.join(context.transpose(0, 1).flatten(1).split(lengths)))

    def _weigh(self, scores: torch.Tensor) -> torch.Tensor:
        return F.dropout(scores.softmax(dim=-1).to(scores.dtype), self._dropout)

    def _heads_first(self, states: torch.Tensor) -> torch.Tensor:
        """Return `(heads, positions of all rows, head)`."""
        return states.flatten(0, 1).unflatten(-1, (self.num_attention_heads, self.head_dim)).transpose(0, 1)

    def _by_head(self, parameter: torch.Tensor) -> torch.Tensor:
        """Return a weight or a bias with its first dimension divided into `(heads, head)`."""
        return parameter.unflatten(0, (self.num_attention_heads, self.head_dim))

    @property
    def _dropout(self) -> float:
        return self.attention_dropout if self.training else 0.0


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
        projected: tuple[torch.Tensor, ...] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the attention, add the residual and normalise; arguments and results as in [`MultiHeadAttention`]."""
        context, weights = super().forward(
            hidden_states, rows, key_value_states, key_value_rows, output_attentions, projected
        )
        return self.layer_norm(hidden_states + self.dropout(context)), weights
