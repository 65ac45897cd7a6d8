"""The task of choosing one class for each utterance and predicting its dimensions at once."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..configuration.dimensions import DEFAULT_SCALE, DIMENSIONS
from ..configuration.plain_text import join_words
from .calibration import TemperatureScaling
from .comparison_records import JointComparison
from .label_checks import check_class_labels
from .prediction_records import UNKNOWN, Predictions
from .records import Record
from .results import RunResults
from .score_records import Scores, SubsetScores
from .task import HubMetric, Table, Task
from .task_classification import ClassificationTask
from .task_dimensions import DimensionsTask

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers.trainer_utils import EvalPrediction, PredictionOutput


@dataclass(frozen=True)
class MultiTask(Task):
    """Classification and regression of dimensions at once. A row may lack its class, or some of its values.

    Args:
        labels: Names of the classes, in the order of the model's logits.
        dimensions: Names of the dimensions, in the order of the model's values.
        scale: Lowest and highest value in the corpus.
        soft_labels: Whether the shares of the raters' votes are the labels of rows that have them.
    """

    dimensions: Sequence[str] = DIMENSIONS
    scale: tuple[float, float] = DEFAULT_SCALE
    soft_labels: bool = False

    name: ClassVar[str] = "multi_task"
    problem_type: ClassVar[str] = "single_label_classification"
    metrics: ClassVar[dict[str, bool]] = {**ClassificationTask.metrics, **DimensionsTask.metrics}
    selection_metric: ClassVar[str] = "ua"
    label_names: ClassVar[list[str]] = ["labels", "dimension_labels"]
    stratify_by: ClassVar[str | None] = "label"
    scores: ClassVar[type[Scores]] = Scores
    system_scores: ClassVar[tuple[str, ...]] = (*ClassificationTask.system_scores, *DimensionsTask.system_scores)
    pictures: ClassVar[tuple[str, ...]] = (*ClassificationTask.pictures, *DimensionsTask.pictures)
    subset_headings: ClassVar[dict[str, str]] = ClassificationTask.subset_headings
    example: ClassVar[str] = (
        f"output = model(**inputs)\n{ClassificationTask.example.replace('model(**inputs)', 'output')}\n"
        "print(dict(zip(model.config.dimensions, output.dimensions[0].tolist())))"
    )

    def __post_init__(self):
        self.parts  # noqa: B018 (they check their arguments)

    @property
    def parts(self) -> tuple[ClassificationTask, DimensionsTask]:
        """The task of the classes, and that of the dimensions."""
        return ClassificationTask(self.labels, self.soft_labels), DimensionsTask(self.dimensions, self.scale)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.labels

    @property
    def dimension_names(self) -> Sequence[str]:
        """Names of the dimensions."""
        return self.dimensions

    @property
    def dimension_scale(self) -> list[float]:
        """Lowest and highest value of a dimension."""
        return [float(edge) for edge in self.scale]

    @property
    def headings(self) -> dict[str, str]:
        """Those of the classes, then those of the dimensions."""
        return self._join("headings")

    @property
    def summary(self) -> dict[str, str]:
        """Those of the classes, then those of the dimensions."""
        return self._join("summary")

    @property
    def hub_metrics(self) -> dict[str, HubMetric]:
        """Those of the classes, then those of the dimensions."""
        return self._join("hub_metrics")

    @property
    def claims(self) -> dict[str, str]:
        """Those of the classes, then those of the dimensions."""
        return self._join("claims")

    def _join(self, name: str) -> dict[str, Any]:
        return {key: value for part in self.parts for key, value in getattr(part, name).items()}

    def for_training(self, soft_labels: bool) -> Self:
        """Return the task with the labels of the training split; see [`Task.for_training`]."""
        return dataclasses.replace(self, soft_labels=soft_labels)

    def encode_labels(self, rows: Sequence[Mapping[str, Any]]) -> "dict[str, torch.Tensor]":
        """Return `labels`, of the classes, and `dimension_labels`, the values `(batch, dimensions)`.

        A row without a class has the label -100 or, with soft labels, only zeros; an unknown value is NaN.
        """
        import torch

        if not any("label" in row or "vad" in row for row in rows):
            return {}
        classes, values = self.parts
        labelled = [row.get("label") is not None or self._has_shares(row) for row in rows]
        known = classes.encode_labels([row for row, has in zip(rows, labelled, strict=True) if has])
        shape = (len(rows), len(self.labels)) if self.soft_labels else (len(rows),)
        labels = torch.full(shape, 0.0 if self.soft_labels else UNKNOWN)
        if any(labelled):
            labels[torch.tensor(labelled)] = known["labels"]
        # A batch always has both keys, which Trainer's evaluation collects.
        given = [{"vad": None, **row} for row in rows]
        return {"labels": labels, "dimension_labels": values.encode_labels(given)["labels"]}

    def _has_shares(self, row: Mapping[str, Any]) -> bool:
        return self.soft_labels and row.get("soft_label") is not None

    def check_rows(self, splits: "Mapping[str, Dataset]") -> None:
        """Check that every split has classes and values to measure; see [`Task.check_rows`]."""
        check_class_labels(splits, self.labels, self.soft_labels, optional=True)
        self.parts[1].check_rows(splits)

    def count_labels(self, rows: "Dataset") -> dict[str, dict[str, int]]:
        """Return the number of rows of each class, and of known values of each dimension."""
        classes, values = self.parts
        return classes.count_labels(rows) | values.count_labels(rows)

    def compute_metrics(self, prediction: "EvalPrediction") -> dict[str, float]:
        """Return the metrics of the logits and of the values, which are both in `prediction.predictions`."""
        joined = {}
        for part, one in zip(self.parts, self._split(prediction), strict=True):
            joined |= part.compute_metrics(one)
        return joined

    def _split(self, output: "EvalPrediction | PredictionOutput") -> tuple[Any, Any]:
        """Return the outputs of the classes, where the class is known, and those of the dimensions."""
        from transformers.trainer_utils import PredictionOutput

        (logits, values), (labels, truth) = output.predictions[:2], output.label_ids[:2]
        known = np.asarray(labels) != UNKNOWN
        return (
            PredictionOutput(np.asarray(logits)[known], np.asarray(labels)[known], {}),
            PredictionOutput(np.asarray(values), np.asarray(truth), {}),
        )

    def score_output(self, output: "PredictionOutput") -> Scores:
        """Return the scores of the logits and of the values."""
        return self._merge([part.score_output(one) for part, one in zip(self.parts, self._split(output), strict=True)])

    def _merge(self, scores: Sequence[Scores | SubsetScores]) -> Any:
        """Return the record of the classes with the scores of the dimensions."""
        classes, values = scores
        return dataclasses.replace(
            classes, **{key: getattr(values, key) for key in ("ccc", "pearson", "rmse", "dimensions")}
        )

    def pick_dimensions(self, outputs: Any, labels: Any) -> tuple[Any, Any]:
        """Return the second of the outputs and of the labels; see [`Task.pick_dimensions`]."""
        return outputs[1], labels[1]

    def join_outputs(self, rows: "Dataset", output: "PredictionOutput") -> dict[str, Any]:
        """Return the labels, logits and values; see [`Task.join_outputs`]."""
        joined = {}
        for part, place in zip(self.parts, (0, 1), strict=True):
            one = output._replace(predictions=output.predictions[place], label_ids=output.label_ids[place])
            joined |= part.join_outputs(rows, one)
        return joined

    def fit_temperature(self, validation: Predictions) -> TemperatureScaling:
        """Return the temperature of the logits that is fitted on the validation split, and its effect there."""
        return self.parts[0].fit_temperature(known_classes(validation))

    def measure(self, predictions: Mapping[str, Predictions]) -> dict[str, Any]:
        """Return the scores of all splits, and intervals and subsets of the test split; see [`Task.measure`]."""
        classes, values = self.parts
        of_classes = classes.measure({split: known_classes(rows) for split, rows in predictions.items()})
        of_values = values.measure(predictions)
        intervals = of_values["intervals"]
        if intervals is not None and (known := of_classes["intervals"]) is not None:
            shared = {key: getattr(known, key) for key in ("wa", "ua", "wf1")}
            intervals = dataclasses.replace(intervals, **shared)
        breakdown = {
            name: self._merge([of_classes["breakdown"].get(name) or SubsetScores(utterances=0), subset])
            for name, subset in of_values["breakdown"].items()
        }
        for name, subset in of_values["breakdown"].items():
            breakdown[name].utterances = subset.utterances
        return {
            "metrics": {
                split: self._merge([scores, of_values["metrics"][split]])
                for split, scores in of_classes["metrics"].items()
            },
            "intervals": intervals,
            "breakdown": breakdown,
        }

    def count_predictions(self, test: Predictions) -> dict[str, dict[str, int]]:
        """Return the number of tested utterances of each class, and of known values of each dimension."""
        classes, values = self.parts
        return classes.count_predictions(known_classes(test)) | values.count_predictions(test)

    def values(self, scores: Record | None) -> dict[str, Any]:
        """Return the scores that were measured by their keys."""
        return {key: value for part in self.parts for key, value in part.values(scores).items()}

    def add_systems(self, predictions: Predictions, outputs: "Mapping[str, PredictionOutput]") -> Predictions:
        """Return predictions with the classes and values that each system predicts; see [`Task.add_systems`]."""
        for part, place in zip(self.parts, (0, 1), strict=True):
            chosen = {name: output._replace(predictions=output.predictions[place]) for name, output in outputs.items()}
            predictions = part.add_systems(predictions, chosen)
        return predictions

    def score_system(self, predictions: Predictions, system: str) -> dict[str, float]:
        """Return the scores of a system; see [`Task.score_system`]."""
        classes, values = self.parts
        return classes.score_system(known_classes(predictions), system) | values.score_system(predictions, system)

    def compare(
        self,
        first: tuple[str, Sequence[Predictions]],
        second: tuple[str, Sequence[Predictions]],
        systems: tuple[str | None, str | None] = (None, None),
    ) -> JointComparison:
        """Compare the classes, and the dimensions, of two systems; see [`Task.compare`]."""
        classes, values = self.parts
        known = [(name, [known_classes(run) for run in runs]) for name, runs in (first, second)]
        return JointComparison(classes.compare(*known, systems), values.compare(first, second, systems))

    def draw_test_split(self, folder: str | Path, title: str, results: RunResults, test: Predictions) -> None:
        """Draw the pictures of the classes and those of the dimensions; see [`Task.draw_test_split`]."""
        classes, values = self.parts
        classes.draw_test_split(folder, title, results, known_classes(test))
        values.draw_test_split(folder, title, results, test)

    def describe_details(self, results: RunResults) -> str:
        """Return the recall of each class and the CCC of each dimension on the test split."""
        return "; ".join(part.describe_details(results) for part in self.parts)

    def format_cell(self, name: str, value: float) -> str:
        """Return a score as its part shows it, without a unit."""
        return self._part_of(name).format_cell(name, value)

    def format_score(self, name: str, value: float) -> str:
        """Return a score as its part shows it."""
        return self._part_of(name).format_score(name, value)

    def _part_of(self, name: str) -> ClassificationTask | DimensionsTask:
        return self.parts[name.split("_")[0] in ("ccc", "pearson", "rmse")]

    def purpose(self) -> str:
        """Return the beginning of the card's first sentence."""
        classes, values = self.parts
        return f"{classes.purpose()}, and predicts its {join_words(list(self.dimensions))} {values.describe_scale()},"

    def answer(self) -> str:
        """Return the sentences on the keys of what the pipeline returns."""
        of_values = self.parts[1].answer()
        return f"The classes are under `scores`, with their probabilities, and the dimensions under `dimensions`. {of_values}"

    def limits(self) -> list[str]:
        """Return the sentences of the classes and of the dimensions."""
        return [sentence for part in self.parts for sentence in part.limits()]

    def explain_scores(self, measured: Collection[str]) -> str:
        """Return the sentences that define the scores."""
        return " ".join(part.explain_scores(measured) for part in self.parts)

    def detail_tables(self, results: RunResults) -> list[Table]:
        """Return the tables of the classes and of the dimensions."""
        return [table for part in self.parts for table in part.detail_tables(results)]


def known_classes(predictions: Predictions) -> Predictions:
    """Return the predictions on utterances whose class is known."""
    return predictions.select(predictions.labels != UNKNOWN)
