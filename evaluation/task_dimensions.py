"""The task of predicting dimensions of emotion: valence, arousal and dominance."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..configuration.dimensions import DEFAULT_SCALE, check_dimensions, check_scale
from ..configuration.plain_text import join_words, show_value
from .comparison_dimensions import DimensionComparison, compare_dimensions, pool_values
from .dimension_pictures import PLANE, SCATTER, draw_dimensions
from .dimension_scores import NAMES, measure, score_values
from .label_checks import check_dimension_labels, dimensions_of, read_dimensions
from .prediction_records import Predictions
from .records import Record
from .results import RunResults
from .score_records import Scores
from .task import HubMetric, Table, Task

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers.trainer_utils import EvalPrediction, PredictionOutput


@dataclass(frozen=True)
class DimensionsTask(Task):
    """Regression of the dimensions of utterances.

    Args:
        labels: Names of the dimensions, some of `DIMENSIONS` of `configuration.dimensions`, in the order of the model's outputs.
        scale: Lowest and highest value in the corpus.
    """

    scale: tuple[float, float] = DEFAULT_SCALE

    name: ClassVar[str] = "dimensions"
    problem_type: ClassVar[str] = "regression"
    metrics: ClassVar[dict[str, bool]] = {"loss": False, "ccc": True, "pearson": True, "rmse": False}
    selection_metric: ClassVar[str] = "ccc"
    label_names: ClassVar[list[str]] = ["labels"]
    stratify_by: ClassVar[str | None] = None
    scores: ClassVar[type[Scores]] = Scores
    system_scores: ClassVar[tuple[str, ...]] = NAMES
    pictures: ClassVar[tuple[str, ...]] = (SCATTER, PLANE)
    subset_headings: ClassVar[dict[str, str]] = {"utterances": "Predictions"}
    titles: ClassVar[dict[str, str]] = {"ccc": "CCC", "pearson": "Pearson's r", "rmse": "RMSE"}
    # Score of a dimension -> name of its metric on the Hub.
    hub_types: ClassVar[dict[str, str]] = {"ccc": "ccc", "pearson": "pearsonr", "rmse": "rmse"}
    dimension_headings: ClassVar[dict[str, str]] = {
        **titles,
        "interval": "CCC, 95 %",
        "utterances": "Utterances",
        "unknown": "Unknown",
    }
    example: ClassVar[str] = "print(dict(zip(model.config.id2label.values(), model(**inputs).logits[0].tolist())))"

    def __post_init__(self):
        check_dimensions(self.labels)
        check_scale(self.scale)

    @property
    def dimension_names(self) -> Sequence[str]:
        """Names of the dimensions."""
        return self.labels

    @property
    def dimension_scale(self) -> list[float]:
        """Lowest and highest value of a dimension."""
        return [float(edge) for edge in self.scale]

    @property
    def headings(self) -> dict[str, str]:
        """CCC, Pearson's r and RMSE, the means of several dimensions; and the CCC of each of several dimensions."""
        if len(self.labels) == 1:
            return dict(self.titles)
        each = {f"ccc_{name}": f"CCC, {name}" for name in self.labels}
        return {"ccc": "CCC, mean", **each, "pearson": "Pearson's r, mean", "rmse": "RMSE, mean"}

    @property
    def summary(self) -> dict[str, str]:
        """CCC, its value for each dimension, and RMSE."""
        each = {f"ccc_{name}": name for name in self.labels} if len(self.labels) > 1 else {}
        return {"ccc": "CCC", **each, "rmse": "RMSE"}

    @property
    def hub_metrics(self) -> dict[str, HubMetric]:
        """CCC, Pearson's r and RMSE of each dimension."""
        return {
            key if len(self.labels) == 1 else f"{key}_{name}": HubMetric(kind, None, f"{self.titles[key]}, {name}")
            for key, kind in self.hub_types.items()
            for name in self.labels
        }

    @property
    def claims(self) -> dict[str, str]:
        """The CCC of each dimension."""
        if len(self.labels) == 1:
            return {"ccc": "CCC"}
        return {f"ccc_{name}": f"CCC of {name}" for name in self.labels}

    def for_training(self, soft_labels: bool) -> Self:
        """Return the task with the labels of the training split; see [`Task.for_training`]."""
        if soft_labels:
            raise ValueError("soft_labels is on, but the model learns dimensions alone; leave it out.")
        return self

    def encode_labels(self, rows: Sequence[Mapping[str, Any]]) -> "dict[str, torch.Tensor]":
        """Return the values `(batch, dimensions)` of the column "vad" as `labels`, NaN where unknown.

        Raises:
            ValueError: If a value is infinite, or no number; the row is named.
        """
        import torch

        if not any("vad" in row for row in rows):
            return {}
        return {"labels": torch.tensor([self._values(row) for row in rows], dtype=torch.float32)}

    def _values(self, row: Mapping[str, Any]) -> list[float]:
        try:
            values = dimensions_of(row.get("vad"), self.labels)
        except (AttributeError, OverflowError, TypeError, ValueError):
            values = [np.inf]
        if np.isinf(values).any():
            raise ValueError(
                f"Row {row.get('id')!r} has the vad {show_value(row.get('vad'))}; it needs a number for each of "
                f"{', '.join(self.labels)}, or None where it is unknown."
            )
        return values

    def check_rows(self, splits: "Mapping[str, Dataset]") -> None:
        """Check that every split has values to measure, in the scale; see [`Task.check_rows`]."""
        check_dimension_labels(splits, self.labels, self.scale)

    def count_labels(self, rows: "Dataset") -> dict[str, dict[str, int]]:
        """Return the number of known values of each dimension as `dimensions`; empty if the rows have no column "vad"."""
        if "vad" not in rows.column_names:
            return {}
        known = np.isfinite(read_dimensions(rows, self.labels)).sum(axis=0).tolist()
        return {"dimensions": dict(zip(self.labels, known, strict=True))}

    def compute_metrics(self, prediction: "EvalPrediction") -> dict[str, float]:
        """Return CCC, Pearson's r and RMSE of the values `(utterances, dimensions)`, and the CCC of each dimension."""
        return {
            name: float("nan") if (value := self._flatten(scores).get(name)) is None else value
            for scores in [score_values(prediction.predictions, prediction.label_ids, self.labels)]
            for name in [*NAMES, *(f"ccc_{name}" for name in self.labels)]
        }

    def score_output(self, output: "PredictionOutput") -> Scores:
        """Return the scores of values `(utterances, dimensions)`."""
        return score_values(output.predictions, output.label_ids, self.labels)

    def pick_dimensions(self, outputs: Any, labels: Any) -> tuple[Any, Any]:
        """Return outputs and labels; see [`Task.pick_dimensions`]."""
        return outputs, labels

    def join_outputs(self, rows: "Dataset", output: "PredictionOutput") -> dict[str, Any]:
        """Return `dimension_labels` and `dimensions`; see [`Task.join_outputs`]."""
        labels = read_dimensions(rows, self.labels)
        if not np.array_equal(labels.astype(np.float32), np.asarray(output.label_ids, np.float32), equal_nan=True):
            raise ValueError("The labels of the outputs are not those of the rows.")
        return {"dimension_labels": labels, "dimensions": np.asarray(output.predictions, dtype=np.float64)}

    def fit_temperature(self, validation: Predictions) -> None:
        """Return None: there is no probability to calibrate."""

    def measure(self, predictions: Mapping[str, Predictions]) -> dict[str, Any]:
        """Return the scores of all splits, and intervals and subsets of the test split; see [`Task.measure`]."""
        return measure(predictions, self.labels)

    def count_predictions(self, test: Predictions) -> dict[str, dict[str, int]]:
        """Return the number of known values of each dimension as `dimensions`, each utterance once."""
        rows = dict(zip(test.ids, test.dimension_labels, strict=True))
        known = np.isfinite(list(rows.values())).sum(axis=0).tolist()
        return {"dimensions": dict(zip(self.labels, known, strict=True))}

    def values(self, scores: Record | None) -> dict[str, Any]:
        """Return the scores that were measured by their keys, as `ccc` and `ccc_valence`."""
        return {} if scores is None else self._flatten(scores)

    def _flatten(self, scores: Record) -> dict[str, Any]:
        found = {key: getattr(scores, key, None) for key in NAMES}
        for dimension, record in getattr(scores, "dimensions", {}).items():
            found |= {f"{key}_{dimension}": getattr(record, key) for key in NAMES}
        return {key: value for key, value in found.items() if value is not None}

    def add_systems(self, predictions: Predictions, outputs: "Mapping[str, PredictionOutput]") -> Predictions:
        """Return predictions with the values that each system predicts; see [`Task.add_systems`]."""
        found = {name: np.asarray(output.predictions, dtype=np.float64) for name, output in outputs.items()}
        return dataclasses.replace(predictions, dimension_systems=found)

    def score_system(self, predictions: Predictions, system: str) -> dict[str, float]:
        """Return CCC, Pearson's r and RMSE of a system; see [`Task.score_system`]."""
        scores = score_values(predictions.dimension_systems[system], predictions.dimension_labels, self.labels)
        return {key: value for key, value in self._flatten(scores).items() if key in NAMES}

    def compare(
        self,
        first: tuple[str, Sequence[Predictions]],
        second: tuple[str, Sequence[Predictions]],
        systems: tuple[str | None, str | None] = (None, None),
    ) -> DimensionComparison:
        """Compare the CCC of two systems; see [`Task.compare`]."""
        pooled = [pool_values(*named, system) for named, system in zip((first, second), systems, strict=True)]
        return compare_dimensions(*pooled, self.labels)

    def draw_test_split(self, folder: str | Path, title: str, results: RunResults, test: Predictions) -> None:
        """Draw predicted against true values, and the plane of arousal and valence; see [`Task.draw_test_split`]."""
        draw_dimensions(folder, title, results.metrics["test"].dimensions, self.labels, self.scale, test)

    def describe_details(self, results: RunResults) -> str:
        """Return the CCC of each dimension on the test split."""
        scores = results.metrics["test"].dimensions
        shown = [f"{name} {scores[name].ccc:z.3f}" for name in self.labels if scores[name].ccc is not None]
        return f"CCC: {', '.join(shown)}"

    def format_cell(self, name: str, value: float) -> str:
        """Return a score with three decimals."""
        return f"{value:z.3f}"

    def format_score(self, name: str, value: float) -> str:
        """Return a score with three decimals; a CCC has no unit, an RMSE that of the scale."""
        return f"{value:z.3f}"

    def describe_scale(self) -> str:
        """Return the scale in words: `on a scale from 1 to 5`."""
        low, high = self.scale
        return f"on a scale from {low:g} to {high:g}"

    def purpose(self) -> str:
        """Return the beginning of the card's first sentence."""
        return f"Predicts the {join_words(list(self.labels))} that are perceived in an utterance, {self.describe_scale()},"

    def answer(self) -> str:
        """Return the sentence on the values that the pipeline returns."""
        return f"The `score` of a dimension is its value, {self.describe_scale()}."

    def limits(self) -> list[str]:
        """Return the sentences on the meaning of the values."""
        return [
            f"The values are {self.describe_scale()}, that of the corpus: convert them before they are compared with those of "
            "another scale. A value may lie slightly outside of it.",
            "The model gives one value for an utterance. It says nothing about how far people agree on it.",
        ]

    def explain_scores(self, measured: Collection[str]) -> str:
        """Return the sentences that define CCC, Pearson's r and RMSE."""
        means = " The mean is over the dimensions." if len(self.labels) > 1 else ""
        return (
            "CCC is the concordance correlation coefficient (Lin 1989, with the variances of the population): 1 for predictions "
            "that equal the true values, 0 for unrelated or constant ones. RMSE is the root of the mean squared error, "
            f"{self.describe_scale()}.{means}"
        )

    def detail_tables(self, results: RunResults) -> list[Table]:
        """Return the scores of each dimension, with the number of utterances whose value is unknown."""
        test = results.metrics.get("test")
        if test is None:
            return []
        rows = {}
        for name, scores in test.dimensions.items():
            rows[name] = {
                key: self.format_score(key, value) for key in NAMES if (value := getattr(scores, key)) is not None
            }
            interval = results.intervals and results.intervals.dimensions.get(name)
            if interval and interval.ccc:
                rows[name]["interval"] = " to ".join(self.format_score("ccc", edge) for edge in interval.ccc)
            rows[name]["utterances"] = str(scores.utterances)
            rows[name] |= {"unknown": str(scores.unknown)} if scores.unknown else {}
        return [Table("Dimensions in the test split:", "Dimension", self.dimension_headings, rows)]
