"""The task of choosing one class for each utterance."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..configuration.plain_text import show_name
from .calibration import TemperatureScaling, fit_scaling
from .comparison_classes import ClassComparison, compare_classes, pool_classes
from .label_checks import check_class_labels
from .pictures import CONFUSION_MATRIX, RELIABILITY, draw_classes
from .prediction_records import UNKNOWN, Predictions
from .records import Record
from .results import RunResults
from .score_records import Scores
from .scores import measure, score, score_classes
from .statistics import confusion_scores
from .task import HubMetric, Table, Task

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers.trainer_utils import EvalPrediction, PredictionOutput


@dataclass(frozen=True)
class ClassificationTask(Task):
    """Classification of utterances, with hard labels or the shares of raters' votes.

    Args:
        labels: Names of the classes, in the order of the model's outputs.
        soft_labels: Whether the shares of the raters' votes are the labels of rows that have them.
    """

    soft_labels: bool = False

    name: ClassVar[str] = "classification"
    problem_type: ClassVar[str] = "single_label_classification"
    metrics: ClassVar[dict[str, bool]] = {"loss": False, "wa": True, "ua": True, "wf1": True, "macro_f1": True}
    selection_metric: ClassVar[str] = "ua"
    label_names: ClassVar[list[str]] = ["labels"]
    stratify_by: ClassVar[str | None] = "label"
    scores: ClassVar[type[Scores]] = Scores
    system_scores: ClassVar[tuple[str, ...]] = ("wa", "ua", "wf1", "nll")
    pictures: ClassVar[tuple[str, ...]] = (CONFUSION_MATRIX, RELIABILITY)
    summary: ClassVar[dict[str, str]] = {"wa": "WA", "ua": "UA", "wf1": "WF1"}
    headings: ClassVar[dict[str, str]] = {
        "wa": "WA",
        "ua": "UA",
        "wf1": "Weighted F1",
        "macro_f1": "Macro F1",
        "ece": "ECE",
        "ece_scaled": "ECE, scaled",
        "nll": "NLL (nats)",
        "nll_scaled": "NLL, scaled",
    }
    hub_metrics: ClassVar[dict[str, HubMetric]] = {
        "wa": HubMetric("accuracy", None, "WA (overall accuracy)"),
        "ua": HubMetric("recall", {"average": "macro"}, "UA (mean class recall)"),
        "wf1": HubMetric("f1", {"average": "weighted"}, "Weighted F1"),
    }
    subset_headings: ClassVar[dict[str, str]] = {"utterances": "Predictions", "classes": "Classes"}
    class_headings: ClassVar[dict[str, str]] = {
        "recall": "Recall",
        "precision": "Precision",
        "f1": "F1",
        "support": "Support",
    }
    example: ClassVar[str] = (
        "print({model.config.id2label[i]: p for i, p in enumerate(model(**inputs).logits.softmax(-1)[0].tolist())})"
    )

    @property
    def claims(self) -> dict[str, str]:
        """WA, UA and weighted F1."""
        return {name: self.headings[name] for name in self.hub_metrics}

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.labels

    def for_training(self, soft_labels: bool) -> Self:
        """Return the task with the labels of the training split; see [`Task.for_training`]."""
        return replace(self, soft_labels=soft_labels)

    def encode_labels(self, rows: Sequence[Mapping[str, Any]]) -> "dict[str, torch.Tensor]":
        """Return class numbers `(batch,)` of the column "label", or shares `(batch, classes)` of the column "soft_label"."""
        import torch

        if self.soft_labels:
            return {"labels": torch.tensor([self._shares(row) for row in rows])}
        if any(row.get("label") is not None for row in rows):
            return {"labels": torch.tensor([self._label(row) for row in rows])}
        return {}

    def _shares(self, row: Mapping[str, Any]) -> list[float]:
        """Return the shares of the raters' votes; a row without votes gives its label the share 1."""
        shares = row.get("soft_label")
        if shares is None:
            label = self._label(row)
            return [float(number == label) for number in range(len(self.labels))]
        if len(shares) != len(self.labels) or not min(shares) >= 0 or not abs(sum(shares) - 1) < 1e-3:
            raise ValueError(
                f"Row {row.get('id')!r} has the soft_label {shares}; it needs one share for each class "
                f"({', '.join(self.labels)}), with the sum 1."
            )
        return shares

    def _label(self, row: Mapping[str, Any]) -> int:
        label = row.get("label")
        if not isinstance(label, int) or not 0 <= label < len(self.labels):
            raise ValueError(
                f"Row {row.get('id')!r} has the label {label!r}; the model knows 0 to {len(self.labels) - 1} "
                f"({', '.join(self.labels)})."
            )
        return label

    def check_rows(self, splits: "Mapping[str, Dataset]") -> None:
        """Check that every row has a label, and that training has several classes; see [`Task.check_rows`]."""
        check_class_labels(splits, self.labels, self.soft_labels)

    def count_labels(self, rows: "Dataset") -> dict[str, dict[str, int]]:
        """Return the number of rows of each class as `classes`; empty if the rows have no column "label"."""
        if "label" not in rows.column_names:
            return {}
        numbers = Counter(rows["label"][:])
        return {"classes": {name: numbers[number] for number, name in enumerate(self.labels)}}

    def compute_metrics(self, prediction: "EvalPrediction") -> dict[str, float]:
        """Return WA, UA, weighted and macro F1 of the logits `(utterances, classes)`."""
        predicted = prediction.predictions.argmax(axis=-1)
        scores = score_classes(predicted, prediction.label_ids, list(self.labels))
        return {name: getattr(scores, name) for name in self.metrics if name != "loss"}

    def score_output(self, output: "PredictionOutput") -> Scores:
        """Return the scores of logits `(utterances, classes)` and class numbers."""
        return score(output, list(self.labels))

    def join_outputs(self, rows: "Dataset", output: "PredictionOutput") -> dict[str, Any]:
        """Return `labels` and `logits`; see [`Task.join_outputs`]."""
        labels = np.array([UNKNOWN if label is None else label for label in rows["label"][:]])
        if not np.array_equal(labels, output.label_ids):
            raise ValueError("The labels of the outputs are not those of the rows.")
        return {"labels": labels, "logits": np.asarray(output.predictions, dtype=np.float64)}

    def fit_temperature(self, validation: Predictions) -> TemperatureScaling:
        """Return the temperature that is fitted on the validation split, and its effect there."""
        return fit_scaling(validation.logits, validation.labels)

    def measure(self, predictions: Mapping[str, Predictions]) -> dict[str, Any]:
        """Return the scores of all splits, and intervals and subsets of the test split; see [`Task.measure`]."""
        return measure(predictions, list(self.labels))

    def count_predictions(self, test: Predictions) -> dict[str, dict[str, int]]:
        """Return the number of tested utterances of each class as `classes`, each utterance once."""
        classes = dict(zip(test.ids, test.labels.tolist(), strict=True))
        counts = np.bincount(list(classes.values()), minlength=len(self.labels)).tolist()
        return {"classes": dict(zip(self.labels, counts, strict=True))}

    def values(self, scores: Record | None) -> dict[str, Any]:
        """Return the scores that were measured by their keys."""
        found = {} if scores is None else {name: getattr(scores, name, None) for name in self.headings}
        return {name: value for name, value in found.items() if value is not None}

    def add_systems(self, predictions: Predictions, outputs: "Mapping[str, PredictionOutput]") -> Predictions:
        """Return predictions with the class numbers that each system predicts; see [`Task.add_systems`]."""
        found = {name: np.asarray(output.predictions).argmax(axis=1) for name, output in outputs.items()}
        return replace(predictions, systems=found)

    def score_system(self, predictions: Predictions, system: str) -> dict[str, float]:
        """Return WA, UA and weighted F1 of a system; see [`Task.score_system`]."""
        counts = np.zeros((len(self.labels), len(self.labels)))
        np.add.at(counts, (predictions.labels, predictions.systems[system]), 1)
        return {name: float(value) for name, value in confusion_scores(counts).items()}

    def compare(
        self,
        first: tuple[str, Sequence[Predictions]],
        second: tuple[str, Sequence[Predictions]],
        systems: tuple[str | None, str | None] = (None, None),
    ) -> ClassComparison:
        """Compare WA and UA of two systems; see [`Task.compare`]."""
        pooled = [pool_classes(*named, system) for named, system in zip((first, second), systems, strict=True)]
        return compare_classes(*pooled, list(self.labels))

    def draw_test_split(self, folder: str | Path, title: str, results: RunResults, test: Predictions) -> None:
        """Draw the confusion matrix and the reliability; see [`Task.draw_test_split`]."""
        draw_classes(folder, title, results.metrics["test"].confusion_matrix, list(self.labels), test)

    def describe_details(self, results: RunResults) -> str:
        """Return the recall of each class on the test split in percent."""
        recalls = zip(self.labels, results.metrics["test"].recall, strict=True)
        shown = [f"{show_name(label)} {100 * recall:.1f}" for label, recall in recalls if recall is not None]
        return f"Recall: {', '.join(shown)}"

    def format_cell(self, name: str, value: float) -> str:
        """Return a share in percent, or an NLL in nats, without a unit."""
        return self.format_score(name, value).removesuffix(" %")

    def answer(self) -> str:
        """Return nothing: the pipeline returns classes with their probabilities."""
        return ""

    def limits(self) -> list[str]:
        """Return the sentence on emotions outside of the classes."""
        return ["The model predicts one of the emotions listed above for every input."]

    def purpose(self) -> str:
        """Return the beginning of the card's first sentence."""
        *first, last = self.labels
        classes = f"{', '.join(first)} or {last}" if first else last
        return f"Recognises which emotion is perceived in an utterance ({classes})"

    def explain_scores(self, measured: Collection[str]) -> str:
        """Return a sentence that defines WA, UA and, where measured, ECE and NLL."""
        parts = ["WA is the overall accuracy", "UA the mean of the class recalls"]
        parts += ["ECE the expected calibration error"] * ("ece" in measured)
        parts += ["NLL the negative log-likelihood"] * ("nll" in measured)
        return f"{', '.join(parts)}."

    def format_score(self, name: str, value: float) -> str:
        """Return a share in percent, or an NLL in nats."""
        return f"{value:.3f}" if name.startswith("nll") else f"{100 * value:.1f} %"

    def detail_tables(self, results: RunResults) -> list[Table]:
        """Return the scores of each class, and the confusion matrix."""
        test = results.metrics.get("test")
        if test is None:
            return []
        scores = {label: {} for label in self.labels}
        for name in self.class_headings:
            for label, value in zip(self.labels, getattr(test, name) or [None] * len(self.labels), strict=True):
                if value is not None:
                    scores[label][name] = str(value) if name == "support" else self.format_score(name, value)
        counts = {
            true: {predicted: str(count) for predicted, count in zip(self.labels, row, strict=True)}
            for true, row in zip(self.labels, test.confusion_matrix or [], strict=False)  # there may be no counts
        }
        columns = {label: f"as {label}" for label in self.labels}
        return [
            Table("Classes in the test split:", "Class", self.class_headings, scores),
            Table("Confusion matrix:", "True class", columns, counts),
        ]
