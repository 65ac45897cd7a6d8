"""The task of choosing one class for each utterance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .scores import ClassificationScores, measure, score_classes
from .task import HubMetric, Table, Task

if TYPE_CHECKING:
    import torch
    from transformers.trainer_utils import EvalPrediction

    from .predictions import Predictions
    from .results import RunResults


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
    scores: ClassVar[type[ClassificationScores]] = ClassificationScores
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

    def encode_labels(self, rows: Sequence[Mapping[str, Any]]) -> "torch.Tensor | None":
        """Return class numbers `(batch,)` of the column "label", or shares `(batch, classes)` of the column "soft_label"."""
        import torch

        if self.soft_labels:
            return torch.tensor([self._shares(row) for row in rows])
        if any(row.get("label") is not None for row in rows):
            return torch.tensor([self._label(row) for row in rows])
        return None

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

    def compute_metrics(self, prediction: "EvalPrediction") -> dict[str, float]:
        """Return WA, UA, weighted and macro F1 of the logits `(utterances, classes)`."""
        predicted = prediction.predictions.argmax(axis=-1)
        scores = score_classes(predicted, prediction.label_ids, list(self.labels))
        return {name: getattr(scores, name) for name in self.metrics if name != "loss"}

    def measure(self, predictions: Mapping[str, "Predictions"]) -> dict[str, Any]:
        """Return the scores of all splits, and intervals and subsets of the test split; see [`Task.measure`]."""
        return measure(predictions, list(self.labels))

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

    def detail_tables(self, results: "RunResults") -> list[Table]:
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
