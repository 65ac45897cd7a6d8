"""The ResNet and its masked batch normalisation, compared with torch and transformers."""

import pytest
import torch
from emofusion.modeling.encoder_resnet import BasicBlock, MaskedBatchNorm2d, ResNet
from torch import nn
from torch.testing import assert_close


def randomised(module):
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
    return module


@pytest.fixture
def states():
    return torch.randn(3, 4, 5, 12, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_without_padding_equals_batch_norm(states):
    ours, reference = MaskedBatchNorm2d(4), nn.BatchNorm2d(4)
    nn.init.normal_(ours.weight), nn.init.normal_(ours.bias)
    reference.load_state_dict(ours.state_dict())
    mask = torch.ones(3, 12, dtype=torch.bool)
    for _ in range(3):
        assert_close(ours(states, mask), reference(states))
    assert_close(ours.state_dict(), reference.state_dict())
    assert_close(ours.eval()(states, mask), reference.eval()(states))


def test_padding_is_not_counted(states):
    mask = torch.arange(12) < torch.tensor([12, 3, 0])[:, None]
    valid = torch.cat([states[0], states[1, :, :, :3]], dim=-1)[None]
    ours, reference = MaskedBatchNorm2d(4), nn.BatchNorm2d(4)
    expected = reference(valid)[0]
    for filler in (0.0, 100.0):
        padded = torch.where(mask[:, None, None], states, filler)
        out = ours(padded, mask)
        assert_close(torch.cat([out[0], out[1, :, :, :3]], dim=-1), expected)
    ours.reset_running_stats()
    ours(states, mask)
    assert_close(ours.running_mean, reference.running_mean)
    assert_close(ours.running_var, reference.running_var)


def test_batch_without_audio_updates_no_statistics(states):
    norm = MaskedBatchNorm2d(4)
    norm(states, torch.ones(3, 12, dtype=torch.bool))
    before = {name: value.clone() for name, value in norm.state_dict().items() if "running" in name}
    assert norm(states, torch.zeros(3, 12, dtype=torch.bool)).isfinite().all()
    assert_close({name: value for name, value in norm.state_dict().items() if "running" in name}, before)


def test_block_equals_that_of_transformers(states):
    modeling = pytest.importorskip("transformers.models.resnet.modeling_resnet")
    for stride in (1, 2):
        theirs = randomised(modeling.ResNetBasicLayer(4, 8, stride))
        ours = BasicBlock(4, 8, stride)
        names = {
            "first.conv": "layer.0.convolution",
            "first.norm": "layer.0.normalization",
            "second.conv": "layer.1.convolution",
            "second.norm": "layer.1.normalization",
            "shortcut.conv": "shortcut.convolution",
            "shortcut.norm": "shortcut.normalization",
        }
        for mine, other in names.items():
            ours.get_submodule(mine).load_state_dict(theirs.get_submodule(other).state_dict())
        mask = torch.ones(3, 12 // stride, dtype=torch.bool)
        for mode in (True, False):
            assert_close(ours.train(mode)(states, mask), theirs.train(mode)(states.clone()))


def test_default_trunk_is_resnet_34():
    with torch.device("meta"):
        trunk = ResNet([32, 64, 128, 256], [3, 4, 6, 3])
    convolutions = [module for module in trunk.modules() if isinstance(module, nn.Conv2d)]
    assert sum(module.kernel_size == (3, 3) for module in convolutions) == 33  # and a linear layer
    assert [module.stride for module in convolutions if module.kernel_size == (1, 1)] == [(2, 2)] * 3


def test_frames_follow_strides_and_rows_are_independent():
    torch.manual_seed(0)
    trunk = randomised(ResNet([4, 6, 8], [1, 2, 1])).eval()
    lengths = torch.tensor([13, 8, 1, 0])
    mask = torch.arange(20) < lengths[:, None]
    states = torch.randn(4, 20, 10) * mask.unsqueeze(-1)
    embedded = trunk.run_stem(states, mask)
    together, frames, all_states = trunk.run_stages(embedded, mask, 0, 3)
    assert [state.shape for state in all_states] == [(4, 20, 40), (4, 20, 40), (4, 10, 30), (4, 5, 24)]
    assert frames.sum(dim=1).tolist() == [4, 2, 1, 0]
    assert (together[~frames] == 0).all()
    for row in range(3):
        cut = states[row : row + 1, : lengths[row]]
        own_mask = torch.ones(1, lengths[row], dtype=torch.bool)
        alone, own, _ = trunk.run_stages(trunk.run_stem(cut, own_mask), own_mask, 0, 3)
        assert_close(together[row][frames[row]], alone[0][own[0]], atol=1e-5, rtol=0)
    for stop in range(4):
        partway, part_mask, _ = trunk.run_stages(embedded, mask, 0, stop)
        assert_close(trunk.run_stages(partway, part_mask, stop, 3)[0], together)
