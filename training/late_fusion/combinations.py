"""Fit the combinations of a late fusion to the predictions of its members on the validation split."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from transformers.trainer_utils import PredictionOutput

from ...evaluation.task import Task
from ...modeling.head_score_combination import COMBINATIONS, LogisticCombination
from ...modeling.head_value_combination import VALUE_COMBINATIONS, LinearValueCombination
from ...modeling.loss_concordance import concordance_costs

# Inverse strengths of the penalty of a regression to choose from (scikit-learn's C), the strongest penalty first.
INVERSE_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
FOLDS = 5
WEIGHTED = ("weighted", "weighted_probability")  # combinations with one weight per member
# Bias of a class that does not occur in the data of the logistic regression.
UNSEEN_BIAS = -1e3


def fit_value_combinations(
    validation: PredictionOutput, members: int, task: Task
) -> tuple[dict[str, nn.Module], float]:
    """Fit every combination of dimensions, in float64, on the validation split.

    `weighted` has the highest mean CCC. `linear` is ridge regression, whose penalty is the one of `INVERSE_STRENGTHS` with
    the lowest squared error in five-fold cross-validation; fold k holds out every fifth row, from row k on.

    Args:
        validation: The members' values `(utterances, members * dimensions)`, NaN where a member has no input, and the
            labels `(utterances, dimensions)`, NaN where unknown.
        members: Number of members.
        task: The task.

    Returns:
        The combinations by name, and the inverse strength of the linear one.
    """
    values, labels = (torch.from_numpy(part).double() for part in (validation.predictions, validation.label_ids))
    sizes, known = (members, len(task.dimension_names), task.dimension_scale), ~labels.isnan()
    fitted = {kind: combination(*sizes).double() for kind, combination in VALUE_COMBINATIONS.items()}
    to_units = fitted["mean"].to_units
    targets = to_units(labels).where(known, 0)

    def cost(combined: torch.Tensor) -> torch.Tensor:
        return concordance_costs(to_units(combined).where(known, 0), targets, known).mean()

    minimise(fitted["weighted"], cost, values)

    linear, folds, losses = fitted["linear"], torch.arange(len(labels)) % FOLDS, []
    for inverse_strength in INVERSE_STRENGTHS:
        loss = 0.0
        for fold in range(FOLDS):
            fit_linear(linear, values[folds != fold], labels[folds != fold], inverse_strength)
            with torch.no_grad():
                errors = to_units(linear(values[folds == fold])) - targets[folds == fold]
            loss += errors.where(known[folds == fold], 0).square().sum().item()
        losses.append(loss)
    best = INVERSE_STRENGTHS[losses.index(min(losses))]
    fit_linear(linear, values, labels, best)
    return fitted, best


@torch.no_grad()
def fit_linear(
    combination: LinearValueCombination, values: torch.Tensor, labels: torch.Tensor, inverse_strength: float
) -> None:
    """Set the weights of each dimension to those of ridge regression over the rows whose label is known.

    The penalty is on the difference of the weights from those of the mean, so that a strong one gives the mean and a bias.

    Args:
        combination: The combination to change.
        values: Values `(utterances, members * dimensions)`, NaN where a member has no input.
        labels: Labels `(utterances, dimensions)`, NaN where unknown. A dimension without any keeps the mean.
        inverse_strength: Inverse of the penalty on the squared differences.
    """
    combination.reset_parameters()
    features, targets = combination.features(values), combination.to_units(labels)
    for place, (own, target) in enumerate(zip(features.unbind(dim=-1), targets.unbind(dim=-1), strict=True)):
        known = ~target.isnan()
        if not known.any():
            continue
        inputs, rest = own[known], target[known] - own[known].mean(dim=-1)
        centred = inputs - inputs.mean(dim=0)
        gram = centred.T @ centred + torch.eye(centred.shape[1], dtype=centred.dtype) / inverse_strength
        change = torch.linalg.solve(gram, centred.T @ (rest - rest.mean()))
        combination.weight[place] += change
        combination.bias[place] = rest.mean() - inputs.mean(dim=0) @ change


def fit_combinations(validation: PredictionOutput, members: int, classes: int) -> tuple[dict[str, nn.Module], float]:
    """Fit every combination of classes, in float64, to the highest likelihood on the validation split.

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
        minimise(fitted[kind], lambda combined: F.cross_entropy(combined, labels), scores)

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


def minimise(combination: nn.Module, cost: Callable[[torch.Tensor], torch.Tensor], scores: torch.Tensor) -> None:
    """Set the parameters of a combination to those of the lowest cost, by L-BFGS; deterministic.

    Args:
        combination: A new combination, which is the mean.
        cost: Returns the cost of combined scores.
        scores: The scores of all members, as the combination takes them.
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
        value = cost(combination(scores))
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
    """Combine the members' scores `(utterances, members * labels)` into `(utterances, labels)`."""
    return rows._replace(predictions=combination(torch.from_numpy(rows.predictions).double()).numpy())
