"""Tasks: what a model learns from the labels of a corpus, how it is measured, and how its card shows the scores."""

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from .records import Record

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedConfig
    from transformers.trainer_utils import EvalPrediction, PredictionOutput

    from .calibration import TemperatureScaling
    from .comparison_records import Comparison
    from .prediction_records import Predictions
    from .results import MemberComparison, RunResults

# task -> its class, in the file `task_<name>.py`
TASKS = {"classification": "ClassificationTask", "dimensions": "DimensionsTask", "multi_task": "MultiTask"}


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

    A score has a key: a name of a field of `scores`, or, for a single dimension, `ccc_valence` and the like. `values`
    returns the scores of a record by their keys; `headings`, `summary` and `hub_metrics` have these keys.

    Args:
        labels: Names of the model's outputs, in their order.
    """

    labels: Sequence[str]

    # Key of `TASKS`, and `task` in `results.json`.
    name: ClassVar[str]
    problem_type: ClassVar[str]
    # Metric of the validation split, by which a checkpoint may be chosen -> whether greater is better.
    metrics: ClassVar[dict[str, bool]]
    # The metric that chooses a checkpoint, a trial or the best member unless the user names another.
    selection_metric: ClassVar[str]
    # Keys of the labels of a batch, as `label_names` of [`transformers.TrainingArguments`].
    label_names: ClassVar[list[str]]
    # Column of class numbers whose proportions a random part of the rows keeps, None for none.
    stratify_by: ClassVar[str | None]
    # Record of the scores of a split, with a field for each of `metrics` but "loss".
    scores: ClassVar[type[Record]]
    # Keys of the scores of each member and each combination of a late fusion.
    system_scores: ClassVar[tuple[str, ...]]
    # Names of the pictures that `draw_test_split` may draw.
    pictures: ClassVar[tuple[str, ...]]
    # Count of a subset of the test split -> heading.
    subset_headings: ClassVar[dict[str, str]]
    # Line of Python that prints the model's output, after `inputs = processor(...)` and with `model`.
    example: ClassVar[str]

    @property
    def parts(self) -> "tuple[Task, ...]":
        """The tasks that it consists of: itself, or one for the classes and one for the dimensions."""
        return (self,)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes that are learned, in the order of the logits; empty if there are none."""
        return ()

    @property
    def dimension_names(self) -> Sequence[str]:
        """Names of the dimensions that are learned, in the order of the model's values; empty if there are none."""
        return ()

    @property
    def dimension_scale(self) -> list[float] | None:
        """Lowest and highest value of a dimension, None if none is learned."""
        return None

    @property
    @abstractmethod
    def headings(self) -> dict[str, str]:
        """Score -> heading in the tables of a card, in their order."""

    @property
    @abstractmethod
    def summary(self) -> dict[str, str]:
        """Score -> short heading in the tables of the console, in their order."""

    @property
    @abstractmethod
    def hub_metrics(self) -> dict[str, HubMetric]:
        """Score -> its metric on the Hub, as which the metadata of a card publish it."""

    @property
    @abstractmethod
    def claims(self) -> dict[str, str]:
        """Score -> its name in the first sentence of a card, which has these scores with their intervals."""

    # -- labels ------------------------------------------------------------------------------------------------------

    def config_fields(self) -> dict[str, Any]:
        """Return the fields of a model's configuration that the task determines."""
        fields = {
            "problem_type": self.problem_type,
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: number for number, label in enumerate(self.labels)},
        }
        if self.dimension_names:
            fields |= {"dimensions": list(self.dimension_names), "dimension_scale": self.dimension_scale}
        return fields

    def result_fields(self) -> dict[str, Any]:
        """Return the fields of `RunResults` that name the task; `task_of_results` reads them."""
        return {
            "task": self.name,
            "dimensions": list(self.dimension_names),
            "dimension_scale": self.dimension_scale,
        }

    @abstractmethod
    def for_training(self, soft_labels: bool) -> Self:
        """Return the task with the labels of the training split.

        Args:
            soft_labels: Whether the shares of the raters' votes are the labels of rows that have them.

        Raises:
            ValueError: If `soft_labels` is set and no class is learned.
        """

    @abstractmethod
    def encode_labels(self, rows: Sequence[Mapping[str, Any]]) -> "dict[str, torch.Tensor]":
        """Return the labels of a batch by their key in the batch, from the label columns of its rows.

        Returns:
            `labels` and, for classes and dimensions at once, `dimension_labels`; empty if the rows have none.

        Raises:
            ValueError: If a row's label does not fit the model; the row is named.
        """

    @abstractmethod
    def check_rows(self, splits: "Mapping[str, Dataset]") -> None:
        """Check, before anything is built, that splits have rows and labels to learn from and to measure with.

        Raises:
            ValueError: If a split is empty, its labels are missing, or training has too few rows or classes.
        """

    @abstractmethod
    def count_labels(self, rows: "Dataset") -> dict[str, dict[str, int]]:
        """Return the fields of `SplitCounts` that count the labels of rows: `classes`, `dimensions`."""

    # -- scores ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def compute_metrics(self, prediction: "EvalPrediction") -> dict[str, float]:
        """Return `metrics` of the model's outputs on the validation split, as [`transformers.Trainer`] takes them."""

    @abstractmethod
    def score_output(self, output: "PredictionOutput") -> Record:
        """Return the scores, a `scores`, of a model's outputs, as [`transformers.Trainer.predict`] returns them."""

    def pick_dimensions(self, outputs: Any, labels: Any) -> tuple[Any, Any]:
        """Return values and labels `(rows, dimensions)` of outputs and labels as a trainer collects them, for a task with dimensions."""
        raise NotImplementedError(f"The task {self.name} has no dimensions.")

    @abstractmethod
    def join_outputs(self, rows: "Dataset", output: "PredictionOutput") -> dict[str, Any]:
        """Return the fields of `Predictions` that the labels of rows and a model's outputs determine.

        Raises:
            ValueError: If the outputs are not in the order of the rows.
        """

    @abstractmethod
    def fit_temperature(self, validation: "Predictions") -> "TemperatureScaling | None":
        """Return the temperature that is fitted on the validation split, and its effect; None if no class is learned."""

    @abstractmethod
    def measure(self, predictions: "Mapping[str, Predictions]") -> dict[str, Any]:
        """Return the fields of the results that predictions determine: `metrics`, `intervals`, `breakdown`.

        Args:
            predictions: Per split, of one model or pooled; among them "test".
        """

    @abstractmethod
    def count_predictions(self, test: "Predictions") -> dict[str, dict[str, int]]:
        """Return the fields of `SplitCounts` that count the labels of predictions, every utterance once."""

    @abstractmethod
    def values(self, scores: Record | None) -> dict[str, float]:
        """Return the scores of a record, of a split or a subset, by their keys; those that are None are left out."""

    # -- systems -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def add_systems(self, predictions: "Predictions", outputs: "Mapping[str, PredictionOutput]") -> "Predictions":
        """Return predictions with those of the members and combinations of a late fusion.

        Args:
            predictions: Of the fusion, on a split.
            outputs: Outputs on the same split by name of the member or combination.
        """

    @abstractmethod
    def score_system(self, predictions: "Predictions", system: str) -> dict[str, float]:
        """Return those of `system_scores` that the stored predictions of a member or combination determine.

        Args:
            predictions: Of a fusion on a split, or pooled.
            system: Name of the member or combination.
        """

    def find_best(self, scores: Mapping[str, Mapping[str, float]]) -> str:
        """Return the name of the system that is best by `selection_metric`, the first of a tie.

        Args:
            scores: Scores on the validation split by system and key.
        """
        sign = 1 if self.metrics[self.selection_metric] else -1
        return max(scores, key=lambda name: sign * scores[name].get(self.selection_metric, -sign * math.inf))

    @abstractmethod
    def compare(
        self,
        first: "tuple[str, Sequence[Predictions]]",
        second: "tuple[str, Sequence[Predictions]]",
        systems: tuple[str | None, str | None] = (None, None),
    ) -> "Comparison":
        """Compare two systems on the test split.

        Args:
            first: Name of the first system, and its predictions on the test split of each of its runs.
            second: The same of the second system.
            systems: For each, the member or combination of a late fusion that predicts; None for the run itself.

        Raises:
            ValueError: If they were not tested on the same utterances, or do not agree on their labels.
        """

    def compare_with_members(
        self, runs: "Sequence[Predictions]", members: Iterable[str], combination: str
    ) -> "dict[str, MemberComparison]":
        """Compare a late fusion with each of its members.

        Args:
            runs: Predictions of the fusion on the test split of each run, with those of its members.
            members: Names of the members.
            combination: Name of the fusion in the verdicts.
        """
        return {name: self.compare((name, runs), (combination, runs), (name, None)).to_record() for name in members}

    # -- pictures, console and card ----------------------------------------------------------------------------------

    @abstractmethod
    def draw_test_split(self, folder: str | Path, title: str, results: "RunResults", test: "Predictions") -> None:
        """Draw those of `pictures` that apply into a folder, which exists.

        Args:
            folder: The folder.
            title: Title of the first picture.
            results: The results of the run.
            test: Predictions on the test split.
        """

    @abstractmethod
    def describe_details(self, results: "RunResults") -> str:
        """Return a line for the console: the main score of each class or dimension on the test split."""

    @abstractmethod
    def format_cell(self, name: str, value: float) -> str:
        """Return a score as a table of the console shows it, without a unit."""

    @abstractmethod
    def format_score(self, name: str, value: float) -> str:
        """Return a score as a card shows it, with its unit."""

    @abstractmethod
    def purpose(self) -> str:
        """Return what the model does, as the beginning of the first sentence of a card, before "from its speech"."""

    @abstractmethod
    def answer(self) -> str:
        """Return a sentence on what the pipeline returns for an utterance; empty if that is the rule, classes."""

    @abstractmethod
    def limits(self) -> list[str]:
        """Return the sentences on the limits of the model that only this task has."""

    @abstractmethod
    def explain_scores(self, measured: Collection[str]) -> str:
        """Return a sentence that defines those scores that were measured."""

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
    return task_class(name)(labels, **options)


def task_class(name: str) -> type[Task]:
    """Return the class of a task by its name; raise a `ValueError` if there is none."""
    if name not in TASKS:
        raise ValueError(f"There is no task {name!r}: choose one of {', '.join(TASKS)}.")
    return getattr(importlib.import_module(f".task_{name}", __package__), TASKS[name])


def task_of_results(results: "RunResults") -> Task:
    """Return the task of a run from its results."""
    return load_task(
        results.task, results.labels, **_options(results.task, results.dimensions, results.dimension_scale)
    )


def task_of_config(config: "PreTrainedConfig") -> Task:
    """Return the task of a model from its configuration; a classifier of transformers has the task of classification."""
    dimensions, scale = (getattr(config, name, None) for name in ("dimensions", "dimension_scale"))
    name = "classification"
    if dimensions:
        name = "dimensions" if config.problem_type == "regression" else "multi_task"
    return load_task(name, list(config.id2label.values()), **_options(name, dimensions, scale))


def _options(name: str, dimensions: Sequence[str] | None, scale: Sequence[float] | None) -> dict[str, Any]:
    if name == "classification":
        return {}
    options = {"scale": tuple(scale)} if scale else {}
    return options | ({"dimensions": list(dimensions or [])} if name == "multi_task" else {})
