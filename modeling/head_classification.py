"""The layers of a head, and the classification head."""

from collections import OrderedDict

from torch import nn

from ..configuration.configuration_emofusion import EmoFusionConfig


def hidden_layers(config: EmoFusionConfig) -> OrderedDict[str, nn.Module]:
    """Return the layers of a head before its outputs, by name: a hidden ReLU layer if `classifier_proj_size` is given.

    Args:
        config: The configuration of a variant.
    """
    if config.classifier_proj_size is None:
        return OrderedDict()
    return OrderedDict(
        projection=nn.Linear(config.embedding_size, config.classifier_proj_size),
        activation=nn.ReLU(),
        dropout=nn.Dropout(config.classifier_dropout),
    )


def build_classification_head(config: EmoFusionConfig) -> nn.Module:
    """Return a linear layer from the utterance embedding to the logits, or two with a ReLU (`classifier_proj_size`).

    Args:
        config: The configuration of a variant.

    Returns:
        A module from `(batch, embedding_size)` to `(batch, classes)`.
    """
    hidden = hidden_layers(config)
    output = nn.Linear(config.classifier_proj_size or config.embedding_size, config.num_labels)
    return nn.Sequential(OrderedDict(**hidden, output=output)) if hidden else output
