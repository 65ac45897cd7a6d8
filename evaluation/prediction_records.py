"""Predictions of a model on the rows of a split, from which every score can be computed again without the model."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from .calibration import softmax

UNKNOWN = -100  # class number of an utterance whose class is unknown, which PyTorch's losses ignore


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Predictions on the rows of a split, with the columns that scores need, without texts.

    Args:
        ids: Ids of the utterances.
        speakers: Their speakers, None where unknown.
        scripted: Whether the text was scripted, None where unknown.
        text_seen: Whether the training split contains the same text, None for an utterance without text.
        corpus: Their corpora in a run with several; None in a run with one.
        labels: True class numbers `(utterances,)`, `UNKNOWN` where unknown; None if no class is learned.
        logits: Logits `(utterances, classes)`, float64; None if no class is learned.
        temperature: Temperatures that calibrate the logits `(utterances,)`; 1 where none does.
        systems: Class numbers `(utterances,)` that each member and each combination of a late fusion predicts, by name.
        dimension_labels: True values `(utterances, dimensions)` in the corpus's scale, NaN where unknown; None if no
            dimension is learned.
        dimensions: Predicted values `(utterances, dimensions)`, float64; None if no dimension is learned.
        dimension_systems: Values `(utterances, dimensions)` that each member and each combination predicts, by name.
    """

    ids: list[str]
    speakers: list[str | None]
    scripted: list[bool | None]
    text_seen: list[bool | None]
    corpus: list[str | None] | None = None
    labels: np.ndarray | None = None
    logits: np.ndarray | None = None
    temperature: np.ndarray
    systems: dict[str, np.ndarray] = field(default_factory=dict)
    dimension_labels: np.ndarray | None = None
    dimensions: np.ndarray | None = None
    dimension_systems: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted class numbers `(utterances,)`."""
        return self.logits.argmax(axis=1)

    def probabilities(self, scaled: bool = False) -> np.ndarray:
        """Return the probabilities `(utterances, classes)`, after temperature scaling if `scaled`."""
        return softmax(self.logits / self.temperature[:, None] if scaled else self.logits)

    def select(self, rows: np.ndarray) -> Self:
        """Return the predictions on some of the utterances.

        Args:
            rows: Numbers of the utterances, or whether each is one of them `(utterances,)`, bool.
        """
        rows = np.arange(len(self.ids))[rows]

        def choose(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: choose(item) for name, item in value.items()}
            if isinstance(value, list):
                return [value[row] for row in rows]
            return None if value is None else value[rows]

        return Predictions(**{item.name: choose(getattr(self, item.name)) for item in dataclasses.fields(self)})


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
        elif values[0] is not None:
            joined[item.name] = [entry for value in values for entry in value]
    return Predictions(**joined)


def reorder(predictions: Predictions, classes: Sequence[int], dimensions: Sequence[int]) -> Predictions:
    """Return predictions with their classes and dimensions in another order.

    Args:
        predictions: The predictions.
        classes: Old number of each class; ignored if no class is learned.
        dimensions: Old number of each dimension; ignored if none is learned.
    """
    changed = {}
    if predictions.logits is not None:
        new = np.argsort(classes)  # new number of each old class
        changed |= {
            "labels": np.where(predictions.labels == UNKNOWN, UNKNOWN, new[np.maximum(predictions.labels, 0)]),
            "logits": predictions.logits[:, classes],
            "systems": {name: new[found] for name, found in predictions.systems.items()},
        }
    if predictions.dimensions is not None:
        changed |= {name: getattr(predictions, name)[:, dimensions] for name in ("dimension_labels", "dimensions")}
        changed["dimension_systems"] = {
            name: found[:, dimensions] for name, found in predictions.dimension_systems.items()
        }
    return dataclasses.replace(predictions, **changed)
