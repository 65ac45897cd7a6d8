"""Predictions of a model, stored so that every score can be computed again without the model."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configuration.plain_text import one_line, show_value
from .calibration import fit_scaling, softmax

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers.trainer_utils import PredictionOutput

FILE = "predictions.jsonl"
# Properties of a row that subsets are formed by: fields of `Predictions`, and keys of a line.
PROPERTIES = ("scripted", "text_seen")
SYSTEMS = "systems"  # key of a line of a late fusion: what its members and combinations predict
# key of a line -> accepted types of its value, and their name
FIELDS = {
    **dict.fromkeys(("split", "id", "label"), (str, "a string")),
    "speaker": (str | None, "a string or null"),
    "logits": (list, "a list"),
    **dict.fromkeys(PROPERTIES, (bool | None, "true, false or null")),
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions on the rows of a split, with the columns that scores need, without texts.

    Args:
        ids: Ids of the utterances.
        speakers: Their speakers, None where unknown.
        labels: True class numbers `(utterances,)`.
        logits: Logits `(utterances, classes)`, float64.
        scripted: Whether the text was scripted, None where unknown.
        text_seen: Whether the training split contains the same text, None for an utterance without text.
        temperature: Temperatures that calibrate the logits `(utterances,)`; 1 where none does.
        systems: Class numbers `(utterances,)` that each member and each combination of a late fusion predicts, by name.
    """

    ids: list[str]
    speakers: list[str | None]
    labels: np.ndarray
    logits: np.ndarray
    scripted: list[bool | None]
    text_seen: list[bool | None]
    temperature: np.ndarray
    systems: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted class numbers `(utterances,)`."""
        return self.logits.argmax(axis=1)

    def probabilities(self, scaled: bool = False) -> np.ndarray:
        """Return the probabilities `(utterances, classes)`, after temperature scaling with `scaled`."""
        return softmax(self.logits / self.temperature[:, None] if scaled else self.logits)


def collect_predictions(corpus: "DatasetDict", outputs: Mapping[str, "PredictionOutput"]) -> dict[str, Predictions]:
    """Join the outputs of a model to their rows, and fit the temperature on the validation split.

    Args:
        corpus: The corpus, with "train" and the splits of `outputs`.
        outputs: Logits `(utterances, classes)` and label ids per split, in the order of the rows.

    Raises:
        ValueError: If the outputs of a split are not in the order of its rows.
    """
    from ..corpora.folds import describe_rows

    splits = {}
    for split, output in outputs.items():
        rows = corpus[split]
        labels = np.asarray(rows["label"][:])
        if not np.array_equal(labels, output.label_ids):
            raise ValueError(f"The predictions on the {split} split are not in the order of its rows.")
        properties = describe_rows(corpus, split)
        seen = zip(properties["text_seen"], rows["text"][:], strict=True)
        splits[split] = Predictions(
            ids=rows["id"][:],
            speakers=rows["speaker"][:],
            labels=labels,
            logits=np.asarray(output.predictions, dtype=np.float64),
            scripted=properties["scripted"],
            text_seen=[known if text else None for known, text in seen],
            temperature=np.ones(len(labels)),
        )
    return calibrate(splits)


def calibrate(splits: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Return the predictions with the temperature that is fitted on the validation split, or 1 if it does not help there."""
    temperature = fit_scaling(splits["validation"].logits, splits["validation"].labels).kept or 1.0
    return {
        split: dataclasses.replace(predictions, temperature=np.full(len(predictions.ids), temperature))
        for split, predictions in splits.items()
    }


def pool(parts: Iterable[Predictions]) -> Predictions:
    """Concatenate the predictions of several models; each keeps its temperature."""
    parts, joined = list(parts), {}
    for item in dataclasses.fields(Predictions):
        values = [getattr(part, item.name) for part in parts]
        if isinstance(values[0], dict):
            shared = [name for name in values[0] if all(name in value for value in values)]
            joined[item.name] = {name: np.concatenate([value[name] for value in values]) for name in shared}
        elif isinstance(values[0], np.ndarray):
            joined[item.name] = np.concatenate(values)
        else:
            joined[item.name] = [entry for value in values for entry in value]
    return Predictions(**joined)


