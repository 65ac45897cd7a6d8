"""Auxiliary classification heads, such as of the speaker's gender (ours)."""

import torch
from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig

SUFFIX = "_head"  # an `nn.ModuleDict` has methods, whose names cannot be keys


class AuxiliaryHeads(nn.ModuleDict):
    """A linear layer from the utterance embedding to the classes of each auxiliary label.

    Args:
        config: The configuration of a variant, with `auxiliary_labels`.
    """

    def __init__(self, config: EmoFusionConfig):
        heads = {
            name: nn.Linear(config.embedding_size, len(classes)) for name, classes in config.auxiliary_labels.items()
        }
        super().__init__({f"{name}{SUFFIX}": head for name, head in heads.items()})

    def forward(self, embedding: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the scores `(batch, classes)` by name for `(batch, embedding_size)`."""
        return {name.removesuffix(SUFFIX): head(embedding) for name, head in self.items()}
