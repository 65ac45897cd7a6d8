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
    """Mean loss of a batch, in float32.

    With the classes' probabilities p (a softmax), what is wanted of them q, weights w and K classes, a row costs

        sum over k of  w_k q'_k (1 - p_k)^gamma (-log p_k),    q' = (1 - label_smoothing) q + label_smoothing / K

    - q is 1 for a row's class, or a soft label: the raters' distribution, which makes it the cross-entropy with them.
    - label_smoothing: Szegedy et al. 2016 (arXiv 1512.00567), section 7, with the uniform distribution.
    - focal_gamma: Lin et al. 2017 (arXiv 1708.02002), equation 5, whose alpha are the class weights. It is stated for one
      class that is true; that each class of a soft or smoothed label has its own factor is ours.
    - class_weights, as in [`torch.nn.functional.cross_entropy`], weigh the terms of the sum. The mean divides by the
      weights of the rows' classes or, of soft labels, by the number of rows. Where no class of the batch weighs
      anything, it costs nothing.

    With gamma 0 it is what that function computes.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)` class ids, or `(batch, classes)` probabilities (soft labels).
        class_weights: one per class; None weighs all the same.
        label_smoothing: from 0 (none) to 1.
        focal_gamma: 0 (none) or more; the larger, the less an utterance counts of which the model is sure.
    """
    log_probabilities = logits.float().log_softmax(dim=-1)
    costs = -log_probabilities
    if focal_gamma:
        # Below gamma 1 the slope of the factor has no limit at 0, which a sure answer reaches in float32.
        doubts = (1.0 - log_probabilities.exp()).clamp(min=torch.finfo(torch.float32).eps)
        costs = costs * doubts**focal_gamma
    weights = torch.ones_like(costs[0])
    if class_weights is not None:
        weights = torch.tensor(class_weights, dtype=costs.dtype, device=costs.device)
        costs = costs * weights
    if labels.is_floating_point():
        wanted, total = (labels.float() * costs).sum(dim=-1), torch.full_like(weights[0], len(labels))
    else:
        wanted, total = costs.gather(-1, labels[:, None])[:, 0], weights[labels].sum()
    rows = (1.0 - label_smoothing) * wanted + label_smoothing * costs.mean(dim=-1)
    return rows.sum() / total.where(total > 0, torch.inf)
