"""Training and loading over several processes or devices."""

import torch
import torch.distributed as dist
from torch import nn

# Substrings of class names of layers that must not be wrapped on their own: convolutions of speech encoders, because their
# submodules are called one by one, and WavLM's layers, because the first computes the position bias for all.
NOT_WRAPPED = ("Conv", "WavLM")


class ShardingMixin:
    """Support for FSDP (through accelerate) and `device_map` in a `PreTrainedModel` that contains encoders of transformers.

    The classes of layers that must stay whole are collected from the modules, because some encoders name none, and
    others name classes that they do not have.
    """

    def post_init(self):
        """Initialise the weights and collect the classes of layers that must not be split over devices."""
        # Imported here because this module may be loaded while transformers still loads that one.
        from transformers.modeling_layers import GradientCheckpointingLayer

        super().post_init()
        names = {type(module).__name__ for module in self.modules() if isinstance(module, GradientCheckpointingLayer)}
        self._no_split_modules = {name for name in names if not any(part in name for part in NOT_WRAPPED)}

    def get_input_embeddings(self) -> nn.Module | None:
        """Return the token embeddings, or None if there are none."""
        if hasattr(self, "text_encoder"):
            return self.text_encoder.get_input_embeddings()
        try:
            return super().get_input_embeddings()
        except NotImplementedError:
            return None


def gather_rows(values: torch.Tensor) -> torch.Tensor:
    """Return the rows of all processes in the order of the processes; with one process, return `values`.

    A loss over the gathered rows is the loss of the whole batch, and equal in all processes. Its gradient reaches only
    the rows of this process, multiplied by the number of processes. Distributed training averages gradients over
    processes, so the result is the gradient of the whole batch.

    Args:
        values: `(rows, ...)`; the number of rows may differ between processes.

    Returns:
        `(rows of all processes, ...)`.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    world, rank = dist.get_world_size(), dist.get_rank()
    count = torch.tensor([len(values)], device=values.device)
    counts = [torch.zeros_like(count) for _ in range(world)]
    dist.all_gather(counts, count)
    longest = int(max(counts))
    padded = values.new_zeros(longest, *values.shape[1:])
    padded[: len(values)] = values.detach()
    gathered = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(gathered, padded)
    parts = [part[: int(number)] for part, number in zip(gathered, counts, strict=True)]
    if values.requires_grad:
        parts[rank] = parts[rank] + world * (values - values.detach())
    return torch.cat(parts)
