"""Mixup of the rows of a batch (Zhang 2018, arXiv 1710.09412)."""

from collections.abc import Mapping, Sequence

import torch


def mix_rows(values: torch.Tensor, mixup: Mapping[str, Sequence]) -> torch.Tensor:
    """Return `share * row + (1 - share) * partner` for every row.

    Args:
        values: `(batch, ...)`.
        mixup: `partners`, the number of another row for each row, and `shares`, from 0 to 1; both on the host.

    Raises:
        ValueError: If they are of another number of rows, as under `nn.DataParallel`, which divides tensors only.
    """
    partners, shares = mixup["partners"], mixup["shares"]
    if not len(partners) == len(shares) == len(values):
        raise ValueError(
            f"mixup is for {len(partners)} rows, and the batch has {len(values)}; on several GPUs start one process for "
            "each, with accelerate launch."
        )
    index = torch.tensor(partners).to(values.device, non_blocking=True)
    own = torch.tensor(shares).to(values.device, values.dtype, non_blocking=True).view(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values.index_select(0, index)
