"""Results with a value in every field, made from the types of the fields."""

import dataclasses
import types
import typing

from emofusion.configuration.modalities import MODALITIES
from emofusion.evaluation.records import Record
from emofusion.evaluation.results import RESULTS, FoldResults, RunResults, Scores

# name of a case -> its task, and the fields that other cases have
CASES = {
    "fusion": ("multi_task", {"adapter": None, "cross_validation": None}),
    "adapter": ("classification", {"cross_validation": None, "late_fusion": None}),
    "cross_validation": ("classification", {"adapter": None, "late_fusion": None}),
    "speaker": ("speaker_recognition", {}),
}
# Fields whose values a run's code needs; other values are refused when the results are read.
FIXED = {"modalities": list(MODALITIES)[:2], "pictures": ["confusion_matrix.png"], "method": "lora"}
FIXED |= {"dimension_scale": [1.0, 5.0]}
NAMES = ["valence", "arousal"]  # of dimensions


def fill(kind, text, names):
    """Return a value of a type hint in which every string is `text`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return fill(next(choice for choice in inner if choice is not types.NoneType), text, names)
    if origin is dict:
        return {text: fill(inner[1], text, names)}
    if origin is list:
        return [fill(inner[0], text, names)] * 2
    if isinstance(kind, type) and issubclass(kind, Record):
        return fill_record(kind, text, names)
    return {str: text, int: 2, float: 0.5, bool: False, typing.Any: text}[kind]


def fill_record(kind, text, names):
    """Return a record in which every string is `text`.

    Args:
        kind: Its class.
        text: The text.
        names: Names of the dimensions; empty for none.
    """
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind) if field.name != "extra"]
    values = {name: fill(hints[name], text, names) for name in fields}
    values |= {name: value for name, value in FIXED.items() if name in values}
    if "labels" in values:
        values["labels"] = [text, f"{text}2"]
    if kind is RunResults:
        values |= {"dimensions": names, "dimension_scale": [1.0, 5.0] if names else None}
        values |= {"task": "multi_task" if names else "classification"}
    elif "dimensions" in values:
        values["dimensions"] = dict.fromkeys(names, values["dimensions"][text])
    if kind is Scores:
        values["confusion_matrix"] = [[2, 2], [2, 2]]
    if kind is FoldResults:
        values["metrics"]["test"] = fill_record(Scores, text, names)
    return kind(**values)


def make_results(case, text):
    """Return the results of a case of `CASES` in which every string is `text`."""
    task, fields = CASES[case]
    results = fill_record(RESULTS[task], text, NAMES if task == "multi_task" else [])
    results.task, results.format = task, 1
    if isinstance(results, RunResults):
        for name in ("metrics", "data"):
            getattr(results, name)["test"] = getattr(results, name)[text]
        for counts in results.data.values():
            counts.classes = dict.fromkeys(results.labels, 2)
    return dataclasses.replace(results, **fields)
