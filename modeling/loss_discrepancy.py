"""Multimodal homogeneous feature discrepancy learning (Li 2024, arXiv 2412.05558)."""

import torch
import torch.nn.functional as F
from torch import nn

from .fusion_pooling import masked_mean
from .modeling_rows import Rows


class HomogeneousEncoder(nn.Module):
    """One linear encoder, shared by all modalities, for comparable unfused features.

    The shared linear encoder is from a third party's notes of the paper. The mean over time, and the linear
    projections of modalities of another width, are ours.

    Args:
        sizes: The width of each modality.
        hidden_size: The width of the shared encoder.
    """

    def __init__(self, sizes: dict[str, int], hidden_size: int):
        super().__init__()
        self.projections = nn.ModuleDict(
            {name: nn.Linear(size, hidden_size) for name, size in sizes.items() if size != hidden_size}
        )
        self.shared = nn.Linear(hidden_size, hidden_size)

    def forward(self, states: dict[str, torch.Tensor], rows: dict[str, Rows]) -> dict[str, torch.Tensor]:
        """Map the packed states of each modality, with the layout of its rows, to `(batch, hidden_size)`."""
        means = {name: masked_mean(value, rows[name]) for name, value in states.items()}
        means |= {name: projection(means[name]) for name, projection in self.projections.items()}
        return dict(zip(means, self.shared(torch.stack(list(means.values()))).unbind(), strict=True))


def discrepancy_loss(embeddings: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """Return a margin loss: the same emotion across modalities should be closer than different emotions in one modality.

        Omega = {(i, j, k): m_i != m_j, m_i = m_k, c_i = c_j, c_i != c_k}
        L = 1/|Omega| sum_Omega max(0, margin - cos(H_i, H_j) + cos(H_i, H_k))

    Args:
        embeddings: H, `(batch, modalities, hidden)`; zero where a row lacks the modality, which is then left out.
        labels: `(batch,)` class ids c.
        margin: The paper's theta.

    Returns:
        `()`, float32; zero, with zero gradient, if the batch has no such triplet.
    """
    sizes = embeddings.shape[:2]
    has_modality, numbers = embeddings.any(dim=-1), torch.arange(sizes[1], device=embeddings.device)
    vectors = F.normalize(embeddings.float(), dim=-1).flatten(0, 1)
    with torch.autocast(vectors.device.type, enabled=False):
        cosines = (vectors @ vectors.T).view(*sizes, *sizes)  # (i, m_i, j, m_j)
    same = labels[:, None] == labels
    is_positive = same[:, None, :, None] & has_modality[:, :, None, None] & has_modality
    is_positive = is_positive & (numbers[:, None, None] != numbers)
    is_negative = ~same[:, None] & has_modality.T  # (i, m_i, k)
    # Infinities make the hinge of any other triplet zero.
    across = cosines.masked_fill(~is_positive, torch.inf)
    within = cosines.diagonal(dim1=1, dim2=3).transpose(1, 2).masked_fill(~is_negative, -torch.inf)
    hinges = (margin - across[..., None] + within[:, :, None, None]).relu_()
    count = (is_positive.sum(dim=(2, 3)) * is_negative.sum(dim=2)).sum()
    return hinges.sum() / count.clamp_min(1)
