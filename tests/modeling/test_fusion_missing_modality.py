"""Learned frames in place of missing modalities."""

import pytest
import torch
from emofusion.modeling.fusion_missing_modality import MissingModalityEmbeddings
from emofusion.modeling.modeling_rows import Rows
from torch.testing import assert_close

ROWS = {name: Rows(lengths, torch.device("cpu")) for name, lengths in {"audio": (4, 2), "text": (3, 1)}.items()}
OWNED = {"audio": (True, True), "text": (True, False)}


@pytest.fixture
def embeddings():
    module = MissingModalityEmbeddings({"audio": 5, "text": 6, "video": 7})
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def test_rows_and_batches_without_a_modality_get_its_learned_frame(embeddings):
    states = {"audio": torch.randn(2, 4, 5), "text": torch.randn(2, 3, 6)}
    filled, rows, is_own = embeddings(states, ROWS, OWNED, dropout=0.0)
    assert {name: layout.lengths for name, layout in rows.items()} == {
        "audio": (4, 2),
        "text": (3, 1),
        "video": (1, 1),
    }
    assert is_own == {"audio": (True, True), "text": (True, False), "video": (False, False)}
    assert_close(filled["audio"], states["audio"])
    assert_close(filled["text"][0], states["text"][0])
    assert_close(filled["text"][1, 0], embeddings.text.detach())
    assert_close(filled["video"], embeddings.video.detach().expand(2, 1, 7))


def test_every_learned_frame_has_a_gradient_in_training(embeddings):
    """DDP waits for the gradient of every parameter."""
    states = {"audio": torch.randn(2, 4, 5, requires_grad=True), "text": torch.randn(2, 3, 6)}
    filled, _, _ = embeddings(states, ROWS, OWNED, dropout=0.0)
    sum(value.sum() for value in filled.values()).backward()
    assert_close(embeddings.audio.grad, torch.zeros(5))
    assert_close(embeddings.text.grad, torch.full((6,), 3.0))
    assert_close(embeddings.video.grad, torch.full((7,), 2.0))
    assert_close(states["audio"].grad, torch.ones(2, 4, 5))


def test_states_are_not_copied_without_gradients(embeddings):
    states = {"audio": torch.randn(2, 4, 5)}
    with torch.no_grad():
        assert embeddings(states, ROWS, OWNED, dropout=0.0)[0]["audio"] is states["audio"]
