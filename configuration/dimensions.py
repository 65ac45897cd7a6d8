"""The dimensions of emotion: their names and their scale. This is the only place that defines them."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .plain_text import show_value
from .value_checks import is_number

DIMENSIONS = ("valence", "arousal", "dominance")
# The scale of the raters in IEMOCAP.
DEFAULT_SCALE = (1.0, 5.0)


def check_dimensions(names: Any, place: str = "dimensions") -> None:
    """Check the names of dimensions.

    Args:
        names: The names, in any order.
        place: What holds them, for errors.

    Raises:
        ValueError: If they are not a list, or one is unknown or repeated.
    """
    wanted = f"{place} is {show_value(names)}; it must be a list of some of {', '.join(DIMENSIONS)}"
    if not isinstance(names, list | tuple) or not names or not all(name in DIMENSIONS for name in names):
        raise ValueError(f"{wanted}.")
    if max(Counter(names).values()) > 1:
        raise ValueError(f"{wanted}, each once.")


def check_scale(scale: Any, place: str = "dimension_scale") -> None:
    """Check the lowest and highest value of the dimensions.

    Args:
        scale: The two numbers.
        place: What holds them, for errors.

    Raises:
        ValueError: If they are not two finite increasing numbers.
    """
    is_pair = isinstance(scale, list | tuple) and len(scale) == 2 and all(map(is_number, scale))
    if not is_pair or not scale[0] < scale[1] or not is_number(scale[1] - scale[0]):
        raise ValueError(
            f"{place} is {show_value(scale)}; it must be the lowest and the highest value of the dimensions, two finite "
            "increasing numbers such as [1, 5]."
        )


def check_loss_weights(weights: Mapping[Any, Any], parts: tuple[str, ...]) -> None:
    """Check the weights of the parts of a loss.

    Args:
        weights: The weights by name of the part.
        parts: The names of all parts that the model has.

    Raises:
        ValueError: If a part does not exist, a weight is no finite number of at least 0, or nothing would be learned.
    """
    for name, weight in weights.items():
        if name not in parts:
            raise ValueError(
                f"loss_weights names {show_value(name)}, which is no part of this model's loss; its parts are "
                f"{', '.join(parts)}."
            )
        if not is_number(weight) or weight < 0:
            raise ValueError(f"loss_weights.{name} is {show_value(weight)}; it must be a finite number of at least 0.")
    if not any(weights.get(name, 1.0) for name in parts):
        raise ValueError(f"loss_weights is {show_value(dict(weights))}, so nothing is learned; give a part a weight.")
