"""Checks of the labels of a run before anything is built: rows that cannot be learned from or measured with (ours)."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..configuration.plain_text import join_words
from .sample_size import count_words

if TYPE_CHECKING:
    from datasets import Dataset

# Share of values outside of the scale from which the scale is wrong, rather than a few values.
MOST_OUTSIDE = 0.05


def check_class_labels(
    splits: "Mapping[str, Dataset]", labels: Sequence[str], soft: bool = False, optional: bool = False
) -> None:
    """Check that the splits have rows with labels that a classifier can be trained on and measured with.

    A class that training lacks is named in a warning.

    Args:
        splits: The splits of the run.
        labels: Names of the classes.
        soft: Whether rows may have the shares of raters' votes instead of a label.
        optional: Whether rows may have no label, as those with dimensions only; each split needs some that have one.

    Raises:
        ValueError: If a split is empty, rows have no label, or training has a single row or a single class.
    """
    if len(labels) < 2:
        raise ValueError(f"The corpus has the label {', '.join(labels)} only; a classifier needs two or more.")
    for split, rows in splits.items():
        _check_size(split, rows)
        numbers = Counter(rows["label"][:])
        votes = soft and "soft_label" in rows.column_names
        if optional and not votes and numbers[None] == len(rows):
            raise ValueError(f"No utterance of the {split} split has a label; label some, or learn dimensions alone.")
        if numbers[None] and not votes and not optional:
            raise ValueError(
                f"{numbers[None]} of {len(rows)} utterances of the {split} split have no label, such as "
                f"{rows['id'][rows['label'].index(None)]!r}; label them, or take them out."
            )
        if split != "train":
            continue
        known = [label for number, label in enumerate(labels) if numbers[number]]
        if len(known) == 1 and (not numbers[None] or (optional and not votes)):
            which = "labelled utterances" if numbers[None] else "utterances"
            raise ValueError(
                f"All {len(rows) - numbers[None]} {which} of the train split are {known[0]}; a classifier needs two or "
                "more classes."
            )
        if missing := [label for label in labels if label not in known]:
            warnings.warn(
                f"The train split has no utterance of {', '.join(missing)}, so the model cannot learn to recognise it.",
                stacklevel=2,
            )


def check_dimension_labels(splits: "Mapping[str, Dataset]", names: Sequence[str], scale: Sequence[float]) -> None:
    """Check that the splits have rows with values of dimensions that a model can be trained on and measured with.

    Rows without a value are named in a warning, and so are values outside of the scale.

    Args:
        splits: The splits of the run.
        names: Names of the dimensions.
        scale: Lowest and highest value.

    Raises:
        ValueError: If a split is empty, training has a single row, a dimension has fewer than two different values in a
            split, or many values are outside of the scale.
    """
    for split, rows in splits.items():
        _check_size(split, rows)
        values = read_dimensions(rows, names)
        for name, column in zip(names, values.T, strict=True):
            known = column[np.isfinite(column)]
            if len(set(known.tolist())) < 2:
                raise ValueError(
                    f"The {split} split has fewer than two different values of {name} "
                    f"({count_words(len(known), 'utterance')} with one), and a CCC needs two; leave the dimension out, or choose "
                    "other splits."
                )
        _check_scale(split, rows, values, names, scale)
        if unknown := int(np.isnan(values).any(axis=1).sum()):
            warnings.warn(
                f"{unknown} of {len(rows)} utterances of the {split} split lack a value of {join_words(list(names), 'or')}; "
                "unknown values are neither learned from nor measured.",
                stacklevel=2,
            )


def read_dimensions(rows: "Dataset", names: Sequence[str]) -> np.ndarray:
    """Return the values of rows `(utterances, dimensions)`, NaN where unknown.

    Raises:
        ValueError: If the rows have no column `vad`.
    """
    if "vad" not in rows.column_names:
        raise ValueError("The rows have no column 'vad' with valence, arousal and dominance: choose another corpus.")
    return np.array([dimensions_of(vad, names) for vad in rows["vad"][:]], dtype=np.float64).reshape(-1, len(names))


def dimensions_of(vad: Mapping[str, float | None] | None, names: Sequence[str]) -> list[float]:
    """Return the values of one row, NaN where unknown."""
    values = [None if vad is None else vad.get(name) for name in names]
    return [np.nan if value is None else float(value) for value in values]


def _check_size(split: str, rows: "Dataset") -> None:
    if not len(rows):
        raise ValueError(f"The {split} split has no utterance; choose other splits or folds, or add data.")
    if split == "train" and len(rows) < 2:
        raise ValueError("The train split has a single utterance; a model needs more to learn from.")


def _check_scale(
    split: str, rows: "Dataset", values: np.ndarray, names: Sequence[str], scale: Sequence[float]
) -> None:
    low, high = scale
    outside = np.argwhere((values < low) | (values > high))
    if not len(outside):
        return
    row, column = outside[0]
    found = (
        f"{len(outside)} values of the {split} split are outside of the scale from {low:g} to {high:g}, such as the "
        f"{names[column]} {values[row, column]:g} of {rows['id'][int(row)]!r}"
    )
    if len(outside) > MOST_OUTSIDE * np.isfinite(values).sum():
        raise ValueError(f"{found}; state the scale of the corpus.")
    warnings.warn(f"{found}; they are kept.", stacklevel=3)
