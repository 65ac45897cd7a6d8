"""Ratings on the scale of a corpus, such as valence, arousal and dominance of the column `vad`."""

from collections.abc import Sequence


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
