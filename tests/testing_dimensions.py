"""What models that learn dimensions add to the miniature models: fields, and labels of a batch."""

import torch
from transformers import PreTrainedConfig

# Fields of a model of dimensions alone, and of one of classes and dimensions.
DIMENSIONS = {
    "problem_type": "regression",
    "dimensions": ["arousal", "valence", "dominance"],
    "dimension_scale": [1.0, 7.0],
}
BOTH = {"dimensions": ["valence", "arousal"], "loss_weights": {"dimensions": 0.5}}


def with_dimension_labels(batch: dict[str, torch.Tensor], config: PreTrainedConfig) -> dict[str, torch.Tensor]:
    """Return a batch with labels for a model that learns dimensions, some of them and a class unknown."""
    rows, (lowest, highest) = len(batch["labels"]), config.dimension_scale
    random = torch.Generator().manual_seed(2)
    values = lowest + (highest - lowest) * torch.rand(rows, len(config.dimensions), generator=random)
    values[0, 0] = torch.nan
    if config.is_regression:
        return batch | {"labels": values}
    classes = batch["labels"].clone()
    classes[-1] = -100
    return batch | {"labels": classes, "dimension_labels": values}
