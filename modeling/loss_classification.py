"""The loss of classification: cross-entropy with class weights, label smoothing, focal loss and soft labels."""

from collections.abc import Sequence

import torch


def classification_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> torch.Tensor:
    """Return the mean loss of a batch in float32.

    With predicted probabilities p (a softmax), targets q, class weights w and K classes, the loss of a row is

        sum over k of  w_k q'_k (1 - p_k)^gamma (-log p_k),    q' = (1 - label_smoothing) q + label_smoothing / K

    - q is one-hot, or a soft label: the distribution of the raters, for which it is the cross-entropy with that
      distribution.
    - label_smoothing: Szegedy et al. 2016 (arXiv 1512.00567), section 7, with the uniform distribution.
    - focal_gamma: Lin et al. 2017 (arXiv 1708.02002), equation 5, with the class weights as alpha. The paper defines
      it for one true class; one factor per class of a soft or smoothed label is ours.
    - class_weights: as in [`torch.nn.functional.cross_entropy`], weights of the terms of the sum. The mean divides by
      the weights of the true classes or, for soft labels, by the number of rows. If all weights of a batch are zero,
      the loss is zero.
    - unknown classes: their rows are left out of sum and mean.

    With gamma 0 the result equals that function's.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids, -100 where unknown; or `(batch, classes)` probabilities (soft labels), zeros where
            unknown.
        class_weights: One weight per class; None weighs all classes equally.
        label_smoothing: The share from 0 (none) to 1.
        focal_gamma: The exponent, 0 (none) or more; larger values reduce the weight of confident predictions.

    Returns:
        `()`, float32.
    """
    log_probabilities = logits.float().log_softmax(dim=-1)
    costs = -log_probabilities
    if focal_gamma:
        # For gamma < 1 the gradient of the factor is unbounded at 0, which a confident prediction reaches in float32.
        complements = (1.0 - log_probabilities.exp()).clamp(min=torch.finfo(torch.float32).eps)
        costs = costs * complements**focal_gamma
    weights = torch.ones_like(costs[0])
    if class_weights is not None:
        weights = torch.tensor(class_weights, dtype=costs.dtype).to(costs.device, non_blocking=True)
        costs = costs * weights
    known = known_classes(labels)
    if labels.is_floating_point():
        target_costs, totals = (labels.float() * costs).sum(dim=-1), torch.ones_like(costs[:, 0])
    else:
        labels = labels.where(known, 0)
        target_costs, totals = costs.gather(-1, labels[:, None])[:, 0], weights[labels]
    rows = (1.0 - label_smoothing) * target_costs + label_smoothing * costs.mean(dim=-1)
    total = totals.where(known, 0).sum()
    return rows.where(known, 0).sum() / total.where(total > 0, torch.inf)


def known_classes(labels: torch.Tensor) -> torch.Tensor:
    """Return for each row whether its class is known: `(batch,)`, bool.

    Args:
        labels: As in `classification_loss`.
    """
    return labels.sum(dim=-1) > 0 if labels.is_floating_point() else labels >= 0
