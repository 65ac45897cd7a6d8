"""Fields of the configurations of encoders."""

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_checks import build_config, check_numbers
from .plain_text import show_value

# Configuration fields that hold the output width of a vision encoder; the first one present is used.
VISION_SIZE_FIELDS = ("hidden_sizes", "hidden_dim", "hidden_size")


def vision_hidden_size(config: PreTrainedConfig) -> int:
    """Return the width of a vision encoder's image vector: that of the last stage, or of the final layer (EfficientNet)."""
    sizes = [getattr(config, name) for name in VISION_SIZE_FIELDS if getattr(config, name, None)]
    return sizes[0] if isinstance(sizes[0], int) else sizes[0][-1]


def as_encoder_config(name: str, value: dict | PreTrainedConfig | None, default_type: str) -> PreTrainedConfig:
    """Return the configuration of an encoder as an object.

    Args:
        name: The field that holds it.
        value: The configuration, or its fields; None for those of its type.
        default_type: The `model_type` where a dict has none.

    Raises:
        ValueError: If transformers does not know the type, or a field is wrong.
    """
    if isinstance(value, PreTrainedConfig):
        check_numbers(name, value)
        return value
    fields = dict(value or {})
    model_type = fields.pop("model_type", default_type)
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise ValueError(f"{name} names the model_type {show_value(model_type)}, which transformers does not know.")
    return build_config(name, AutoConfig.for_model, model_type, **fields)
