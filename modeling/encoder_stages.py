"""The two stages of each modality: the frozen layers, and the layers above them."""

import torch
from torch import nn

from .encoder_audio import conv_features, embed_frames, run_layers
from .encoder_text import encode_tokens
from .encoder_vision import encode_video
from .modeling_lengths import Lengths, at_least_one, keep_missing
from .modeling_rows import Rows


class LayerSum(nn.Module):
    """A weighted sum of an encoder's layers, `sum_l softmax(w)_l h_l`, with learned w (SUPERB, Yang et al. 2021).

    Args:
        layers: The number of states, including the embeddings.
    """

    def __init__(self, layers: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(layers))

    def forward(self, states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Sum the states of all layers, each `(batch, positions, hidden)`, to one of the same shape."""
        return torch.einsum("l,l...->...", self.weight.softmax(dim=0), torch.stack(states))


class EncodingStages:
    """The two stages of every modality, for a model with `audio_encoder`, `text_encoder` or `vision_encoder`.

    `_encode_<modality>(values, lengths)` runs the frozen layers on padded rows and returns their output and the lengths
    of its rows. `_finish_<modality>(states, lengths, output_hidden_states, output_attentions)` runs the remaining layers
    and returns the states for the fusion, their layout, the states of the encoder's layers, all padded, and its
    attention maps. A row of length 0 lacks the modality: one position of it is computed, and replaced later.

    Inputs and stored states may have another dtype than the weights (`bf16_full_eval` casts the model only); they are
    cast here and in the encoders' own first steps.
    """

    @property
    def _frozen_audio_layers(self) -> int:
        frozen = self.config.freeze_audio_layers
        return self.config.num_audio_layers if frozen == -1 else frozen

    def _encode_audio(self, values: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Lengths]:
        frozen = self._frozen_audio_layers
        if not frozen and not self.config.freeze_feature_encoder:
            return values, lengths
        values, rows = conv_features(self.audio_encoder, values, lengths)
        if frozen:
            values = embed_frames(self.audio_encoder, values, rows)
            values, states, _ = run_layers(self.audio_encoder, values, rows, 0, frozen)
            values = self._pack_layers(values, states)
        return rows.pad(values), keep_missing(rows.lengths, lengths)

    def _finish_audio(self, states, lengths: Lengths, output_hidden_states: bool, output_attentions: bool):
        frozen, encoder = self._frozen_audio_layers, self.audio_encoder
        if frozen or self.config.freeze_feature_encoder:
            rows = Rows(at_least_one(lengths), states.device)
            states = rows.pack(states).to(encoder.dtype)
        else:
            states, rows = conv_features(encoder, states, lengths)
        below = ()
        if frozen:
            states, below = self._unpack_layers(states)
        else:
            states = embed_frames(encoder, states, rows)
        states, hidden_states, attentions = run_layers(
            encoder, states, rows, frozen, self.config.num_audio_layers, output_attentions
        )
        hidden_states = (*below, *hidden_states)
        states = rows.pad(self._sum_layers("audio", states, hidden_states))
        return states, rows, tuple(map(rows.pad, hidden_states)) if output_hidden_states else (), attentions

    def _encode_text(self, input_ids: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Lengths]:
        if self.config.freeze_text_layers != -1:
            return input_ids, lengths
        rows = Rows(at_least_one(lengths), input_ids.device)
        states, hidden_states, _ = encode_tokens(
            self.text_encoder, input_ids, rows, self.config.use_weighted_layer_sum
        )
        return rows.pad(self._pack_layers(states, hidden_states)), lengths

    def _finish_text(self, states, lengths: Lengths, output_hidden_states: bool, output_attentions: bool):
        rows = Rows(at_least_one(lengths), states.device)
        if self.config.freeze_text_layers == -1:
            states, below = self._unpack_layers(rows.pack(states).to(self.text_encoder.dtype))
            hidden_states, attentions = (*below, states), ()
        else:
            states, hidden_states, attentions = encode_tokens(
                self.text_encoder,
                states,
                rows,
                output_hidden_states or self.config.use_weighted_layer_sum,
                output_attentions,
            )
        states = rows.pad(self._sum_layers("text", states, hidden_states))
        return states, rows, tuple(map(rows.pad, hidden_states)) if output_hidden_states else (), attentions

    def _encode_video(self, values: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Lengths]:
        if not self.config.freeze_vision_encoder:
            return values, lengths
        return encode_video(self.vision_encoder, values, Rows(lengths, values.device)), lengths

    def _finish_video(self, states, lengths: Lengths, output_hidden_states: bool, output_attentions: bool):
        if not self.config.freeze_vision_encoder:
            states = encode_video(self.vision_encoder, states, Rows(lengths, states.device))
        rows = Rows(at_least_one(lengths), states.device)
        states = states[:, : rows.longest].to(self.vision_encoder.dtype)
        return states, rows, (states,), ()

    def _pack_layers(self, states: torch.Tensor, hidden_states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the output of frozen layers: the last states, or for a weighted sum all of them in one tensor."""
        return torch.stack(hidden_states, dim=-2) if self.config.use_weighted_layer_sum else states

    def _unpack_layers(self, packed: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the last states, and the states of the layers below; the inverse of `_pack_layers`."""
        if not self.config.use_weighted_layer_sum:
            return packed, ()
        *below, states = packed.unbind(dim=-2)
        return states, tuple(below)

    def _sum_layers(self, modality: str, states, hidden_states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.layer_sums[modality](hidden_states) if self.config.use_weighted_layer_sum else states
