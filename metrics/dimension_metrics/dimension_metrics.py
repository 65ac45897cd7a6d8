"""Scores of predicted dimensions of emotion, as an `evaluate` metric that also loads by path, offline."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from .dimension_scores import check_pairs, compute_scores

DESCRIPTION = """
Scores of predicted dimensions of emotion, as valence, arousal and dominance. CCC is the concordance correlation
coefficient (Lin 1989), with the variances and the covariance of the population (divided by the number of utterances). It
is over all utterances at once, never a mean over batches or speakers.
"""

INPUTS = """
Args:
    predictions: Predicted values `(utterances, dimensions)`, finite.
    references: True values `(utterances, dimensions)` on the same scale. None or NaN is an unknown value; it is left out,
        with its prediction.
    dimensions: Names of the columns in their order. Without it they are "0", "1", and so on.

Returns:
    A dict of plain numbers.

    - `ccc`, `pearson`, `rmse`: Mean over the dimensions that have known references. None where the score of one of them is
      None.
    - `dimensions`: For each dimension by its name:

      - `ccc`: Concordance correlation coefficient, from -1 to 1. None with fewer than two known references, and where
        references and predictions are all the same number.
      - `pearson`: Pearson's r, from -1 to 1; 0 where the predictions do not vary. None with fewer than two known
        references, or where the references do not vary.
      - `rmse`: Root of the mean squared error, in the scale of the references. None without known references.
      - `utterances`: Number of known references.
      - `unknown`: Number of unknown references.
"""

CITATION = """
@article{lin1989concordance,
  title = {A Concordance Correlation Coefficient to Evaluate Reproducibility},
  author = {Lin, Lawrence I-Kuei},
  journal = {Biometrics},
  volume = {45},
  number = {1},
  pages = {255--268},
  year = {1989}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, INPUTS)
class DimensionMetrics(evaluate.Metric):
    """CCC, Pearson's r and RMSE of each dimension, and their means."""

    def _info(self) -> evaluate.MetricInfo:
        values = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": values, "references": values}),
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs) -> None:
        """Add values; they are checked here because the columns would read a text as a number."""
        predicted, true = check_pairs(predictions, references)
        super().add_batch(predictions=predicted, references=true, **kwargs)

    def _compute(
        self, predictions: list[list[float]], references: list[list[float]], dimensions: Sequence[str] | None = None
    ) -> dict[str, Any]:
        return compute_scores(np.asarray(predictions), np.asarray(references), dimensions)
