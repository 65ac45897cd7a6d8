"""The head of dimensions (ours)."""

import torch
from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig
from .head_classification import hidden_layers


class DimensionHead(nn.Module):
    """A head whose outputs are values in the scale of the dimensions.

    Its layers compute in units of half the scale around the centre, so that a new head starts near the centre, and a
    trained one is as useful in another scale. Each dimension has an output layer of its name, so that a model with others,
    or in another order, loads those that it has. Values may lie outside of the scale.

    Args:
        config: The configuration of a variant, with `dimensions`.
    """

    def __init__(self, config: EmoFusionConfig):
        super().__init__()
        self.hidden = nn.Sequential(hidden_layers(config))
        width = config.classifier_proj_size or config.embedding_size
        self.outputs = nn.ModuleDict({name: nn.Linear(width, 1) for name in config.dimensions})
        self.lowest, self.highest = config.dimension_scale

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Return `(batch, dimensions)` for an embedding `(batch, embedding_size)`.

        They are in float32, whatever the dtype of the layers: steps of bfloat16 are 0.03 above 4.
        """
        hidden = self.hidden(embedding)
        units = torch.cat([output(hidden) for output in self.outputs.values()], dim=-1).float()
        return (self.lowest + self.highest) / 2 + (self.highest - self.lowest) / 2 * units
