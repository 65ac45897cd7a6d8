"""Adapters in a model: loading them completely or not at all, whichever library loads them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from torch import nn

from ..configuration.plain_text import show_some
from .modeling_checkpoint import count_weights


class AdapterLoadingMixin:
    """Checks of adapters for a `PreTrainedModel`. peft loads what a file has, and leaves the other weights as they are."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_load_state_dict_pre_hook(refuse_incomplete_adapters)

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether activations are checkpointed. peft reads this name, which transformers deprecates with a warning."""
        return any(getattr(module, "gradient_checkpointing", False) for module in self.modules())


def refuse_incomplete_adapters(module: nn.Module, state_dict: Mapping, prefix: str, *_) -> None:
    """Check, before weights are loaded into a model with adapters, that they are all the weights of these adapters.

    Args:
        module: The model that adapters are in.
        state_dict: The weights to load.
        prefix: The name of the model in them.
        *_: Other arguments of the hook, which are not used.

    Raises:
        ValueError: If weights of an adapter are missing, or the model has no place for some.
    """
    weights = dict([*module.named_parameters(), *module.named_buffers()])
    known = _by_adapter(weights)
    if not known:
        return
    given = {key.removeprefix(prefix): weight for key, weight in state_dict.items() if key.startswith(prefix)}
    if not given:
        raise ValueError("The file of weights of the adapters has none of this model; save the adapters again.")
    for adapter, names in _by_adapter(given).items():
        wanted = known.get(adapter, set())
        problems = {
            "lacks": wanted - names,
            "does not have the shape of": {
                name for name in wanted & names if weights[name].shape != given[name].shape
            },
            "has no floating-point numbers in": {
                name for name in wanted & names if not given[name].is_floating_point()
            },
            "has, unlike the model,": names - wanted,
        }
        for problem, wrong in problems.items():
            if wrong:
                raise ValueError(
                    f"The file of weights of the adapters {problem} {count_weights(wrong)} ({show_some(wrong)}): it does not belong to "
                    "their configuration."
                )


def _by_adapter(names: Iterable[str]) -> dict[str, set[str]]:
    """Return the names of the weights of each adapter.

    They are its matrices, `...lora_A.<adapter>.weight`, and modules that it trains fully, `...modules_to_save.<adapter>...`.
    """
    found = defaultdict(set)
    for name in names:
        parts = name.split(".")
        for part, after in pairwise(parts):
            if part.startswith("lora_") or part == "modules_to_save":
                found[after].add(name)
                break
    return found
