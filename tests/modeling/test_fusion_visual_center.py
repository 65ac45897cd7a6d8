"""WavFusion's video branch on a padded batch, compared with its equations on each video."""

import pytest
import torch
from emofusion.modeling.fusion_recurrent_attention import RecurrentAttention
from emofusion.modeling.fusion_visual_center import LearnableVisualCenter, VisualBranch
from testing_rows import on_padded, rows_of
from torch import nn
from torch.testing import assert_close

LENGTHS = (6, 1, 4)
BRANCH = {"num_attention_heads": 2, "attention_dropout": 0.0, "hidden_dropout": 0.0, "layer_norm_eps": 1e-5}


@pytest.fixture
def videos():
    states = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    return states.masked_fill(~mask.unsqueeze(-1), 50.0), mask


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def center_of(center: LearnableVisualCenter, video: torch.Tensor) -> torch.Tensor:
    """The equations of the docstring, codeword by codeword and frame by frame."""
    residuals = []
    for k in range(len(center.codewords)):
        total = torch.zeros(video.shape[1])
        for frame in video:
            logits = torch.stack(
                [
                    scale * (frame - word).square().sum()
                    for scale, word in zip(center.scales, center.codewords, strict=True)
                ]
            )
            total = total + logits.softmax(dim=0)[k] * (frame - center.codewords[k])
        residuals.append(center.layer_norm(total / len(video)).relu())
    gate = center.gate(torch.stack(residuals).mean(dim=0)).sigmoid()
    return video + video * gate


def test_center_equals_its_equations(videos):
    states, mask = videos
    center = randomised(LearnableVisualCenter(8, 5, 1e-5))
    outputs = on_padded(center, states, mask)
    assert outputs.shape == states.shape
    for row, length in enumerate(LENGTHS):
        assert_close(outputs[row, :length], center_of(center, states[row, :length]), atol=1e-5, rtol=1e-5)


def test_nearest_codeword_has_largest_share(videos):
    center = LearnableVisualCenter(8, 5, 1e-5)
    nn.init.normal_(center.codewords)
    nn.init.constant_(center.scales, -1.0)
    frames = center.codewords.detach().unsqueeze(0)  # each equals a codeword
    shares = center.assign(frames)[0]
    assert_close(shares.sum(dim=-1), torch.ones(5))
    assert shares.argmax(dim=-1).tolist() == [0, 1, 2, 3, 4]


def test_recurrent_attention_is_bidirectional_per_row(videos):
    states, mask = videos
    branch = randomised(RecurrentAttention(8, 12, **BRANCH))
    outputs = on_padded(branch, states, mask)
    assert outputs.shape == (3, 6, 12)
    for row, length in enumerate(LENGTHS):
        states_of_gru, _ = nn.GRU.forward(branch.gru, states[row : row + 1, :length])
        alone = rows_of(torch.ones(1, length, dtype=torch.bool))
        attended, _ = branch.self_attention(states_of_gru, alone, states_of_gru, alone)
        assert_close(outputs[row, :length], attended[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("num_codewords", "recurrent"), [(5, 8), (0, 16)])
def test_branch_concatenates_its_parts(videos, num_codewords, recurrent):
    states, mask = videos
    branch = randomised(VisualBranch(8, 16, num_codewords, **BRANCH))
    outputs = on_padded(branch, states, mask)
    assert outputs.shape == (3, 6, 16)
    assert_close(outputs[..., :recurrent], on_padded(branch.recurrent_attention, states, mask))
    if num_codewords:
        assert_close(outputs[..., recurrent:], on_padded(branch.visual_center, branch.projection(states), mask))
    else:
        assert {name.split(".")[0] for name, _ in branch.named_parameters()} == {"recurrent_attention"}
