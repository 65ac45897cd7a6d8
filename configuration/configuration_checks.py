"""Checks of configuration fields. Every error is one sentence that names the field."""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from huggingface_hub.dataclasses import strict, validated_field
from huggingface_hub.errors import StrictDataclassError, StrictDataclassFieldValidationError
from transformers import PreTrainedConfig

from .plain_text import reason_of, show_value
from .value_checks import default_of, describe

# No size of a network is larger; a damaged number must not ask for terabytes of memory.
LARGEST = 2**24
MOST_LAYERS = 1024
MOST_LABELS = 100_000
DTYPES = ("float32", "bfloat16", "float16", "float64")
# Fields of encoders that must be at least 1. Others may be 0, as `type_vocab_size` of DeBERTa.
NONZERO = re.compile(
    r"(num_)?(hidden|attention|encoder|decoder)_(size|layers|heads|attention_heads|ffn_dim)|num_(hidden_layers|heads|channels)"
    r"|intermediate_size|vocab_size|d_model|embed_dim|hidden_dim|hidden_sizes|depths|conv_(dim|kernel|stride)|num_mel_bins"
    r"|(image|patch)_size|max_(position_embeddings|source_positions)|num_feat_extract_layers"
)
# Fields that give a number of layers, with which the time to build a network grows.
LAYERS = re.compile(r"layers$|^depths$|^depth_coefficient$")


def whole(least: int, default: int | None, most: int = LARGEST) -> Any:
    """Return a field for a whole number from `least` to `most`; None passes if its type allows it."""
    words = f"at least {least} and at most {most}"
    return _field(default, lambda value: least <= value <= most, words)


def number(default: float, least: float = 0.0, below: float = math.inf, words: str = "a number of at least 0") -> Any:
    """Return a field for a finite number from `least` to under `below`."""
    return _field(default, lambda value: least <= value < below, words)


def share(default: float) -> Any:
    """Return a field for a probability below 1, such as a dropout."""
    return number(default, below=1.0, words="at least 0 and below 1")


def positive(default: float) -> Any:
    """Return a field for a finite number above 0."""
    return _field(default, lambda value: 0 < value < math.inf, "above 0")


def checked(config_class: type) -> type:
    """Decorate a configuration class: every assignment of a field is checked as by `strict`.

    The errors of `strict` have several lines and a class of their own. Here they are ValueErrors of one sentence.
    """
    config_class = strict(config_class)
    assign = config_class.__setattr__

    def __setattr__(self, name, value):  # noqa: N807
        try:
            assign(self, name, value)
        except StrictDataclassFieldValidationError as error:
            kind = type(self).__dataclass_fields__[name].type
            wanted = error.__cause__ if isinstance(error.__cause__, ValueError) else describe(kind)
            raise ValueError(f"{name} is {show_value(value)}; it must be {wanted}.") from error

    config_class.__setattr__ = __setattr__
    return config_class


def check_labels(id2label: Any) -> None:
    """Check the names of the classes.

    Args:
        id2label: The field of a configuration.

    Raises:
        ValueError: If it is not a mapping from the ids 0, 1, ... to distinct names.
    """
    place = f"id2label is {show_value(id2label)}; it must be"
    if not isinstance(id2label, Mapping) or not id2label:
        raise ValueError(f"{place} a mapping from the ids 0, 1, ... to the names of the classes.")
    if {str(key) for key in id2label} != {str(number) for number in range(len(id2label))}:
        raise ValueError(f"{place} a mapping whose keys are the ids 0 to {len(id2label) - 1}, each once.")
    names = list(id2label.values())
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"{place} a mapping to names, and each name must be a text that is not empty.")
    if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
        raise ValueError(
            f"id2label gives the name {show_value(repeated[0])} to several classes; each class needs its own."
        )


