"""Calibration of a classifier: temperature scaling, and how often predictions of a given probability are correct."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .records import Record

BINS = 15  # of equal width, as in `metrics/emotion_metrics`
# Bounds of the search. Where every prediction is correct, the likelihood has no maximum and the search ends at the lower.
TEMPERATURES = 0.01, 100.0


class Reliability(NamedTuple):
    """A reliability diagram (Guo et al. 2017) as arrays `(bins,)`.

    Args:
        edges: Edges of the bins `(bins + 1,)`, from 0 to 1.
        counts: Predictions in each bin.
        accuracy: Share of them that is correct; 0 in an empty bin.
        confidence: Their mean probability; 0 in an empty bin.
        ece: Expected calibration error, a number.
    """

    edges: np.ndarray
    counts: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray
    ece: float


@dataclass(kw_only=True)
class TemperatureScaling(Record):
    """Temperature that was fitted on the validation split, and its effect there.

    Args:
        temperature: Temperature of maximum likelihood.
        ece: Expected calibration error of the validation split without scaling.
        ece_scaled: The same with scaling.
    """

    temperature: float | None = None
    ece: float | None = None
    ece_scaled: float | None = None

    @property
    def kept(self) -> float | None:
        """The temperature; None if it makes the calibration of the validation split worse, so that it is not used."""
        helps = self.ece is not None and self.ece_scaled is not None and self.ece_scaled <= self.ece
        return self.temperature if helps else None


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities `(utterances, classes)` of logits, in float64."""
    logits = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature of maximum likelihood (Guo et al. 2017, section 4.2), between 0.01 and 100.

    Args:
        logits: Logits of the validation split `(utterances, classes)`.
        labels: True class numbers `(utterances,)`.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits = np.asarray(logits, dtype=np.float64)
    true = logits[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float((logsumexp(inverse * logits, axis=1) - inverse * true).mean())

    # The loss is convex in the inverse temperature, so it has one minimum in the logarithm too.
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def fit_scaling(logits: np.ndarray, labels: np.ndarray) -> TemperatureScaling:
    """Fit a temperature and measure whether it calibrates; arguments as of `fit_temperature`."""
    temperature = fit_temperature(logits, labels)
    correct = np.argmax(logits, axis=1) == labels
    plain, scaled = (
        measure_reliability(softmax(logits / scale).max(axis=1), correct).ece for scale in (1, temperature)
    )
    return TemperatureScaling(temperature=temperature, ece=plain, ece_scaled=scaled)


def measure_reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Return the accuracy of predictions, binned by their probability.

    Args:
        confidence: Probability of the predicted class `(utterances,)`.
        correct: Whether the prediction is correct `(utterances,)`.
    """
    confidence, correct = np.asarray(confidence), np.asarray(correct, dtype=float)
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(bins, minlength=BINS)
    accuracy, mean = (
        np.bincount(bins, weights=values, minlength=BINS) / np.maximum(counts, 1) for values in (correct, confidence)
    )
    ece = float(np.abs(accuracy - mean) @ counts / max(counts.sum(), 1))
    return Reliability(edges, counts, accuracy, mean, ece)
