"""Gated cross-modal attention, in the place of a speech encoder's self-attention (Li 2024, arXiv 2412.05558)."""

import copy
from collections.abc import Mapping

import torch
from torch import nn

from .fusion_attention import MultiHeadAttention


class GatedCrossModalAttention(nn.Module):
    """Speech asks the other modalities, and a gate weighs their answers for every frame and channel.

        X_F1 = CMA(Q=X_a, K=V=X_1)      X_F2 = CMA(Q=X_a, K=V=X_2)
        P = sigmoid(FC([X_F1 ; X_F2]))      X_F = P * X_F1 + (1 - P) * X_F2

    So the paper has it for text and video (the equations after a third party's notes of it). Ours: with one modality
    besides speech, X_F2 is the self-attention that is then kept, or there is no gate; and the attention to text
    starts as the self-attention that was there, its keys and values where the widths allow.

    Args:
        self_attention: of a layer of the wav2vec 2.0 family; what of it is used on belongs to this module afterwards.
        sizes: width of each modality that speech asks, in order: one or two.
        keep_self_attention: with one modality, whether the gate weighs it against the self-attention.
    """

    def __init__(self, self_attention: nn.Module, sizes: Mapping[str, int], keep_self_attention: bool):
        super().__init__()
        hidden_size = self_attention.embed_dim
        self.attentions = nn.ModuleDict(
            {
                name: MultiHeadAttention(hidden_size, size, self_attention.num_heads, self_attention.dropout)
                for name, size in sizes.items()
            }
        )
        if "text" in sizes:
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                projection = getattr(self_attention, name)
                if getattr(self.attentions["text"], name).in_features == projection.in_features:
                    setattr(self.attentions["text"], name, copy.deepcopy(projection))
        self.self_attention = self_attention if len(sizes) == 1 and keep_self_attention else None
        sources = len(sizes) + (self.self_attention is not None)
        self.gate = nn.Linear(sources * hidden_size, hidden_size) if sources == 2 else None

    def forward(
        self,
        hidden_states: torch.Tensor,
        streams: Mapping[str, torch.Tensor],
        stream_masks: Mapping[str, torch.Tensor],
        output_attentions: bool = False,
        **kwargs,
    ) -> tuple:
        """Called by the layer as its self-attention was.

        Args:
            hidden_states: `(batch, frames, hidden)`.
            streams: per modality, `(batch, positions, size)`.
            stream_masks: per modality, `(batch, positions)`, bool; every row has at least one valid position.
            output_attentions: whether to return maps and gate.
            **kwargs: what the layer gives its self-attention.

        Returns:
            `(batch, frames, hidden)`; None or, if wanted, the maps `(batch, heads, frames, positions)` by modality and
            the gate P `(batch, frames, hidden)`, or None where there is no gate; and WavLM's position bias, which its
            layers expect back.
        """
        answers, maps = [], {}
        for name, attention in self.attentions.items():
            answer, maps[name] = attention(hidden_states, streams[name], stream_masks[name], output_attentions)
            answers.append(answer)
        if self.self_attention is not None:
            answers.append(self.self_attention(hidden_states, **kwargs)[0])
        output, gate = answers[0], None
        if self.gate is not None:
            gate = self.gate(torch.cat(answers, dim=-1)).sigmoid()
            output = gate * answers[0] + (1 - gate) * answers[1]
        record = (maps, gate) if output_attentions else None
        return (output, record, kwargs["position_bias"]) if "position_bias" in kwargs else (output, record)