def check_auxiliary_labels(labels: Mapping[str, list[str]]) -> None:
    """Check the names of auxiliary heads and of their classes.

    Args:
        labels: The field of a configuration.

    Raises:
        ValueError: If a name of a head is no identifier, or it has fewer than two classes, too many, or not distinct names.
    """
    for name, classes in labels.items():
        if not name.isidentifier():
            raise ValueError(
                f"auxiliary_labels has the name {show_value(name)}; it must be letters, digits and underscores."
            )
        if not 2 <= len(set(classes)) == len(classes) <= MOST_LABELS or not all(text.strip() for text in classes):
            raise ValueError(
                f"auxiliary_labels.{name} is {show_value(classes)}; it must be 2 to {MOST_LABELS} distinct names of classes."
            )


def build_config(place: str, build: Callable[..., PreTrainedConfig], *args, **fields) -> PreTrainedConfig:
    """Build a configuration of transformers; every failure is one sentence.

    Args:
        place: What the fields belong to, such as `audio_config`.
        build: The function that builds it.
        *args: Its positional arguments.
        **fields: Its keyword arguments.

    Raises:
        ValueError: If it fails, or a number cannot be right.
    """
    try:
        config = build(*args, **fields)
    except StrictDataclassError as error:
        name = re.search(r"field '(\w+)'", str(error))
        prefix = f"{place}.{name[1]}" if name else place
        raise ValueError(f"{prefix} is wrong: {reason_of(error.__cause__ or error)}.") from error
    except Exception as error:  # whatever the libraries raise for a value that they did not expect
        raise ValueError(f"{place} is wrong: {reason_of(error)}.") from error
    check_numbers(place, config)
    return config


def check_numbers(place: str, config: PreTrainedConfig) -> None:
    """Check the numbers of a configuration of transformers, which checks types only.

    Args:
        place: What the configuration belongs to, such as `audio_config`.
        config: The configuration.

    Raises:
        ValueError: If a number is not finite, too large, negative where the default is not, or a size of 0.
    """
    for field in dataclasses.fields(config):
        value, default = getattr(config, field.name, None), default_of(field)
        signed = field.name.endswith("_id") or any(item < 0 for item in _numbers(default))
        for item in _numbers(value):
            wanted = None
            if not math.isfinite(item):
                wanted = "finite"
            elif item < 1 and NONZERO.fullmatch(field.name):
                wanted = "at least 1"
            elif item < 0 and not signed:
                wanted = "at least 0"
            elif item > MOST_LAYERS and LAYERS.search(field.name):
                wanted = f"at most {MOST_LAYERS}"
            elif item > 1 and "drop" in field.name:
                wanted = "at most 1"
            elif isinstance(item, int) and item > LARGEST and not signed:
                wanted = f"at most {LARGEST}"
            if wanted:
                raise ValueError(f"{place}.{field.name} is {show_value(value)}; it must be {wanted}.")


def _field(default: Any, is_right: Callable[[Any], bool], words: str) -> Any:
    def validate(value):
        if value is not None and not is_right(value):
            raise ValueError(words)

    return validated_field(validate, default=default)


def _numbers(value: Any) -> Iterator[int | float]:
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, int | float) and not isinstance(item, bool):
            yield item


def check_class_weights(weights: list[float], labels: int) -> None:
    """Check the weights of the classes in the cross-entropy.

    Args:
        weights: The weights.
        labels: The number of classes.

    Raises:
        ValueError: If they are not one finite number of at least 0 for each class, or all of them are 0.
    """
    if len(weights) != labels:
        raise ValueError(f"class_weights has {len(weights)} numbers for {labels} labels; give one per label.")
    if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
        raise ValueError(
            f"class_weights is {show_value(weights)}; give finite numbers of at least 0, not all of them 0."
        )


def max_tokens(config: PreTrainedConfig) -> int:
    """Return the maximum number of tokens; RoBERTa's positions start after the id of the padding token."""
    return config.max_position_embeddings - first_position(config)


def first_position(config: PreTrainedConfig) -> int:
    """Return the position of the first token."""
    return config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta") else 0
