"""The loss of dimensions over a whole split, as a part of `EmotionTrainer`."""

from typing import Any

import numpy as np
import torch

from ..evaluation.task import task_of_config
from ..modeling.loss_concordance import dimension_loss
from .adapters.lora import unwrap_adapters


class SplitLossMixin:
    """Measures the loss of dimensions over all rows of a split at once.

    1 minus the concordance of a batch depends on its size, so that the mean over batches, which Trainer takes of every loss,
    would too. The other parts of the loss are means over rows.
    """

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None) -> tuple:
        """Return loss, outputs and labels of a batch; the loss is without that of the dimensions if outputs are collected."""
        loss, outputs, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        if loss is not None and outputs is not None:
            loss = loss - self._dimension_loss(outputs, labels).to(loss.device)
        return loss, outputs, labels

    def evaluation_loop(self, *args, metric_key_prefix="eval", **kwargs):
        """Return the outputs on a split, and its loss with that of the dimensions over all rows."""
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        name = f"{metric_key_prefix}_loss"
        if name in output.metrics and output.predictions is not None:
            output.metrics[name] += self._dimension_loss(output.predictions, output.label_ids).item()
        return output

    def _dimension_loss(self, outputs: Any, labels: Any) -> torch.Tensor:
        """Return the weighted loss of the dimensions; 0 for a model without them, and for a late fusion, whose loss nobody reads."""
        config = unwrap_adapters(self.model).config
        if not getattr(config, "dimensions", None) or hasattr(config, "member_configs"):
            return torch.zeros(())
        values, truth = task_of_config(config).pick_dimensions(outputs, labels)
        values, truth = (torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in (values, truth))
        weight = (config.loss_weights or {}).get("dimensions", 1.0)
        return weight * dimension_loss(values, truth, config.dimension_scale, config.dimension_loss)
