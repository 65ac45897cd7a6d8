"""Gradients of all parameters in distributed training, for a batch that lacks a modality (ours)."""

from collections.abc import Iterable, Mapping

import torch

from ..configuration.modalities import MODALITIES


def lacks_modality(inputs: Mapping, modalities: Iterable[str]) -> bool:
    """Whether a batch has no row with one of the modalities."""
    encoded = inputs.get("encoded")
    if encoded is not None:
        return any(encoded.get(modality) is None for modality in modalities)
    return any(MODALITIES[modality].main_input not in inputs for modality in modalities)


def with_all_parameters(loss: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    """Return the loss plus zero times every trainable parameter.

    In distributed training the processes wait for each other's gradients, and an encoder has none for a batch without its
    modality. With this term it has, and DDP need not search for unused parameters in every step.
    """
    return loss + 0.0 * sum(parameter.sum() for parameter in model.parameters() if parameter.requires_grad)
