"""Scores of emotion recognition from one confusion matrix, as an `evaluate` metric that also loads by path, offline."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from .emotion_scores import check_pairs, compute_scores

DESCRIPTION = """
Scores of emotion recognition. WA is the overall accuracy: the recall of every class, weighted by how often the class
occurs. UA is the unweighted mean of the recalls of the classes that occur (balanced accuracy). The letters do
not stand for the same everywhere: compare the definitions.
"""

INPUTS = """
Args:
    predictions: Class ids `(examples,)`, integers.
    references: True class ids `(examples,)`, integers. Soft labels are not accepted.
    labels: Names of the classes in the order of their ids, or their number. Without it, the classes are the columns
        of `probabilities`, or else the ids up to the greatest that occurs.
    probabilities: `(examples, classes)`; adds `ece` and `nll`.

Returns:
    A dict of plain numbers and lists.

    - `wa`: Overall accuracy.
    - `ua`: Mean recall over the classes that occur in the references.
    - `wf1`: Mean of the classes' F1, weighted by support.
    - `macro_f1`: Mean of the classes' F1 over the classes that occur in the references.
    - `recall`, `precision`, `f1`, `support`: One value per class. Recall is None for a class that the references lack;
      precision and F1 are 0 where their denominator is.
    - `confusion_matrix`: Counts; rows are true classes, columns predicted ones.
    - `ece`: Expected calibration error (Guo et al. 2017, equation 3) of the predicted class's probability, 15 bins of
      equal width.
    - `nll`: Mean negative log-likelihood of the true class, in nats.
"""

CITATION = """
@inproceedings{guo2017calibration,
  title = {On Calibration of Modern Neural Networks},
  author = {Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
  booktitle = {Proceedings of the 34th International Conference on Machine Learning},
  year = {2017}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, INPUTS)
class EmotionMetrics(evaluate.Metric):
    """WA, UA, F1, per-class scores, confusion matrix and calibration."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs) -> None:
        """Add class ids; they are checked here because the int64 columns would truncate 0.7 to 0 silently."""
        predicted, true = check_pairs(predictions, references)
        super().add_batch(predictions=predicted, references=true, **kwargs)

    def _compute(
        self,
        predictions: list[int],
        references: list[int],
        labels: Sequence[str] | int | None = None,
        probabilities: Any = None,
    ) -> dict[str, Any]:
        return compute_scores(predictions, references, labels, probabilities)
