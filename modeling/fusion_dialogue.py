"""Speech context: a causal transformer over the utterance embeddings of a dialogue (ours)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig
from .modeling_outputs import EmotionOutput

# Which row of a batch belongs where, on the host, one number per row: `dialogue` names the dialogue, `turn` counts its
# utterances, and `speaker` names the speaker, -1 where unknown. `asked` holds one number: that many rows, the first of the
# batch, are to be scored; the others are earlier utterances that these depend on.
Dialogues = Mapping[str, Sequence[int]]
# Outputs with one entry per row that are reduced to the rows that are asked for.
PER_ROW = ("embedding", "modality_embeddings", "fallbacks")
SPEAKERS = 3  # the same speaker, another one, unknown


class DialogueContext(nn.Module):
    """Adds to the embedding of an utterance what a causal transformer reads in it and in the utterances before it.

        H_0 = Linear(LN(u))     H_l = H_l-1 + MHA(LN(H_l-1))     H_l = H_l + FFN(LN(H_l))     u' = u + Linear(LN(H_L))

    In each layer an utterance attends to itself and to the `context_window` utterances before it in its dialogue. Scores of
    attention have a learned term for each distance in utterances, and one for the same speaker, another or an unknown one.
    Rows stay in the order of the batch: a mask keeps dialogues apart, and nothing waits for the device.

    Args:
        config: The configuration of the variant, with `context_layers`.
    """

    def __init__(self, config: EmoFusionConfig):
        super().__init__()
        width = config.context_hidden_size
        self.window = config.context_window
        self.input_norm = nn.LayerNorm(config.embedding_size)
        self.input = nn.Linear(config.embedding_size, width)
        self.layers = nn.ModuleList(DialogueLayer(config) for _ in range(config.context_layers))
        self.output_norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.embedding_size)
        self.dropout = nn.Dropout(config.context_dropout)

    def forward(self, embedding: torch.Tensor, dialogues: Dialogues | None = None) -> torch.Tensor:
        """Return the embeddings in their context.

        Args:
            embedding: `(rows, embedding_size)`.
            dialogues: The place of each row; None if every row is a dialogue of its own.

        Returns:
            The same shape. A row depends on no row of a later turn and on no row of another dialogue.

        Raises:
            ValueError: If `dialogues` describes another number of rows.
        """
        places = _places(dialogues, len(embedding)).to(embedding.device, non_blocking=True)
        dialogue, turn, speaker = places.unbind()
        distance = turn[:, None] - turn
        allowed = (dialogue[:, None] == dialogue) & (distance >= 0) & (distance <= self.window)
        relation = torch.where((speaker < 0)[:, None] | (speaker < 0), 2, (speaker[:, None] != speaker).long())
        distance = distance.clamp(0, self.window)
        # A masked row still takes part in a sum, with the weight 0, and 0 times NaN is NaN.
        states = self.input(self.input_norm(embedding.nan_to_num(0.0, 0.0, 0.0)))
        for layer in self.layers:
            states = layer(states, allowed, distance, relation)
        return embedding + self.dropout(self.output(self.output_norm(states)))


class DialogueLayer(nn.Module):
    """One layer of [`DialogueContext`], with normalisation before each part.

    Args:
        config: The configuration of the variant.
    """

    def __init__(self, config: EmoFusionConfig):
        super().__init__()
        width, self.heads = config.context_hidden_size, config.context_heads
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.attention_output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.distance_bias = nn.Embedding(config.context_window + 1, self.heads)
        self.speaker_bias = nn.Embedding(SPEAKERS, self.heads)
        self.intermediate, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.context_dropout)

    def forward(
        self, states: torch.Tensor, allowed: torch.Tensor, distance: torch.Tensor, relation: torch.Tensor
    ) -> torch.Tensor:
        """Return the states of the next layer.

        Args:
            states: `(rows, context_hidden_size)`.
            allowed: `(rows, rows)`, bool: whether a row attends to another; at least to itself.
            distance: `(rows, rows)`: by how many utterances the other is earlier.
            relation: `(rows, rows)`: 0 for the same speaker, 1 for another, 2 where unknown.
        """
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(0, 1)
            for part in self.query_key_value(self.attention_norm(states)).chunk(3, dim=-1)
        )
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
        scores = scores + (self.distance_bias(distance) + self.speaker_bias(relation)).permute(2, 0, 1)
        weights = scores.float().masked_fill(~allowed, -math.inf).softmax(dim=-1).to(value.dtype)
        attended = (self.dropout(weights) @ value).transpose(0, 1).flatten(1)
        states = states + self.dropout(self.attention_output(attended))
        inner = F.gelu(self.intermediate(self.feed_forward_norm(states)))
        return states + self.dropout(self.output(inner))


def keep_asked(output: EmotionOutput, dialogues: Dialogues | None) -> EmotionOutput:
    """Return an output whose embeddings are those of the rows that are asked for.

    Args:
        output: The output of a model for all rows.
        dialogues: The place of each row, with `asked`; None or without it, all rows are asked for.
    """
    asked = count_asked(dialogues)
    for name in PER_ROW if asked is not None else ():
        if (value := output.get(name)) is not None:
            output[name] = (
                {key: rows[:asked] for key, rows in value.items()} if isinstance(value, dict) else value[:asked]
            )
    return output


def count_asked(dialogues: Dialogues | None) -> int | None:
    """Return the number of rows that are to be scored; None means all."""
    return dialogues["asked"][0] if dialogues and "asked" in dialogues else None


def _places(dialogues: Dialogues | None, rows: int) -> torch.Tensor:
    """Return dialogue, turn and speaker of each row, `(3, rows)`, on the host."""
    if dialogues is None:
        return torch.stack([torch.arange(rows), torch.zeros(rows, dtype=torch.long), torch.full((rows,), -1)])
    places: list[Any] = [tuple(dialogues[name]) for name in ("dialogue", "turn", "speaker")]
    if any(len(numbers) != rows for numbers in places):
        raise ValueError(
            f"dialogues describes {len(places[0])} rows, and the batch has {rows}: give one number per row (nn.DataParallel "
            "divides a batch without them; use torchrun)."
        )
    return torch.tensor(places)
