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
        embeddings = {}
        for name, value in states.items():
            mean = masked_mean(value, rows[name])
            mean = self.projections[name](mean) if name in self.projections else mean
            embeddings[name] = self.shared(mean)
        return embeddings


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
    modality_mask = embeddings.any(dim=-1)
    vectors = F.normalize(embeddings.float(), dim=-1)
    same = labels[:, None] == labels
    total, count = 0.0, 0
    for modality in range(vectors.shape[1]):
        anchors, anchor_mask = vectors[:, modality], modality_mask[:, modality]
        across = torch.einsum("ih,jmh->ijm", anchors, _without(vectors, modality)).flatten(1)
        is_positive = (same.unsqueeze(-1) & _without(modality_mask, modality)).flatten(1) & anchor_mask[:, None]
        within = anchors @ anchors.T
        is_negative = ~same & anchor_mask
        triplets = is_positive.unsqueeze(2) & is_negative.unsqueeze(1)  # (i, j, k)
        hinges = (margin - across.unsqueeze(2) + within.unsqueeze(1)).clamp_min(0)
        total = total + (hinges * triplets).sum()
        count = count + triplets.sum()
    return total / count.clamp_min(1)


def _without(values: torch.Tensor, modality: int) -> torch.Tensor:
    return torch.cat([values[:, :modality], values[:, modality + 1 :]], dim=1)
