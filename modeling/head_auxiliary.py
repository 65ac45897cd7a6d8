"""Auxiliary classification heads, such as of the speaker's gender (ours)."""

from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig

SUFFIX = "_head"  # a `ModuleDict` has methods, whose names cannot be keys


def build_auxiliary_heads(config: EmoFusionConfig) -> nn.ModuleDict:
    """Return a linear layer from the utterance embedding to the classes of each auxiliary label, by name and `SUFFIX`.

    Args:
        config: The configuration of a variant.
    """
    classes = config.auxiliary_labels or {}
    return nn.ModuleDict(
        {f"{name}{SUFFIX}": nn.Linear(config.embedding_size, len(names)) for name, names in classes.items()}
    )
