"""What a model answered, kept so that every score can be computed again without it."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import DatasetDict
from transformers.trainer_utils import PredictionOutput

from ..corpora.folds import describe_rows
from .statistics import fit_temperature

FILE = "predictions.jsonl"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers on the rows of a split, and what scores need to know of the rows; never what is said in them.

    Args:
        ids: of the utterances.
        speakers: who speaks them, None where nobody knows.
        labels: true class numbers `(utterances,)`.
        logits: `(utterances, classes)`, float64.
        scripted: whether the words were read, None where nobody knows.
        text_seen: whether the same words are said in training, None where there are none.
        temperature: what the logits are divided by to be calibrated `(utterances,)`.
    """

    ids: list[str]
    speakers: list[str | None]
    labels: np.ndarray
    logits: np.ndarray
    scripted: list[bool | None]
    text_seen: list[bool | None]
    temperature: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """Predicted class numbers `(utterances,)`."""
        return self.logits.argmax(axis=1)

    def probabilities(self, scaled: bool = False) -> np.ndarray:
        """Of the classes `(utterances, classes)`, after temperature scaling if wanted."""
        logits = self.logits / self.temperature[:, None] if scaled else self.logits
        return torch.from_numpy(logits).softmax(dim=-1).numpy()


def collect_predictions(corpus: DatasetDict, outputs: Mapping[str, PredictionOutput]) -> dict[str, Predictions]:
    """Join a model's answers to the rows that they are about, and fit the temperature on the validation part.

    Args:
        corpus: with "train" and the splits.
        outputs: per split, logits `(utterances, classes)` and label ids, in the order of the rows.

    Raises:
        ValueError: if the answers are not about the rows of the split.
    """
    splits = {}
    for split, output in outputs.items():
        rows = corpus[split]
        labels = np.asarray(rows["label"][:])
        if not np.array_equal(labels, output.label_ids):
            raise ValueError(f"The answers on the {split} part are not in the order of its rows.")
        told = describe_rows(corpus, split)
        seen = zip(told["text_seen"], rows["text"][:], strict=True)
        splits[split] = Predictions(
            ids=rows["id"][:],
            speakers=rows["speaker"][:],
            labels=labels,
            logits=np.asarray(output.predictions, dtype=np.float64),
            scripted=told["scripted"],
            text_seen=[known if text else None for known, text in seen],
            temperature=np.ones(len(labels)),
        )
    return calibrate(splits)


def calibrate(splits: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Give all splits of a model the temperature that is fitted on its validation part."""
    temperature = fit_temperature(splits["validation"].logits, splits["validation"].labels)
    return {
        split: dataclasses.replace(part, temperature=np.full(len(part.ids), temperature))
        for split, part in splits.items()
    }


def pool(parts: Iterable[Predictions]) -> Predictions:
    """The answers of several models one after the other, each with its own temperature."""
    parts, joined = list(parts), {}
    for field in dataclasses.fields(Predictions):
        values = [getattr(part, field.name) for part in parts]
        is_array = isinstance(values[0], np.ndarray)
        joined[field.name] = np.concatenate(values) if is_array else [item for value in values for item in value]
    return Predictions(**joined)


def write_predictions(path: str | Path, splits: Mapping[str, Predictions], labels: Sequence[str]) -> None:
    """Write a JSON object a line; the logits are in the order of `labels`, and lose no digit."""
    with open(path, "w", encoding="utf-8") as lines:
        for split, part in splits.items():
            columns = (part.ids, part.speakers, part.labels, part.logits, part.scripted, part.text_seen)
            for name, speaker, label, logits, scripted, seen in zip(*columns, strict=True):
                row = {"split": split, "id": name, "speaker": speaker, "label": labels[label]}
                row |= {"logits": logits.tolist(), "scripted": scripted, "text_seen": seen}
                lines.write(f"{json.dumps(row, ensure_ascii=False)}\n")


def read_predictions(folder: str | Path, labels: Sequence[str]) -> dict[str, Predictions]:
    """Read what `write_predictions` wrote into the folder of a run, and calibrate it.

    Args:
        folder: of the run.
        labels: of the model, as in its `results.json`.

    Raises:
        FileNotFoundError: if the folder has no predictions.
        ValueError: if the file is damaged or not about these labels.
    """
    path = Path(folder, FILE)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: it is written at the end of a run, so finish or repeat that.")
    rows, numbers = {}, {label: number for number, label in enumerate(labels)}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                row["label"] = numbers[row["label"]]
                if len(row["logits"]) != len(labels):
                    raise ValueError
                rows.setdefault(row["split"], []).append(row)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{path}, line {number}: not the prediction of a model for {', '.join(labels)}."
                ) from error
    if "validation" not in rows or "test" not in rows:
        raise ValueError(f"{path} must hold the predictions for the validation and the test part.")
    return calibrate({split: _from_rows(part) for split, part in rows.items()})


def _from_rows(rows: list[dict]) -> Predictions:
    columns = {name: [row[name] for row in rows] for name in ("speaker", "label", "logits", "scripted", "text_seen")}
    return Predictions(
        ids=[row["id"] for row in rows],
        speakers=columns["speaker"],
        labels=np.array(columns["label"]),
        logits=np.array(columns["logits"], dtype=np.float64),
        scripted=columns["scripted"],
        text_seen=columns["text_seen"],
        temperature=np.ones(len(rows)),
    )
