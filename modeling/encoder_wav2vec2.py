"""The first stages of the wav2vec 2.0 family: wav2vec 2.0, HuBERT, WavLM and data2vec-audio.

In the forward pass of transformers, normalisation and positional convolutions read padding, clips shorter than the
receptive field fail, and training clips shorter than a SpecAugment span fail. Running the stages here avoids all
three.
"""

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .encoder_positions import embed_positions
from .encoder_spec_augment import spec_augment
from .modeling_rows import Rows

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")


def has_final_layer_norm(config: PreTrainedConfig) -> bool:
    """Return whether the encoder's layer normalisation comes after its layers instead of before them."""
    return getattr(config, "do_stable_layer_norm", False)


def embed_wav2vec2_features(encoder: PreTrainedModel, features: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Apply the projection, SpecAugment in training, and convolutional positions.

    Args:
        encoder: An encoder of the wav2vec 2.0 family.
        features: Packed `(1, frames of all rows, channels)`, or `(batch, frames, channels)`.
        rows: The layout.

    Returns:
        The same shape, with `hidden` channels.
    """
    hidden_states = encoder.feature_projection(features)
    if isinstance(hidden_states, tuple):  # all but HuBERT also return the normalised features
        hidden_states = hidden_states[0]
    if encoder.feature_projection.training:
        mask_embedding = getattr(encoder, "masked_spec_embed", None)
        hidden_states = spec_augment(encoder.config, hidden_states, rows, mask_embedding)
    trunk = encoder.encoder
    hidden_states = hidden_states + embed_positions(trunk.pos_conv_embed, hidden_states, rows)
    if not has_final_layer_norm(encoder.config):
        hidden_states = trunk.layer_norm(hidden_states)
    return trunk.dropout(hidden_states)
