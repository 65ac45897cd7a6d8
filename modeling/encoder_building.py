"""Building of encoders from their configurations, which transformers checks only in part."""

import copy
import dataclasses

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from ..configuration.plain_text import reason_of, show_value
from ..configuration.value_checks import default_of


def build_encoder(place: str, config: PreTrainedConfig) -> PreTrainedModel:
    """Return an encoder with random weights, in torch's default dtype as the rest of the model.

    Args:
        place: The field that holds the configuration, for errors.
        config: The configuration of the encoder.

    Raises:
        ValueError: If transformers cannot build it; the sentence names the field to blame if there is one.
    """
    try:
        return AutoModel.from_config(config, dtype=torch.get_default_dtype())
    except ImportError:
        raise
    except Exception as error:  # any class: transformers builds from values that it has not checked
        reason = (
            f"transformers cannot build a {config.model_type} encoder ({type(error).__name__}: {reason_of(error)})"
        )
        name = _field_to_blame(config)
        start = place if name is None else f"{place}.{name} is {show_value(getattr(config, name))}"
        raise ValueError(f"{start}, with which {reason}; correct it." if name else f"{start}: {reason}.") from error


def _field_to_blame(config: PreTrainedConfig) -> str | None:
    """Return the first field with whose default the encoder can be built, without memory for its weights."""
    for field in dataclasses.fields(config):
        default = default_of(field)
        if getattr(config, field.name, default) == default:
            continue
        changed = copy.deepcopy(config)
        try:
            setattr(changed, field.name, default)
            with torch.device("meta"):
                AutoModel.from_config(changed)
        except Exception:  # not this field, or not this field alone
            continue
        return field.name
    return None
