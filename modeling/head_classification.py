"""The layers of a head, and the classification head."""

from collections import OrderedDict

from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig


def build_head(config: EmoFusionConfig, outputs: int) -> nn.Module:
    """Return a linear layer from the utterance embedding, or two with a ReLU (`classifier_proj_size`).

    Args:
        config: The configuration of a variant.
        outputs: The number of outputs.

    Returns:
        A module from `(batch, embedding_size)` to `(batch, outputs)`.
    """
    if config.classifier_proj_size is None:
        return nn.Linear(config.embedding_size, outputs)
    return nn.Sequential(
        OrderedDict(
            projection=nn.Linear(config.embedding_size, config.classifier_proj_size),
            activation=nn.ReLU(),
            dropout=nn.Dropout(config.classifier_dropout),
            output=nn.Linear(config.classifier_proj_size, outputs),
        )
    )


def build_classification_head(config: EmoFusionConfig) -> nn.Module:
    """Return a module from `(batch, embedding_size)` to `(batch, classes)`; see `build_head`."""
    return build_head(config, config.num_labels)
