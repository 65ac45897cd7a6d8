"""The visual encoder on padded films against its equations on each film alone."""

import pytest
import torch
from emofusion.modeling.fusion_recurrent_attention import RecurrentAttention
from emofusion.modeling.fusion_visual_center import LearnableVisualCenter, VisualBranch
from torch import nn
from torch.testing import assert_close

LENGTHS = (6, 1, 4)
BRANCH = {"num_attention_heads": 2, "attention_dropout": 0.0, "hidden_dropout": 0.0, "layer_norm_eps": 1e-5}


@pytest.fixture
def films():
    states = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    return states.masked_fill(~mask.unsqueeze(-1), 50.0), mask


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def center_of(center: LearnableVisualCenter, film: torch.Tensor) -> torch.Tensor:
    """The equations of the docstring, codeword by codeword and frame by frame."""
    residuals = []
    for k in range(len(center.codewords)):
        total = torch.zeros(film.shape[1])
        for frame in film:
            logits = torch.stack(
                [
                    scale * (frame - word).square().sum()
                    for scale, word in zip(center.scales, center.codewords, strict=True)
                ]
            )
            total = total + logits.softmax(dim=0)[k] * (frame - center.codewords[k])
        residuals.append(center.layer_norm(total / len(film)).relu())
    gate = center.gate(torch.stack(residuals).mean(dim=0)).sigmoid()
    return film + film * gate


def test_the_center_gates_a_films_channels_by_what_it_holds_as_a_whole(films):
    states, mask = films
    center = randomised(LearnableVisualCenter(8, 5, 1e-5))
    answers = center(states, mask)
    assert answers.shape == states.shape
    for row, length in enumerate(LENGTHS):
        assert_close(answers[row, :length], center_of(center, states[row, :length]), atol=1e-5, rtol=1e-5)


def test_the_shares_of_the_codewords_fall_with_their_distance(films):
    center = LearnableVisualCenter(8, 5, 1e-5)
    nn.init.normal_(center.codewords)
    nn.init.constant_(center.scales, -1.0)
    frames = center.codewords.detach().unsqueeze(0)  # each lies upon a codeword
    shares = center.assign(frames)[0]
    assert_close(shares.sum(dim=-1), torch.ones(5))
    assert shares.argmax(dim=-1).tolist() == [0, 1, 2, 3, 4]


def test_a_gru_reads_each_row_from_both_its_ends_and_then_attends(films):
    states, mask = films
    branch = randomised(RecurrentAttention(8, 12, **BRANCH))
    answers = branch(states, mask)
    assert answers.shape == (3, 6, 12)
    for row, length in enumerate(LENGTHS):
        outputs, _ = branch.gru(states[row : row + 1, :length])
        attended, _ = branch.self_attention(outputs, outputs, torch.ones(1, length, dtype=torch.bool))
        assert_close(answers[row, :length], attended[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("num_codewords", "recurrent"), [(5, 8), (0, 16)])
def test_both_parts_stand_side_by_side_or_one_is_as_wide_as_both(films, num_codewords, recurrent):
    states, mask = films
    encoder = randomised(VisualBranch(8, 16, num_codewords, **BRANCH))
    answers = encoder(states, mask)
    assert answers.shape == (3, 6, 16)
    assert_close(answers[..., :recurrent], encoder.recurrent_attention(states, mask))
    if num_codewords:
        assert_close(answers[..., recurrent:], encoder.visual_center(encoder.projection(states), mask))
    else:
        assert {name.split(".")[0] for name, _ in encoder.named_parameters()} == {"recurrent_attention"}
