"""The classification head."""

from collections import OrderedDict

from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig


def build_classification_head(config: EmoFusionConfig) -> nn.Module:
    """Return a linear layer from the utterance embedding to the logits, or two with a ReLU (`classifier_proj_size`).

    Args:
        config: The configuration of a variant.

    Returns:
        A module from `(batch, embedding_size)` to `(batch, classes)`.
    """
    if config.classifier_proj_size is None:
        return nn.Linear(config.embedding_size, config.num_labels)
    return nn.Sequential(
        OrderedDict(
            projection=nn.Linear(config.embedding_size, config.classifier_proj_size),
            activation=nn.ReLU(),
            dropout=nn.Dropout(config.classifier_dropout),
            output=nn.Linear(config.classifier_proj_size, config.num_labels),
        )
    )
