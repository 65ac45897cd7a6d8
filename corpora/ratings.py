"""Ratings on the scale of a corpus: valence, arousal and dominance of the column `vad`."""

from collections.abc import Sequence
from typing import Any

from ..configuration.value_checks import is_number

DIMENSIONS = ("valence", "arousal", "dominance")


def check_scale(name: str, scale: Any) -> list[float]:
    """Return a scale as a list of two floats.

    Args:
        name: Name of the option, for errors.
        scale: Lowest and highest value.

    Raises:
        ValueError: If it is no pair of numbers in increasing order.
    """
    if isinstance(scale, str) or not isinstance(scale, Sequence) or len(scale) != 2 or not all(map(is_number, scale)):
        raise ValueError(f"{name} must be the lowest and the highest value, such as [1, 5], not {scale!r}.")
    if not scale[0] < scale[1]:
        raise ValueError(f"{name} must begin with the lowest value, such as [1, 5], not {scale!r}.")
    return [float(value) for value in scale]


def read_rating(cell: str | None, scale: Sequence[float]) -> float | None:
    """Return a rating from the cell of a table; None if the cell is empty.

    Args:
        cell: The cell.
        scale: Lowest and highest value.

    Raises:
        ValueError: If it is not a number on the scale; the message continues a sentence that begins with "the value".
    """
    if cell is None or not cell.strip():
        return None
    lowest, highest = scale
    try:
        value = float(cell)
        if lowest <= value <= highest:  # False for NaN
            return value
    except ValueError:
        pass
    raise ValueError(f"{cell.strip()!r} is not a number from {lowest:g} to {highest:g}")
