"""The losses of dimensions: 1 minus the concordance correlation coefficient (Lin 1989), and the mean squared error."""

from collections.abc import Sequence

import torch

# Smallest denominator of the coefficient, for values that are 1 where the scale is: below it, a ratio of roundings.
LEAST = 1e-6


def dimension_loss(
    values: torch.Tensor, labels: torch.Tensor, scale: Sequence[float], kind: str = "ccc"
) -> torch.Tensor:
    """Return the mean loss of the dimensions over the known labels of a batch, in float32.

    With the values x and labels y of one dimension, shifted and scaled so that `scale` is from 0 to 1, means and
    variances over the rows with a label (divided by their number), the loss of the dimension is

        "ccc":  1 - 2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2)      Lin 1989, Biometrics 45, 255-268
        "mse":  mean((x - y)^2)

    A dimension with one known label, or with equal labels, has no correlation: its "ccc" loss is 1, with gradient zero.
    Dimensions without a known label are left out; if none has any, the loss is zero.

    Args:
        values: `(batch, dimensions)` in `scale`.
        labels: `(batch, dimensions)` in `scale`; NaN where unknown.
        scale: The lowest and the highest value.
        kind: `"ccc"` or `"mse"`.

    Returns:
        `()`, float32.

    Raises:
        ValueError: If values and labels differ in shape.
    """
    if values.shape != labels.shape:
        raise ValueError(
            f"The labels of the dimensions have the shape {list(labels.shape)} and the predictions {list(values.shape)}; "
            "give one number for each utterance and dimension."
        )
    known = ~labels.isnan()
    lowest, width = scale[0], scale[1] - scale[0]
    x = ((values.float() - lowest) / width).where(known, 0)
    y = ((labels.float() - lowest) / width).where(known, 0)
    costs = (concordance_costs if kind == "ccc" else squared_costs)(x, y, known)
    is_known = known.any(dim=0)
    return costs.where(is_known, 0).sum() / is_known.sum().clamp_min(1)


def concordance_costs(x: torch.Tensor, y: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return 1 minus the concordance correlation coefficient of each column.

    Args:
        x: `(rows, columns)`, zero where not known.
        y: The same.
        known: `(rows, columns)`, bool.

    Returns:
        `(columns,)`.
    """
    count = known.sum(dim=0).clamp_min(1)
    mean_x, mean_y = x.sum(dim=0) / count, y.sum(dim=0) / count
    from_x, from_y = (x - mean_x) * known, (y - mean_y) * known
    covariance = (from_x * from_y).sum(dim=0) / count
    variances = (from_x.square() + from_y.square()).sum(dim=0) / count
    return 1 - 2 * covariance / (variances + (mean_x - mean_y).square()).clamp_min(LEAST)


def squared_costs(x: torch.Tensor, y: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of each column; see `concordance_costs`."""
    return (x - y).square().sum(dim=0) / known.sum(dim=0).clamp_min(1)
