"""Fit the combinations of a late fusion to the predictions of its members on the validation split."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.trainer_utils import PredictionOutput

from ...modeling.head_score_combination import COMBINATIONS, LogisticCombination, WeightedCombination

# Inverse strengths of the logistic regression's penalty to choose from (scikit-learn's C), the strongest penalty first.
INVERSE_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
FOLDS = 5
WEIGHTED = ("weighted", "weighted_probability")  # combinations with one weight per member
# Bias of a class that does not occur in the data of the logistic regression.
UNSEEN_BIAS = -1e3


def fit_combinations(validation: PredictionOutput, members: int, classes: int) -> tuple[dict[str, nn.Module], float]:
    """Fit every combination, in float64, to the highest likelihood on the validation split.

    The penalty of the logistic regression is the one of `INVERSE_STRENGTHS` with the highest likelihood in five-fold
    cross-validation; fold k holds out every fifth row, from row k on.

    Args:
        validation: The members' log-probabilities `(utterances, members * classes)` and label ids `(utterances,)`.
        members: Number of members.
        classes: Number of classes.

    Returns:
        The combinations by name, and the inverse strength of the logistic one.
    """
    scores, labels = torch.from_numpy(validation.predictions).double(), torch.from_numpy(validation.label_ids)
    fitted = {kind: combination(members, classes).double() for kind, combination in COMBINATIONS.items()}
    for kind in WEIGHTED:
        fit_weights(fitted[kind], scores, labels)

    logistic, folds, losses = fitted["logistic"], torch.arange(len(labels)) % FOLDS, []
    for inverse_strength in INVERSE_STRENGTHS:
        loss = 0.0
        for fold in range(FOLDS):
            fit_logistic(logistic, scores[folds != fold], labels[folds != fold], inverse_strength)
            with torch.no_grad():
                held_out = logistic(scores[folds == fold])
            loss += F.cross_entropy(held_out, labels[folds == fold], reduction="sum").item()
        losses.append(loss)
    best = INVERSE_STRENGTHS[losses.index(min(losses))]
    fit_logistic(logistic, scores, labels, best)
    return fitted, best


def fit_weights(combination: WeightedCombination, scores: torch.Tensor, labels: torch.Tensor) -> None:
    """Set the weights of the members to those of the highest likelihood, by L-BFGS; deterministic.

    Args:
        combination: A new combination, whose weights are equal.
        scores: Log-probabilities `(utterances, members * classes)`.
        labels: Class ids `(utterances,)`.
    """
    optimizer = torch.optim.LBFGS(
        combination.parameters(),
        max_iter=1000,
        tolerance_grad=1e-8,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(combination(scores), labels)
        value.backward()
        return value

    optimizer.step(loss)


@torch.no_grad()
def fit_logistic(
    combination: LogisticCombination, scores: torch.Tensor, labels: torch.Tensor, inverse_strength: float
) -> None:
    """Set the weights to those of scikit-learn's logistic regression.

    Args:
        combination: The combination to change.
        scores: Log-probabilities `(utterances, members * classes)`.
        labels: Class ids `(utterances,)`, at least two different ones. Other classes get a probability near zero.
        inverse_strength: Inverse of the penalty on the squared weights, scikit-learn's C.
    """
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=inverse_strength, tol=1e-6, max_iter=10_000)
    regression.fit(combination.features(scores).numpy(), labels.numpy())
    combination.weight.zero_()
    combination.bias.fill_(UNSEEN_BIAS)
    known = torch.from_numpy(regression.classes_)
    combination.bias[known] = 0.0
    known = known[-len(regression.coef_) :]  # for two classes scikit-learn has the weights of the second only
    combination.weight[known] = torch.from_numpy(regression.coef_)
    combination.bias[known] = torch.from_numpy(regression.intercept_)


@torch.no_grad()
def combine(combination: nn.Module, rows: PredictionOutput) -> PredictionOutput:
    """Combine the members' log-probabilities `(utterances, members * classes)` into `(utterances, classes)`."""
    return rows._replace(predictions=combination(torch.from_numpy(rows.predictions).double()).numpy())