def write_predictions(path: str | Path, splits: Mapping[str, Predictions], labels: Sequence[str]) -> None:
    """Write one JSON object per line, with logits in the order of `labels` and in full precision.

    Args:
        path: File to write.
        splits: Predictions per split.
        labels: Names of the classes.
    """
    with open(path, "w", encoding="utf-8") as lines:
        for split, predictions in splits.items():
            columns = (getattr(predictions, name) for name in ("ids", "speakers", "labels", "logits", *PROPERTIES))
            for place, (name, speaker, label, logits, *properties) in enumerate(zip(*columns, strict=True)):
                row = {"split": split, "id": name, "speaker": speaker, "label": labels[label]}
                row |= {"logits": logits.tolist(), **dict(zip(PROPERTIES, properties, strict=True))}
                if predictions.systems:
                    row[SYSTEMS] = {system: labels[found[place]] for system, found in predictions.systems.items()}
                lines.write(f"{json.dumps(row, ensure_ascii=False)}\n")


def read_predictions(folder: str | Path, labels: Sequence[str]) -> dict[str, Predictions]:
    """Read and calibrate the predictions of a run, as `write_predictions` wrote them.

    Args:
        folder: The folder of the run.
        labels: Names of the classes, as in its results.

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
            row = _parse_line(line, f"{path}, line {number}", labels)
            rows = splits.setdefault(row["split"], {})
            if row["id"] in rows:
                raise ValueError(
                    f"{path}, line {number}: the {row['split']} split has a prediction for {show_value(row['id'])} already: "
                    "every utterance has one."
                )
            if rows and row[SYSTEMS].keys() != next(iter(rows.values()))[SYSTEMS].keys():
                raise ValueError(f"{path}, line {number}: {SYSTEMS} are not those of the lines above.")
            rows[row["id"]] = row
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: repeat the run that writes it.") from error
    if "validation" not in splits or "test" not in splits:
        raise ValueError(f"{path} must hold the predictions for the validation and the test split.")
    return calibrate({split: _from_rows(list(rows.values())) for split, rows in splits.items()})


def _parse_line(line: str, place: str, labels: Sequence[str]) -> dict[str, Any]:
    """Return a line of predictions, with the number of its label; raise an error with its place if it is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} is not the prediction of a model: it is not JSON.") from error
    if not isinstance(row, dict):
        raise ValueError(f"{place} is not the prediction of a model: it is {show_value(row)}.")
    for name, (accepted, kind) in FIELDS.items():
        if name not in row or not isinstance(row[name], accepted):
            raise ValueError(
                f"{place} is not the prediction of a model: {name} is {show_value(row.get(name))}, not {kind}."
            )
    if row["label"] not in labels:
        raise ValueError(
            f"{place}: the label {show_value(row['label'])} is none of {', '.join(map(one_line, labels))}."
        )
    numbers = [score for score in row["logits"] if isinstance(score, int | float) and not isinstance(score, bool)]
    if len(row["logits"]) != len(labels) or len(numbers) != len(labels) or not np.isfinite(_as_floats(numbers)).all():
        raise ValueError(
            f"{place}: logits is {show_value(row['logits'])}, not {len(labels)} finite numbers, one per label."
        )
    systems = row.get(SYSTEMS, {})
    if not isinstance(systems, dict) or not all(found in labels for found in systems.values()):
        raise ValueError(f"{place}: {SYSTEMS} is {show_value(systems)}, not a label for each system.")
    numbers = {label: number for number, label in enumerate(labels)}
    systems = {name: numbers[found] for name, found in systems.items()}
    return row | {"label": numbers[row["label"]], SYSTEMS: systems}


def _as_floats(numbers: list) -> np.ndarray:
    try:
        return np.array(numbers, dtype=np.float64)
    except OverflowError:
        return np.array([np.inf])


def _from_rows(rows: Sequence[Mapping]) -> Predictions:
    return Predictions(
        ids=[row["id"] for row in rows],
        speakers=[row["speaker"] for row in rows],
        labels=np.array([row["label"] for row in rows]),
        logits=np.array([row["logits"] for row in rows], dtype=np.float64),
        temperature=np.ones(len(rows)),
        systems={name: np.array([row[SYSTEMS][name] for row in rows]) for name in rows[0][SYSTEMS]},
        **{name: [row[name] for row in rows] for name in PROPERTIES},
    )
