"""Whether a module may be computed from its weights instead of being called (ours).

Several forms here read the weights of modules and compute the same by other operations. What others have put into a module then
has no effect: adapters, hooks, pruning, quantisation, weights on another device. Such a module is called.
"""

from functools import cache

import torch
from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# A parametrised module computes its weight where it is read.
STOCK = ("transformers.models.", "transformers.activations", "torch.nn.modules.", "torch.nn.utils.parametriz")


def is_unchanged(module: nn.Module | None) -> bool:
    """Return whether a module is what torch or transformers made: without hooks, adapters, another `forward` or compilation."""
    return (
        module is not None
        and _is_stock(type(module))
        and not any(map(module.__dict__.get, HOOKS))
        and "forward" not in module.__dict__
        and module._compiled_call_impl is None
    )


def are_unchanged(module: nn.Module) -> bool:
    """Return whether a module and all its submodules are unchanged; see `is_unchanged`."""
    return all(map(is_unchanged, module.modules()))


def is_plain_linear(layer: nn.Module) -> bool:
    """Return whether a layer is a linear layer with a bias, unchanged, whose weight is a tensor of torch's own class."""
    return (
        type(layer) is nn.Linear
        and layer.bias is not None
        and is_unchanged(layer)
        and type(layer.weight) in (nn.Parameter, torch.Tensor)
    )


@cache
def _is_stock(module_class: type) -> bool:
    return module_class.__module__.startswith(STOCK)
