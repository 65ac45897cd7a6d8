"""The rows of a batch that is spread over several processes."""

import torch
import torch.distributed as dist


def gather_rows(values: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, in the order of the processes; as they are where there is only one.

    A loss over the gathered rows is that of the whole batch, and the same number everywhere. Its gradient reaches only
    the process's own rows, multiplied by the number of processes: so their average, which distributed training takes,
    is the gradient of the whole batch.

    Args:
        values: `(rows, ...)`; the number of rows may differ between processes.
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
