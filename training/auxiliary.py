"""Auxiliary classes of a run, such as the speaker's gender: names from the training split, labels of a batch, accuracy (ours)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..configuration.plain_text import show_value
from ..configuration.value_checks import is_number
from ..evaluation.prediction_records import UNKNOWN

if TYPE_CHECKING:
    from datasets import Dataset

# Columns that the model reads, that it learns already, or that differ in every row.
REFUSED = ("id", "audio", "text", "asr_text", "label", "soft_label", "video", "alignment", "vad", "start", "end")


def check_auxiliary(options: Mapping) -> None:
    """Check the columns and weights of auxiliary classes, except that the columns exist.

    Raises:
        ValueError: If a column cannot be one, or a weight is no positive number.
    """
    for column, weight in options.items():
        if column in REFUSED or not str(column).isidentifier():
            raise ValueError(f"auxiliary names {column!r}; name columns of categories, such as gender or speaker.")
        if not is_number(weight) or weight <= 0:
            raise ValueError(f"auxiliary.{column} is {weight!r}; it must be the weight of its loss, a number above 0.")


def add_auxiliary(fields: Mapping[str, Any], auxiliary: Mapping[str, float], rows: "Dataset") -> dict[str, Any]:
    """Return the fields of a model's configuration with the auxiliary classes of a run.

    Args:
        fields: The fields, `model_config` of a recipe.
        auxiliary: Weight of the loss by column.
        rows: The training split, whose values are the classes.

    Raises:
        ValueError: If a column does not exist, is no category, or has a single value.
    """
    if not auxiliary:
        return dict(fields)
    weights = {f"auxiliary_{column}": weight for column, weight in auxiliary.items()}
    return {
        **fields,
        "auxiliary_labels": {column: find_classes(column, rows) for column in auxiliary},
        "loss_weights": (fields.get("loss_weights") or {}) | weights,
    }


def find_classes(column: str, rows: "Dataset") -> list[str]:
    """Return the values of a column in alphabetical order, without None.

    Raises:
        ValueError: If the column does not exist, its values are no categories, or there are fewer than two.
    """
    if column not in rows.column_names:
        raise ValueError(
            f"auxiliary names the column {column!r}, which the corpus does not have; it has "
            f"{', '.join(name for name in rows.column_names if name not in REFUSED)}."
        )
    known = [value for value in rows[column][:] if value is not None]
    if wrong := [value for value in known if not isinstance(value, str | int)]:
        raise ValueError(
            f"auxiliary names {column}, whose values, such as {show_value(wrong[0])}, are no categories; leave it out."
        )
    values = set(known)
    if len(values) < 2:
        raise ValueError(
            f"auxiliary names {column}, which has {'a single value' if values else 'no value'} in the training split; "
            "leave it out."
        )
    return sorted(map(str, values))


def encode_auxiliary(
    rows: Sequence[Mapping[str, Any]], classes: Mapping[str, Sequence[str]]
) -> dict[str, torch.Tensor]:
    """Return the class numbers of rows by column, `(rows,)`; -100 where a row has no value or one that training lacks."""
    numbers = {column: {name: number for number, name in enumerate(names)} for column, names in classes.items()}
    return {
        column: torch.tensor(
            [UNKNOWN if row.get(column) is None else known.get(str(row[column]), UNKNOWN) for row in rows]
        )
        for column, known in numbers.items()
    }


class AuxiliaryAccuracy:
    """Counts the right answers of auxiliary heads over batches, on their device.

    In an evaluation over several processes, rows that fill up the last batch count twice.
    """

    def __init__(self):
        self._counts = defaultdict(list)

    def add(self, logits: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]) -> None:
        """Count a batch.

        Args:
            logits: `(batch, classes)` by column.
            labels: `(batch,)` by column, -100 where unknown.
        """
        for column, values in logits.items():
            known = labels[column] != UNKNOWN
            right = (values.argmax(dim=-1) == labels[column]) & known
            self._counts[column].append(torch.stack([right.sum(), known.sum()]))

    def collect(self, accelerator: Any) -> dict[str, float]:
        """Return the accuracy by name `auxiliary_<column>_accuracy`, without columns whose rows are all unknown; start anew."""
        accuracies = {}
        for column, counts in self._counts.items():
            right, known = accelerator.reduce(torch.stack(counts).sum(dim=0)).tolist()
            if known:
                accuracies[f"auxiliary_{column}_accuracy"] = right / known
        self._counts.clear()
        return accuracies
