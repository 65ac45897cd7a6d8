"""Coattention: blocks in which two sequences attend to each other (Zhao 2022, arXiv 2207.04697)."""

import torch
from torch import nn

from .fusion_attention import CrossModalAttention
from .modeling_linear import joins, project_jointly
from .modeling_rows import Rows


class FeedForward(nn.Module):
    """`LN(X + Dropout(Linear(GELU(Linear(X)))))`.

    Args:
        hidden_size: The width of the sequence.
        intermediate_size: The width between the two linear layers.
        hidden_dropout: Dropout on the output before the residual connection.
        layer_norm_eps: Epsilon of the layer normalisation.
    """

    def __init__(self, hidden_size: int, intermediate_size: int, hidden_dropout: float, layer_norm_eps: float):
        super().__init__()
        self.intermediate = nn.Linear(hidden_size, intermediate_size)
        self.output = nn.Linear(intermediate_size, hidden_size)
        self.dropout = nn.Dropout(hidden_dropout)
        self.layer_norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map `(..., hidden)` to the same shape."""
        output = self.output(nn.functional.gelu(self.intermediate(hidden_states)))
        return self.layer_norm(hidden_states + self.dropout(output))


class CoattentionBlock(nn.Module):
    """Speech attends to text and text to speech, both to the other's previous layer; a feed-forward layer follows each.

        S' = FF(LN(S + MHA(Q=S, K=V=X)))      X' = FF(LN(X + MHA(Q=X, K=V=S)))      FF(Y) = LN(Y + FFN(Y))

    Fusion of speech and text by coattention is the paper's; this form of it, the common one, is ours.

    Args:
        hidden_size: The width of both sequences.
        num_attention_heads: The number of heads; divides `hidden_size`.
        intermediate_size: The width inside the feed-forward layers.
        attention_dropout: Dropout on the attention weights.
        hidden_dropout: Dropout on outputs before the residual connections.
        layer_norm_eps: Epsilon of the layer normalisations.
    """

    def __init__(
        self,
        hidden_size: int,
        num_attention_heads: int,
        intermediate_size: int,
        attention_dropout: float,
        hidden_dropout: float,
        layer_norm_eps: float,
    ):
        super().__init__()
        attention = (hidden_size, num_attention_heads, attention_dropout, hidden_dropout, layer_norm_eps)
        feed_forward = (hidden_size, intermediate_size, hidden_dropout, layer_norm_eps)
        self.audio_text_attention = CrossModalAttention(*attention)
        self.text_audio_attention = CrossModalAttention(*attention)
        self.audio_feed_forward = FeedForward(*feed_forward)
        self.text_feed_forward = FeedForward(*feed_forward)

    def forward(
        self,
        audio: torch.Tensor,
        audio_rows: Rows,
        text: torch.Tensor,
        text_rows: Rows,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor | None]]:
        """Apply one block.

        Args:
            audio: Frames or segments, packed.
            audio_rows: Their layout.
            text: Tokens, packed.
            text_rows: Their layout.
            output_attentions: Whether to return attention maps.

        Returns:
            Both sequences in the same layouts, and the maps `"audio_text"` `(batch, heads, positions, tokens)` and
            `"text_audio"` `(batch, heads, tokens, positions)`, or None for each.
        """
        of_audio, of_text = self._project(audio, text)
        from_text, audio_text = self.audio_text_attention(
            audio, audio_rows, text, text_rows, output_attentions, of_audio
        )
        from_audio, text_audio = self.text_audio_attention(
            text, text_rows, audio, audio_rows, output_attentions, of_text
        )
        maps = {"audio_text": audio_text, "text_audio": text_audio}
        return self.audio_feed_forward(from_text), self.text_feed_forward(from_audio), maps

    def _project(self, audio: torch.Tensor, text: torch.Tensor) -> tuple[tuple[torch.Tensor, ...] | None, ...]:
        """Return the projections that both attentions take, computed in one product for each input; None where that is slower."""
        to_text, to_audio = self.audio_text_attention, self.text_audio_attention
        on_audio = (to_text.q_proj, to_audio.k_proj, to_audio.v_proj)
        on_text = (to_audio.q_proj, to_text.k_proj, to_text.v_proj)
        if not joins((*on_audio, *on_text), audio):
            return None, None
        audio_query, *text_pair = project_jointly(on_audio, audio)
        text_query, *audio_pair = project_jointly(on_text, text)
        return (audio_query, *audio_pair), (text_query, *text_pair)
