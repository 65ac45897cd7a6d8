"""Check the types of the options of a corpus."""

from dataclasses import fields
from typing import Any

from ..configuration.value_checks import check_value


def check_types(options: Any) -> None:
    """Check the value of each option against the type of its field.

    Whole numbers are stored as floats where a float is wanted, so that equal options share a prepared folder.

    Args:
        options: An instance of a frozen dataclass of options.

    Raises:
        ValueError: If a value has another type, or a number is not finite.
    """
    for option in fields(options):
        value = getattr(options, option.name)
        check_value(option.name, value, option.type)
        if option.type in (float, float | None) and isinstance(value, int):
            object.__setattr__(options, option.name, float(value))
