"""The loss of classification: cross-entropy with class weights, label smoothing, focal loss and soft labels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

UNKNOWN = -1  # the class id to which all negative ones are raised


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
    scores = logits.float().log_softmax(dim=-1)
    if focal_gamma:
        # For gamma < 1 the gradient of the factor is unbounded at 0, which a confident prediction reaches in float32.
        complements = (1.0 - scores.exp()).clamp(min=torch.finfo(torch.float32).eps)
        scores = scores * complements**focal_gamma
    weights = None
    if class_weights is not None:
        weights = torch.tensor(class_weights, dtype=scores.dtype).to(scores.device, non_blocking=True)
    if labels.is_floating_point():
        targets = labels.float() if weights is None else labels.float() * weights
        cost, total = -(targets * scores).sum(), known_classes(labels).sum()
    else:
        # The sum of the weights of the true classes is the sum of costs of 1.
        labels = labels.clamp_min(UNKNOWN)
        cost, total = (
            F.nll_loss(values, labels, weights, ignore_index=UNKNOWN, reduction="sum")
            for values in (scores, torch.full_like(scores, -1.0))
        )
    if label_smoothing:
        means = (scores if weights is None else scores * weights).mean(dim=-1)
        cost = (1.0 - label_smoothing) * cost - label_smoothing * means.where(known_classes(labels), 0).sum()
    return cost / total.where(total > 0, torch.inf)


def known_classes(labels: torch.Tensor) -> torch.Tensor:
    """Return for each row whether its class is known: `(batch,)`, bool.

    Args:
        labels: As in `classification_loss`.
    """
    return labels.sum(dim=-1) > 0 if labels.is_floating_point() else labels >= 0
