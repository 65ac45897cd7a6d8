"""Checks that a processor and a model belong together, before the model reads a batch."""

from typing import Any

import numpy as np
from transformers import PreTrainedConfig

from ..configuration.configuration_checks import max_tokens
from ..configuration.modalities import MODALITIES, SAMPLING_RATE

# Image encoders that take images of their own size only; the others adapt to any.
FIXED_SIZE = ("vit", "vit_msn", "deit", "beit", "clip_vision_model", "siglip_vision_model")


def check_processor_fits(config: PreTrainedConfig, processor: Any) -> None:
    """Check that a processor prepares the inputs that a model takes, and cut texts at the positions of its text encoder.

    A tokenizer without a `model_max_length`, or with a larger one, gets that of the encoder.

    Args:
        config: The configuration of the model.
        processor: The processor.

    Raises:
        ValueError: If a sub-processor is missing, or the token ids, the id of the padding token, the sampling rate or
            the image size do not fit the configuration.
    """
    members = getattr(config, "member_configs", None)
    if members is None:
        _check_parts(config, processor, {}, "the model")
        return
    for number, member in enumerate(members):
        own = getattr(processor, "members", {}).get(number)
        _check_parts(member, processor, {} if own is None else vars(own), f"member {number} of the late fusion")


def _check_parts(config: PreTrainedConfig, processor: Any, own: dict[str, Any], who: str) -> None:
    """Check the sub-processors of one model; those in `own` replace the shared ones of `processor`."""
    checks = {"audio": _check_sampling_rate, "text": _check_tokenizer, "video": _check_image_size}
    for name in modalities_of(config):
        kind = MODALITIES[name].processor_part
        part = own.get(kind) or getattr(processor, kind, None)
        if part is None:
            raise ValueError(
                f"The processor has no {kind}, and {who} uses {MODALITIES[name].word}: load the processor that was "
                "saved with the model."
            )
        checks[name](config, part, who)


def modalities_of(config: PreTrainedConfig) -> tuple[str, ...]:
    """Return the modalities of a model of ours, or of a member from transformers: a classifier of speech or of text."""
    return getattr(config, "modalities", None) or (("audio",) if hasattr(config, "conv_kernel") else ("text",))


def _check_sampling_rate(config: PreTrainedConfig, extractor: Any, who: str) -> None:
    wanted = getattr(config, "sampling_rate", SAMPLING_RATE)
    if extractor.sampling_rate != wanted:
        raise ValueError(
            f"The feature_extractor gives {extractor.sampling_rate} Hz, and {who} takes {wanted} Hz: load the processor "
            "that was saved with the model."
        )


def _check_tokenizer(config: PreTrainedConfig, tokenizer: Any, who: str) -> None:
    remedy = "load the processor that was saved with the model."
    encoder = getattr(config, "text_config", None)
    size = getattr(encoder or config, "vocab_size", None)
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if size is not None and largest >= size:
        raise ValueError(f"The tokenizer has token ids up to {largest}, and {who} knows {size} tokens: {remedy}")
    # A classifier of transformers, which has no text_config, masks its padding itself.
    if encoder is not None and tokenizer.pad_token_id != encoder.pad_token_id:
        raise ValueError(
            f"The tokenizer pads with the token id {tokenizer.pad_token_id}, and {who} with {encoder.pad_token_id}: "
            f"{remedy}"
        )
    if getattr(encoder or config, "max_position_embeddings", None):
        tokenizer.model_max_length = min(tokenizer.model_max_length, max_tokens(encoder or config))


def _check_image_size(config: PreTrainedConfig, image_processor: Any, who: str) -> None:
    encoder = config.vision_config
    if encoder.model_type not in FIXED_SIZE:
        return
    size = encoder.image_size
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels = image_processor([image], input_data_format="channels_last", return_tensors="np")["pixel_values"]
    if pixels.shape[-2:] != wanted:
        given = " x ".join(map(str, pixels.shape[-2:]))
        raise ValueError(
            f"The image_processor gives images of {given} pixels, and {who} takes {' x '.join(map(str, wanted))}: load "
            "the processor that was saved with the model."
        )
