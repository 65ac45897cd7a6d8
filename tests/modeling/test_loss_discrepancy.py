"""Discrepancy learning, compared with a loop over triplets."""

import itertools

import pytest
import torch
from emofusion.modeling.loss_discrepancy import HomogeneousEncoder, discrepancy_loss
from testing_rows import rows_of
from torch.testing import assert_close

LABELS = torch.tensor([0, 1, 0, 2, 1, 1, 0])
MARGIN = 0.2


def batch(missing=()) -> torch.Tensor:
    embeddings = torch.randn(len(LABELS), 3, 5, generator=torch.Generator().manual_seed(0))
    for row, modality in missing:
        embeddings[row, modality] = 0
    return embeddings


def brute_force(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean over Omega = {(i, j, k): m_i != m_j, m_i = m_k, c_i = c_j, c_i != c_k}."""
    features = [
        (embeddings[row, modality], modality, labels[row].item())
        for row in range(len(embeddings))
        for modality in range(embeddings.shape[1])
        if embeddings[row, modality].any()
    ]
    hinges = []
    for (h_i, m_i, c_i), (h_j, m_j, c_j), (h_k, m_k, c_k) in itertools.product(features, repeat=3):
        if m_i != m_j and m_i == m_k and c_i == c_j and c_i != c_k:
            closer = torch.cosine_similarity(h_i, h_j, dim=0) - torch.cosine_similarity(h_i, h_k, dim=0)
            hinges.append((MARGIN - closer).clamp_min(0))
    return torch.stack(hinges).mean()


@pytest.mark.parametrize("missing", [(), [(0, 1), (3, 0), (4, 1), (4, 2), (5, 0)]])
def test_loss_is_mean_over_all_triplets(missing):
    embeddings = batch(missing).requires_grad_()
    loss, expected = discrepancy_loss(embeddings, LABELS, MARGIN), brute_force(embeddings, LABELS)
    assert expected > 0.1
    assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, embeddings)
    (expected_gradient,) = torch.autograd.grad(expected, embeddings)
    modality_mask = embeddings.any(dim=-1)
    assert_close(gradient[modality_mask], expected_gradient[modality_mask])
    assert (gradient[~modality_mask] == 0).all()


@pytest.mark.parametrize(
    ("embeddings", "labels"),
    [
        (batch(), torch.zeros_like(LABELS)),  # no other emotion
        (batch()[:, :1], LABELS),  # no other modality
        (batch([(row, modality) for row in range(7) for modality in (1, 2)]), LABELS),  # other modalities are missing
        (batch()[:1], LABELS[:1]),
    ],
)
def test_without_triplet_loss_and_gradient_are_zero(embeddings, labels):
    embeddings.requires_grad_()
    loss = discrepancy_loss(embeddings, labels, MARGIN)
    loss.backward()
    assert loss == 0
    assert (embeddings.grad == 0).all()


def test_loss_is_computed_in_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        loss = discrepancy_loss(batch(), LABELS, MARGIN)
    assert_close(loss, brute_force(batch(), LABELS))


def test_features_are_means_through_shared_layer():
    torch.manual_seed(0)
    encoder = HomogeneousEncoder({"audio": 4, "text": 4, "video": 2}, 4)
    states = {"audio": torch.randn(2, 6, 4), "text": torch.randn(2, 3, 4), "video": torch.randn(2, 5, 2)}
    masks = {name: torch.arange(value.shape[1]) < torch.tensor([[2], [3]]) for name, value in states.items()}
    rows = {name: rows_of(mask) for name, mask in masks.items()}
    embeddings = encoder({name: rows[name].pack(value) for name, value in states.items()}, rows)
    assert set(encoder.projections) == {"video"}
    for row, length in enumerate((2, 3)):
        for name in states:
            mean = states[name][row, :length].mean(dim=0)
            mean = encoder.projections[name](mean) if name == "video" else mean
            assert_close(embeddings[name][row], encoder.shared(mean))
