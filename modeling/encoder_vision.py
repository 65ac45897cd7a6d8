"""The encoder of single video frames."""

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from ..configuration.configuration_emofusion import VISION_WIDTHS, vision_size

# Fields of configurations whose encoders give no vector of an image, and why.
UNSUITABLE_FIELDS = {"num_frames": "takes whole films", "mask_ratio": "hides a random part of every image"}


def build_vision_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A vision encoder with random weights."""
    return prepare_vision_encoder(AutoModel.from_config(config))


def prepare_vision_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Refuse, by name, what does not give one vector an image, and drop a dense pooler (ViT, DeiT).

    Most checkpoints come without the weights of such a pooler, and as long as the encoder is frozen they would stay as
    random as they are.

    Raises:
        ValueError: if the encoder is not one of single images.
    """
    config = encoder.config
    reasons = [reason for name, reason in UNSUITABLE_FIELDS.items() if hasattr(config, name)]
    if encoder.main_input_name != "pixel_values":
        reasons = ["does not take images"]
    elif not any(hasattr(config, name) for name in VISION_WIDTHS):
        reasons = ["does not say how wide its vectors are"]
    if reasons:
        raise ValueError(
            f"vision_config names the model_type {config.model_type!r}, which {reasons[0]}; choose an encoder of single "
            "images, such as efficientnet, vit, dinov2, convnext, resnet or clip_vision_model."
        )
    if hasattr(getattr(encoder, "pooler", None), "dense"):
        encoder.pooler = None
    return encoder


def encode_video(encoder: PreTrainedModel, pixel_values_videos: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One vector a frame: what the encoder itself pools an image to, else the mean of its last states.

    Only valid frames are computed. Each is one image to the encoder, so neither padding nor other rows change it, as
    long as batch normalisation is in evaluation mode.

    Args:
        encoder: any encoder of single images in transformers.
        pixel_values_videos: `(batch, frames, channels, height, width)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`, zero where padded.

    Raises:
        ValueError: if the vectors are not as wide as the configuration says.
    """
    width = vision_size(encoder.config)
    states = pixel_values_videos.new_zeros(*mask.shape, width)
    if not mask.any():
        return states
    outputs = encoder(pixel_values=pixel_values_videos[mask], return_dict=True)
    vectors = getattr(outputs, "pooler_output", None)
    if vectors is None:
        vectors = outputs.last_hidden_state
        vectors = vectors.mean(dim=1) if vectors.dim() == 3 else vectors.mean(dim=(2, 3))
    vectors = vectors.flatten(1)
    if vectors.shape[1] != width:
        raise ValueError(
            f"vision_config names the model_type {encoder.config.model_type!r}, whose vectors have {vectors.shape[1]} "
            f"numbers where its configuration says {width}; choose another encoder."
        )
    states = states.to(vectors.dtype)
    states[mask] = vectors
    return states
