"""The encoder of single video frames."""

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel


def build_vision_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A vision encoder with random weights."""
    return prepare_vision_encoder(AutoModel.from_config(config))


def prepare_vision_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """The encoder itself."""
    return encoder


def encode_video(encoder: PreTrainedModel, pixel_values_videos: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One vector a frame; only the valid frames are computed.

    Args:
        encoder: of images.
        pixel_values_videos: `(batch, frames, channels, height, width)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`, zero where padded.
    """
    vectors = encoder(pixel_values=pixel_values_videos[mask]).pooler_output.flatten(1)
    states = vectors.new_zeros(*mask.shape, vectors.shape[-1])
    states[mask] = vectors
    return states
