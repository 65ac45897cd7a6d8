"""The loss of a model: its named parts, their weights, and the rows that they span."""

from collections.abc import Mapping

import torch

from ..configuration.configuration_emofusion import EmoFusionConfig
from .distributed import gather_rows
from .loss_classification import classification_loss
from .loss_concordance import dimension_loss
from .modeling_outputs import EmotionOutput

# Keys of a batch that hold labels, besides `labels`.
OTHER_LABELS = ("dimension_labels", "auxiliary_labels")


class LossesMixin:
    """The loss of an [`EmoFusionForSequenceClassification`]. A variant adds parts in `loss_parts`.

    Labels are `labels` and, for a model of classes and dimensions, `dimension_labels` `(batch, dimensions)`: values in its
    scale, NaN where unknown. A model with auxiliary heads takes `auxiliary_labels`, class ids or probabilities by name, as
    `labels`; without them these heads do not run. Any of them may be left out.
    """

    config: EmoFusionConfig

    def losses(self, output: EmotionOutput, labels: Mapping[str, torch.Tensor | None]) -> dict[str, torch.Tensor]:
        """Return the parts of the loss in float32, each multiplied by its weight in `loss_weights`.

        Args:
            output: The output of the model and its heads.
            labels: The keys of the batch that hold labels; see `forward`.
        """
        weights = self.config.loss_weights or {}
        parts = self.loss_parts(output, labels)
        return {name: weights[name] * part if name in weights else part for name, part in parts.items()}

    def loss_parts(self, output: EmotionOutput, labels: Mapping[str, torch.Tensor | None]) -> dict[str, torch.Tensor]:
        """Return the parts of the loss whose labels are given, without their weights.

        Args:
            output: Output of the model.
            labels: Labels by the name of the argument of `forward`, None where they are unknown.
        """
        config, parts = self.config, {}
        classes, values = labels["labels"], labels["dimension_labels"]
        if config.is_regression:
            classes, values = None, classes
        if classes is not None:
            logits, targets = self._gather(output.logits, classes)
            parts["cross_entropy"] = classification_loss(
                logits, targets, config.class_weights, config.label_smoothing, config.focal_gamma
            )
        if values is not None and config.dimensions:
            predicted, targets = self._gather(output.logits if config.is_regression else output.dimensions, values)
            parts["dimensions"] = dimension_loss(predicted, targets, config.dimension_scale, config.dimension_loss)
        for name, scores in (output.auxiliary_logits or {}).items():
            parts[f"auxiliary_{name}"] = classification_loss(*self._gather(scores, labels["auxiliary_labels"][name]))
        return parts

    def _gather(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the rows of all processes in training, for losses that are normalised over the whole batch."""
        return tuple(map(gather_rows, values)) if self.training else values
