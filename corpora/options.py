"""Check the types of the options of a corpus."""

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    Sequence: "a list",
}
LARGEST = 10**15  # whole number that is stored as a float


def check_types(options: Any) -> None:
    """Check the value of each option against the type of its field.

    Whole numbers are stored as floats where a float is wanted, so that equal options share a prepared folder.

    Args:
        options: An instance of a frozen dataclass of options.

    Raises:
        TypeError: If a value has another type.
        ValueError: If a number is not finite.
    """
    for option in fields(options):
        value = getattr(options, option.name)
        kinds = get_args(option.type) if isinstance(option.type, UnionType) else (option.type,)
        kinds = [get_origin(kind) or kind for kind in kinds]
        if float in kinds and _fits(value, int) and abs(value) < LARGEST:
            value = float(value)
            object.__setattr__(options, option.name, value)
        if not any(_fits(value, kind) for kind in kinds):
            wanted = [NAMES[kind] for kind in kinds if kind in NAMES] + (["null"] if type(None) in kinds else [])
            raise TypeError(f"{option.name} must be {' or '.join(wanted)}, not {value!r}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{option.name} must be a finite number, not {value!r}.")


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) and not (kind is Sequence and isinstance(value, str))
