"""Tasks: what a model learns from the labels of a corpus, how it is measured, and how its card shows the scores."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from .records import Record

if TYPE_CHECKING:
    import torch
    from transformers.trainer_utils import EvalPrediction

    from .predictions import Predictions
    from .results import RunResults

# task -> its class, in the file `task_<name>.py`
TASKS = {"classification": "ClassificationTask"}


class HubMetric(NamedTuple):
    """A metric of the Hub that a score is published as.

    Args:
        type: Name of the metric on the Hub.
        arguments: Its arguments, None for none.
        title: Its name on a model's page.
    """

    type: str
    arguments: dict[str, Any] | None
    title: str


class Table(NamedTuple):
    """A table of a card.

    Args:
        title: Line above the table.
        corner: Heading of the names of the rows.
        columns: Heading by key, in order.
        rows: Cells by name of the row and key.
    """

    title: str
    corner: str
    columns: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Task(ABC):
    """Base of the tasks. The loss and the head are the model's, whose configuration names the task as `problem_type`.

    Args:
        labels: Names of the model's outputs, in their order.
    """

    labels: Sequence[str]

    # Key of `TASKS`, and `task` in `results.json`.
    name: ClassVar[str]
    problem_type: ClassVar[str]
    # Metric of the validation split, by which a checkpoint may be chosen -> whether greater is better.
    metrics: ClassVar[dict[str, bool]]
    # Record of the scores of a split, with a field for each of `metrics` but "loss".
    scores: ClassVar[type[Record]]
    # Score -> heading in the tables of a card, in their order.
    headings: ClassVar[dict[str, str]]
    # Score -> its metric on the Hub; the card claims these.
    hub_metrics: ClassVar[dict[str, HubMetric]]
    # Count of a subset of the test split -> heading.
    subset_headings: ClassVar[dict[str, str]]
    # Line of Python that prints the model's output, after `inputs = processor(...)` and with `model`.
    example: ClassVar[str]

    def config_fields(self) -> dict[str, Any]:
        """Return the fields of a model's configuration that the task determines."""
        return {
            "problem_type": self.problem_type,
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: number for number, label in enumerate(self.labels)},
        }

    @abstractmethod
    def encode_labels(self, rows: Sequence[Mapping[str, Any]]) -> "torch.Tensor | None":
        """Return the `labels` of a batch from the label columns of its rows, None if the rows have none.

        Raises:
            ValueError: If a row's label does not fit the model; the row is named.
        """

    @abstractmethod
    def compute_metrics(self, prediction: "EvalPrediction") -> dict[str, float]:
        """Return `metrics` of the model's outputs on the validation split, as [`transformers.Trainer`] takes them."""

    @abstractmethod
    def measure(self, predictions: Mapping[str, "Predictions"]) -> dict[str, Any]:
        """Return the fields of the results that predictions determine: `metrics`, `intervals`, `breakdown`.

        Args:
            predictions: Per split, of one model or pooled; among them "test".
        """

    @abstractmethod
    def purpose(self) -> str:
        """Return what the model does, as the beginning of the first sentence of a card, before "from its speech"."""

    @abstractmethod
    def explain_scores(self, measured: Collection[str]) -> str:
        """Return a sentence that defines those scores that were measured."""

    @abstractmethod
    def format_score(self, name: str, value: float) -> str:
        """Return a score as a card shows it, with its unit."""

    @abstractmethod
    def detail_tables(self, results: "RunResults") -> list[Table]:
        """Return the tables on the test split that only this task has."""


def load_task(name: str, labels: Sequence[str], **options: Any) -> Task:
    """Return a task by its name.

    Args:
        name: Key of `TASKS`.
        labels: Names of the model's outputs.
        **options: Other arguments of the task.

    Raises:
        ValueError: If there is no such task.
    """
    if name not in TASKS:
        raise ValueError(f"There is no task {name!r}: choose one of {', '.join(TASKS)}.")
    return getattr(importlib.import_module(f".task_{name}", __package__), TASKS[name])(labels, **options)
