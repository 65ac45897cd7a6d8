"""Attributes of objects that hold only for a while, and the dtype of weights over an evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def weights_kept(model: torch.nn.Module) -> Iterator[None]:
    """Put weights and buffers back after the context: with `bf16_full_eval` Trainer rounds the model and leaves it so."""
    weights = [(parameter, parameter.data) for parameter in model.parameters()]
    buffers = [(module, dict(module._buffers)) for module in model.modules()]
    try:
        yield
    finally:
        for parameter, data in weights:
            if parameter.dtype != data.dtype:
                parameter.data = data
        for module, kept in buffers:
            module._buffers.update(kept)


@contextmanager
def replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute inside the context.

    Args:
        target: The object.
        name: The attribute.
        value: Its value inside.
    """
    before = getattr(target, name)
    setattr(target, name, value)
    try:
        yield
    finally:
        setattr(target, name, before)
