"""The two stages of each modality: the frozen layers, and the layers above them."""

import torch
from torch import nn

from .encoder_audio import conv_features, embed_frames, run_layers
from .encoder_text import encode_tokens
from .encoder_vision import encode_video


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

    `_encode_<modality>(values, mask)` runs the frozen layers and returns their output and its mask.
    `_finish_<modality>(states, mask, output_hidden_states, output_attentions)` runs the remaining layers and returns
    the states for the fusion, their mask `(batch, positions)`, the states of the encoder's layers and its attention
    maps. A row whose mask is all zero lacks the modality: it is computed with the others and replaced later.

    Inputs and stored states may have another dtype than the weights (`bf16_full_eval` casts the model only); they are
    cast here and in the encoders' own first steps.
    """

    @property
    def _frozen_audio_layers(self) -> int:
        frozen = self.config.freeze_audio_layers
        return self.config.num_audio_layers if frozen == -1 else frozen

    def _encode_audio(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frozen = self._frozen_audio_layers
        if not frozen and not self.config.freeze_feature_encoder:
            return values, mask
        has_audio = mask.any(dim=1, keepdim=True)
        values, mask = conv_features(self.audio_encoder, values, mask | ~has_audio)
        if frozen:
            values = embed_frames(self.audio_encoder, values, mask)
            values, states, _ = run_layers(self.audio_encoder, values, mask, 0, frozen)
            values = self._pack_layers(values, states)
        return values, mask & has_audio

    def _finish_audio(self, states, mask, output_hidden_states: bool, output_attentions: bool):
        frozen = self._frozen_audio_layers
        has_audio = mask.any(dim=1, keepdim=True)
        mask = mask | ~has_audio
        if frozen or self.config.freeze_feature_encoder:
            states = states.to(self.audio_encoder.dtype)
        if not frozen:
            if not self.config.freeze_feature_encoder:
                states, mask = conv_features(self.audio_encoder, states, mask)
            states, below = embed_frames(self.audio_encoder, states, mask), ()
        else:
            states, below = self._unpack_layers(states)
        states, hidden_states, attentions = run_layers(
            self.audio_encoder, states, mask, frozen, self.config.num_audio_layers, output_attentions
        )
        hidden_states = (*below, *hidden_states)
        return self._sum_layers("audio", states, hidden_states), mask & has_audio, hidden_states, attentions

    def _encode_text(self, input_ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.config.freeze_text_layers != -1:
            return input_ids, mask
        states, hidden_states, _ = encode_tokens(
            self.text_encoder, input_ids, mask | ~mask.any(dim=1, keepdim=True), self.config.use_weighted_layer_sum
        )
        return self._pack_layers(states, hidden_states), mask

    def _finish_text(self, states, mask, output_hidden_states: bool, output_attentions: bool):
        if self.config.freeze_text_layers == -1:
            states, below = self._unpack_layers(states.to(self.text_encoder.dtype))
            hidden_states, attentions = (*below, states), ()
        else:
            states, hidden_states, attentions = encode_tokens(
                self.text_encoder,
                states,
                mask | ~mask.any(dim=1, keepdim=True),
                output_hidden_states or self.config.use_weighted_layer_sum,
                output_attentions,
            )
        return self._sum_layers("text", states, hidden_states), mask, hidden_states, attentions

    def _encode_video(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.config.freeze_vision_encoder:
            return values, mask
        return encode_video(self.vision_encoder, values, mask), mask

    def _finish_video(self, states, mask, output_hidden_states: bool, output_attentions: bool):
        if not self.config.freeze_vision_encoder:
            states = encode_video(self.vision_encoder, states, mask)
        states = states.to(self.vision_encoder.dtype)
        return states, mask, (states,), ()

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
