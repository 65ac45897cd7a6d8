"""The encoder of single video frames."""

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from ..configuration.encoder_fields import VISION_SIZE_FIELDS, vision_hidden_size
from .encoder_building import build_encoder
from .modeling_rows import Rows

# Fields of configurations whose encoders do not give one vector per image, and the reason.
UNSUITABLE_FIELDS = {"num_frames": "takes whole videos", "mask_ratio": "hides a random part of every image"}


def build_vision_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a vision encoder with random weights."""
    return prepare_vision_encoder(build_encoder("vision_config", config))


def prepare_vision_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Return the encoder without a dense pooler (ViT, DeiT).

    Most checkpoints lack the weights of such a pooler, and in a frozen encoder they would stay random.

    Raises:
        ValueError: If the encoder does not give one vector per image.
    """
    config = encoder.config
    reasons = [reason for name, reason in UNSUITABLE_FIELDS.items() if hasattr(config, name)]
    if encoder.main_input_name != "pixel_values":
        reasons = ["does not take images"]
    elif not any(hasattr(config, name) for name in VISION_SIZE_FIELDS):
        reasons = ["does not give the width of its vectors"]
    if reasons:
        raise ValueError(
            f"vision_config names the model_type {config.model_type!r}, which {reasons[0]}; choose an encoder of single "
            "images, such as efficientnet, vit, dinov2, convnext, resnet or clip_vision_model."
        )
    if hasattr(getattr(encoder, "pooler", None), "dense"):
        encoder.pooler = None
    return encoder


def encode_video(encoder: PreTrainedModel, pixel_values_videos: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Compute one vector per frame: the encoder's pooled output, or the mean of its last states if it has none.

    Only valid frames are computed. The encoder treats each frame as one image, so padding and other rows do not change
    the result while batch normalisation is in evaluation mode.

    Args:
        encoder: An encoder of single images.
        pixel_values_videos: `(batch, frames, channels, height, width)`.
        rows: The layout of the frames; a row may have none.

    Returns:
        `(batch, longest row, hidden)`, zero where padded.

    Raises:
        ValueError: If the width of the vectors differs from the configuration.
    """
    if not rows.total:
        width = vision_hidden_size(encoder.config)
        return pixel_values_videos.new_zeros(len(rows.lengths), 1, width, dtype=encoder.dtype)
    frames = rows.pack(pixel_values_videos).to(encoder.dtype)
    return rows.pad(encode_images(encoder, frames.flatten(0, 1)).unflatten(0, frames.shape[:2]))


def encode_images(encoder: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """Compute one vector per image, `(images, hidden)`.

    Args:
        encoder: An encoder of single images.
        pixel_values: `(images, channels, height, width)`.

    Raises:
        ValueError: If the width of the vectors differs from the configuration.
    """
    width = vision_hidden_size(encoder.config)
    outputs = encoder(pixel_values=pixel_values, return_dict=True)
    vectors = getattr(outputs, "pooler_output", None)
    if vectors is None:
        vectors = outputs.last_hidden_state
        vectors = vectors.mean(dim=1) if vectors.dim() == 3 else vectors.mean(dim=(2, 3))
    vectors = vectors.flatten(1)
    if vectors.shape[1] != width:
        raise ValueError(
            f"vision_config names the model_type {encoder.config.model_type!r}, whose vectors have "
            f"{vectors.shape[1]} numbers, but its configuration gives {width}; choose another encoder."
        )
    return vectors
