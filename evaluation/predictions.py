"""Predictions of a model, collected from its outputs, written, and read."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configuration.plain_text import show_value
from .prediction_lines import FIELDS, PROPERTIES, format_line, parse_classes, parse_dimensions
from .prediction_records import Predictions, pool
from .task import Task

__all__ = ["FILE", Predictions, "calibrate", "collect_predictions", "pool", "read_predictions", "write_predictions"]

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers.trainer_utils import PredictionOutput

FILE = "predictions.jsonl"
# key of a line of a late fusion: what its members and combinations predict
SYSTEMS = ("systems", "dimension_systems")


def collect_predictions(
    corpus: "DatasetDict", outputs: Mapping[str, "PredictionOutput"], task: Task
) -> dict[str, Predictions]:
    """Join the outputs of a model to their rows, and fit the temperature of classes on the validation split.

    Args:
        corpus: The corpus, with "train" and the splits of `outputs`.
        outputs: Outputs and labels per split, in the order of the rows, as [`transformers.Trainer.predict`] returns them.
        task: The task of the model.

    Raises:
        ValueError: If the outputs of a split are not in the order of its rows.
    """
    from ..corpora.folds import describe_rows

    splits = {}
    for split, output in outputs.items():
        rows = corpus[split]
        properties = describe_rows(corpus, split)
        seen = zip(properties["text_seen"], rows["text"][:], strict=True)
        try:
            joined = task.join_outputs(rows, output)
        except ValueError as error:
            raise ValueError(f"The predictions on the {split} split are not in the order of its rows.") from error
        splits[split] = Predictions(
            ids=rows["id"][:],
            speakers=rows["speaker"][:],
            scripted=properties["scripted"],
            text_seen=[known if text else None for known, text in seen],
            corpus=_known(rows["corpus"][:] if "corpus" in rows.column_names else []),
            temperature=np.ones(len(rows)),
            **joined,
        )
    return calibrate(splits, task)


def calibrate(splits: Mapping[str, Predictions], task: Task) -> dict[str, Predictions]:
    """Return the predictions with the temperature that is fitted on the validation split, or 1 if it does not help there."""
    scaling = task.fit_temperature(splits["validation"])
    temperature = (scaling and scaling.kept) or 1.0
    return {
        split: dataclasses.replace(predictions, temperature=np.full(len(predictions.ids), temperature))
        for split, predictions in splits.items()
    }


def write_predictions(path: str | Path, splits: Mapping[str, Predictions], task: Task) -> None:
    """Write one JSON object per line, with logits in the order of the classes, and numbers in full precision.

    Args:
        path: File to write.
        splits: Predictions per split.
        task: The task of the model.
    """
    with open(path, "w", encoding="utf-8") as lines:
        for split, predictions in splits.items():
            for place in range(len(predictions.ids)):
                row = {"split": split, **format_line(predictions, place, task)}
                lines.write(f"{json.dumps(row, ensure_ascii=False)}\n")


def read_predictions(folder: str | Path, task: Task) -> dict[str, Predictions]:
    """Read and calibrate the predictions of a run, as `write_predictions` wrote them.

    Args:
        folder: The folder of the run.
        task: The task of the run, as its results name it.

    Raises:
        FileNotFoundError: If the folder has no predictions.
        ValueError: If the file is damaged, is for other labels, or lacks a split.
    """
    path = Path(folder, FILE)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: a run writes it at its end, so finish or repeat the run.")
    splits: dict[str, dict[str, dict]] = {}
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            row = _parse_line(line, f"{path}, line {number}", task)
            rows = splits.setdefault(row["split"], {})
            if row["id"] in rows:
                raise ValueError(
                    f"{path}, line {number}: the {row['split']} split has a prediction for {show_value(row['id'])} already: "
                    "every utterance has one."
                )
            for key in SYSTEMS:
                if rows and row[key].keys() != next(iter(rows.values()))[key].keys():
                    raise ValueError(f"{path}, line {number}: {key} are not those of the lines above.")
            rows[row["id"]] = row
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: repeat the run that writes it.") from error
    if "validation" not in splits or "test" not in splits:
        raise ValueError(f"{path} must hold the predictions for the validation and the test split.")
    return calibrate({split: _from_rows(list(rows.values()), task) for split, rows in splits.items()}, task)


def _parse_line(line: str, place: str, task: Task) -> dict[str, Any]:
    """Return a line of predictions, with the number of its label; raise an error with its place if it is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} is not the prediction of a model: it is not JSON.") from error
    if not isinstance(row, dict):
        raise ValueError(f"{place} is not the prediction of a model: it is {show_value(row)}.")
    for name, (accepted, kind) in FIELDS.items():
        if (name not in row and name != "corpus") or not isinstance(row.get(name), accepted):
            raise ValueError(
                f"{place} is not the prediction of a model: {name} is {show_value(row.get(name))}, not {kind}."
            )
    row |= parse_classes(row, place, task) if task.classes else {"systems": {}}
    return row | (parse_dimensions(row, place, task) if task.dimension_names else {"dimension_systems": {}})


def _from_rows(rows: Sequence[Mapping], task: Task) -> Predictions:
    def gather(key: str) -> np.ndarray:
        return np.array([row[key] for row in rows])

    def gather_systems(key: str) -> dict[str, np.ndarray]:
        return {name: np.array([row[key][name] for row in rows]) for name in rows[0][key]}

    classes = {"labels": gather("label"), "logits": gather("logits").astype(np.float64)} if task.classes else {}
    values = {name: gather(name) for name in ("dimension_labels", "dimensions")} if task.dimension_names else {}
    return Predictions(
        ids=[row["id"] for row in rows],
        speakers=[row["speaker"] for row in rows],
        temperature=np.ones(len(rows)),
        **classes,
        **values,
        **{key: gather_systems(key) for key in SYSTEMS},
        **{name: [row[name] for row in rows] for name in PROPERTIES},
        corpus=_known([row.get("corpus") for row in rows]),
    )


def _known(values: Sequence[str | None]) -> Sequence[str | None] | None:
    """Return the values if one of them is known, else None."""
    return None if all(value is None for value in values) else values
