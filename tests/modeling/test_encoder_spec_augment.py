"""SpecAugment on encoder states."""

import pytest
import torch
from emofusion.modeling.encoder_spec_augment import masks_frames, random_spans, spec_augment
from emofusion.modeling.modeling_rows import Rows
from testing_common import DATA2VEC, WAV2VEC2_GROUP
from torch.testing import assert_close
from transformers import AutoConfig


@pytest.mark.parametrize("seed", range(3))
def test_random_spans_stay_inside_row_with_expected_share(seed):
    torch.manual_seed(seed)
    lengths, span = torch.tensor([500] * 40 + [200] * 40 + [10] * 10 + [9] * 10), 10
    mask = random_spans(lengths, 600, 0.3, span, 2)
    assert mask.shape == (100, 600)
    assert not mask[torch.arange(600) >= lengths[:, None]].any()
    assert not mask[90:].any()  # shorter than a span
    assert mask[80:90, :10].all()  # as long as one
    # With overlaps, a share p of independent spans covers about 1 - exp(-p).
    for rows, length in ((slice(0, 40), 500), (slice(40, 80), 200)):
        assert 0.21 < mask[rows, :length].float().mean() < 0.30


def test_random_spans_are_complete_and_at_least_minimum():
    torch.manual_seed(0)
    mask = random_spans(torch.full((200,), 1000), 1000, 0.0, 10, 2)
    assert set(mask.sum(dim=1).tolist()) <= set(range(10, 21))
    assert mask.sum(dim=1).float().mean() > 19  # two spans, which seldom overlap
    starts = mask & ~torch.roll(mask, 1, dims=1)
    assert set(starts.sum(dim=1).tolist()) == {1, 2}
    assert not random_spans(torch.full((200,), 1000), 1000, 0.0, 10, 0).any()


@pytest.mark.parametrize("mask_embedding", [None, torch.arange(16.0) + 2])
def test_spec_augment_replaces_frames_and_clears_features(mask_embedding):
    config = AutoConfig.for_model(
        **WAV2VEC2_GROUP, mask_time_prob=0.5, mask_feature_prob=0.5, mask_feature_length=4, mask_feature_min_masks=1
    )
    rows = Rows((40, 5), torch.device("cpu"))
    states = torch.ones(1, 45, 16)
    torch.manual_seed(0)
    augmented = rows.pad(spec_augment(config, states, rows, mask_embedding))
    augmented[1, 5:] = augmented[1, 0]
    cleared = (augmented == 0).all(dim=1)
    assert cleared.any(dim=1).all()
    changed = (augmented != 1) & ~cleared[:, None]
    assert changed[0].any()
    assert not changed[1].any()  # five frames are fewer than a span
    written = augmented[0][changed[0].any(dim=-1)][:, ~cleared[0]]
    expected = torch.zeros(16) if mask_embedding is None else mask_embedding
    assert_close(written, expected[~cleared[0]].expand_as(written))


@pytest.mark.parametrize(
    ("fields", "on"),
    [
        (WAV2VEC2_GROUP, True),
        (WAV2VEC2_GROUP | {"apply_spec_augment": False}, False),
        (WAV2VEC2_GROUP | {"mask_time_prob": 0.0}, False),
        (DATA2VEC, True),
        ({"model_type": "whisper"}, False),
        ({"model_type": "whisper", "apply_spec_augment": True}, True),
    ],
)
def test_encoders_configuration_decides(fields, on):
    config = AutoConfig.for_model(**fields)
    states = torch.ones(1, 40, 16)
    assert masks_frames(config) is on
    assert torch.equal(spec_augment(config, states, Rows((40,), states.device), None), states) is not on
