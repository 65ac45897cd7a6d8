"""Layouts of rows for tests of fusion layers."""

import torch
from emofusion.modeling.modeling_rows import Rows


def rows_of(mask: torch.Tensor) -> Rows:
    """Return the layout of a mask `(batch, positions)`, ones first."""
    return Rows(mask.sum(dim=1).tolist(), mask.device)


def on_padded(module, states: torch.Tensor, mask: torch.Tensor, *others) -> torch.Tensor:
    """Return the padded result of a layer from packed states to packed states."""
    rows = rows_of(mask)
    result = module(rows.pack(states), rows, *others)
    return rows.pad(result[0] if isinstance(result, tuple) else result)
