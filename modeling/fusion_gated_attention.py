"""Gated cross-modal attention, which replaces self-attention in a speech encoder (Li 2024, arXiv 2412.05558)."""

import copy
from collections.abc import Mapping

import torch
from torch import nn

from .fusion_attention import MultiHeadAttention
from .modeling_rows import Rows


class GatedCrossModalAttention(nn.Module):
    """Speech attends to other modalities, and a gate weighs the results for every frame and channel.

        X_F1 = CMA(Q=X_a, K=V=X_1)      X_F2 = CMA(Q=X_a, K=V=X_2)
        P = sigmoid(FC([X_F1 ; X_F2]))      X_F = P * X_F1 + (1 - P) * X_F2

    The equations for text and video are the paper's, from a third party's notes; the notes' author corrects the second
    input of the gate to X_F2. Ours: with one modality besides speech, X_F2 is the output of the kept self-attention,
    or there is no gate; and the attention to text is initialised from the replaced self-attention, keys and values
    only where the widths match.

    Args:
        self_attention: The self-attention of a layer of the wav2vec 2.0 family. This module takes over its weights.
        sizes: The width of each modality that speech attends to, in order: one or two.
        keep_self_attention: With one modality, whether the gate weighs it against the self-attention.
    """

    def __init__(self, self_attention: nn.Module, sizes: Mapping[str, int], keep_self_attention: bool):
        super().__init__()
        hidden_size = self_attention.embed_dim
        self.cross_attentions = nn.ModuleDict(
            {
                name: MultiHeadAttention(hidden_size, size, self_attention.num_heads, self_attention.dropout)
                for name, size in sizes.items()
            }
        )
        if "text" in sizes:
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                projection = getattr(self_attention, name)
                if getattr(self.cross_attentions["text"], name).in_features == projection.in_features:
                    setattr(self.cross_attentions["text"], name, copy.deepcopy(projection))
        self.self_attention = self_attention if len(sizes) == 1 and keep_self_attention else None
        sources = len(sizes) + (self.self_attention is not None)
        self.gate = nn.Linear(sources * hidden_size, hidden_size) if sources == 2 else None

    def forward(
        self,
        hidden_states: torch.Tensor,
        streams: Mapping[str, torch.Tensor],
        rows: Mapping[str, Rows],
        output_attentions: bool = False,
        **kwargs,
    ) -> tuple:
        """Compute the attention to the streams; the layer calls this in place of its self-attention.

        Args:
            hidden_states: Frames of speech, packed.
            streams: For each other modality, its packed states.
            rows: For speech (`"audio"`) and each other modality, the layout.
            output_attentions: Whether to return maps and gate.
            **kwargs: The arguments that the layer passes to its self-attention.

        Returns:
            The same shape as `hidden_states`; None or, on request, the maps `(batch, heads, frames, positions)` of each
            modality and the gate P `(batch, frames, hidden)` (None without a gate); and, for WavLM, the position bias
            that its layers expect.
        """
        contexts, maps = [], {}
        for name, attention in self.cross_attentions.items():
            context, maps[name] = attention(hidden_states, rows["audio"], streams[name], rows[name], output_attentions)
            contexts.append(context)
        if self.self_attention is not None:
            contexts.append(self.self_attention(hidden_states, **kwargs)[0])
        output, gate = contexts[0], None
        if self.gate is not None:
            gate = self.gate(torch.cat(contexts, dim=-1)).sigmoid()
            output = torch.lerp(contexts[1], contexts[0], gate)
        record = (maps, None if gate is None else rows["audio"].pad(gate)) if output_attentions else None
        return (output, record, kwargs["position_bias"]) if "position_bias" in kwargs else (output, record)
