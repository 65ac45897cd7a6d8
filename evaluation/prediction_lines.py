"""Lines of `predictions.jsonl`: their keys, written and checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..configuration.plain_text import one_line, show_value
from .prediction_records import UNKNOWN, Predictions
from .task import Task

# Properties of a row that subsets are formed by: fields of `Predictions`, and keys of a line.
PROPERTIES = ("scripted", "text_seen")
# key of a line -> accepted types of its value, and their name
FIELDS = {
    **dict.fromkeys(("split", "id"), (str, "a string")),
    "speaker": (str | None, "a string or null"),
    **dict.fromkeys(PROPERTIES, (bool | None, "true, false or null")),
    "corpus": (str | None, "a string or null"),  # left out in a run with one corpus
}


def format_line(predictions: Predictions, place: int, task: Task) -> dict[str, Any]:
    """Return the line of an utterance but for its split.

    Args:
        predictions: Predictions on a split.
        place: Number of the utterance.
        task: The task.
    """
    line = {"id": predictions.ids[place], "speaker": predictions.speakers[place]}
    if task.classes:
        label = predictions.labels[place]
        line["label"] = None if label == UNKNOWN else task.classes[label]
        line["logits"] = predictions.logits[place].tolist()
    if task.dimension_names:
        truth = predictions.dimension_labels[place].tolist()
        known = [None if np.isnan(value) else value for value in truth]
        line["dimension_labels"] = dict(zip(task.dimension_names, known, strict=True))
        line["dimensions"] = _name(predictions.dimensions[place], task)
    line |= {name: getattr(predictions, name)[place] for name in PROPERTIES}
    if predictions.corpus is not None:
        line["corpus"] = predictions.corpus[place]
    if predictions.systems:
        line["systems"] = {name: task.classes[found[place]] for name, found in predictions.systems.items()}
    if predictions.dimension_systems:
        line["dimension_systems"] = {
            name: _name(found[place], task) for name, found in predictions.dimension_systems.items()
        }
    return line


def _name(values: np.ndarray, task: Task) -> dict[str, float]:
    return dict(zip(task.dimension_names, values.tolist(), strict=True))


def parse_classes(row: Mapping[str, Any], place: str, task: Task) -> dict[str, Any]:
    """Return the checked `label` as a number, `logits`, and `systems` as numbers, of a line.

    Args:
        row: The line.
        place: File and number of the line, for errors.
        task: The task, which has classes. Where dimensions are learned too, a label may be null.

    Raises:
        ValueError: If a value is of another kind, or for other classes.
    """
    classes, kinds = task.classes, {"label": (str, "a string"), "logits": (list, "a list")}
    if task.dimension_names:
        kinds["label"] = (str | None, "a string or null")
    for name, (accepted, kind) in kinds.items():
        if name not in row or not isinstance(row[name], accepted):
            raise ValueError(
                f"{place} is not the prediction of a model: {name} is {show_value(row.get(name))}, not {kind}."
            )
    if row["label"] is not None and row["label"] not in classes:
        raise ValueError(
            f"{place}: the label {show_value(row['label'])} is none of {', '.join(map(one_line, classes))}."
        )
    if len(row["logits"]) != len(classes) or not _are_finite(row["logits"]):
        raise ValueError(
            f"{place}: logits is {show_value(row['logits'])}, not {len(classes)} finite numbers, one per label."
        )
    systems = row.get("systems", {})
    if not isinstance(systems, dict) or not all(found in classes for found in systems.values()):
        raise ValueError(f"{place}: systems is {show_value(systems)}, not a label for each system.")
    numbers = {label: number for number, label in enumerate(classes)}
    return {
        "label": numbers.get(row["label"], UNKNOWN),
        "systems": {name: numbers[found] for name, found in systems.items()},
    }


def parse_dimensions(row: Mapping[str, Any], place: str, task: Task) -> dict[str, Any]:
    """Return the checked `dimension_labels`, `dimensions` and `dimension_systems` of a line, in the task's order.

    Args:
        row: The line.
        place: File and number of the line, for errors.
        task: The task, which has dimensions.

    Raises:
        ValueError: If a value is of another kind, or for other dimensions.
    """
    systems = row.get("dimension_systems", {})
    if not isinstance(systems, dict):
        raise ValueError(f"{place}: dimension_systems is {show_value(systems)}, not values for each system.")
    truth = row.get("dimension_labels")
    known = [value for value in truth.values() if value is not None] if isinstance(truth, dict) else []
    if not isinstance(truth, dict) or truth.keys() != set(task.dimension_names) or not _are_finite(known):
        raise ValueError(
            f"{place}: dimension_labels is {show_value(truth)}, not {_describe(task)}, null where unknown."
        )
    return {
        "dimension_labels": [np.nan if truth[name] is None else float(truth[name]) for name in task.dimension_names],
        "dimensions": _parse_values(row.get("dimensions"), "dimensions", place, task),
        "dimension_systems": {
            name: _parse_values(values, "dimension_systems", place, task) for name, values in systems.items()
        },
    }


def _parse_values(values: Any, key: str, place: str, task: Task) -> list[float]:
    names = task.dimension_names
    if not isinstance(values, dict) or values.keys() != set(names) or not _are_finite(list(values.values())):
        raise ValueError(f"{place}: {key} is {show_value(values)}, not {_describe(task)}.")
    return [float(values[name]) for name in names]


def _describe(task: Task) -> str:
    return f"a finite number for each of {', '.join(map(one_line, task.dimension_names))}"


def _are_finite(numbers: Sequence[Any]) -> bool:
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        return False
    try:
        return bool(np.isfinite(np.array(numbers, dtype=np.float64)).all())
    except OverflowError:
        return False
