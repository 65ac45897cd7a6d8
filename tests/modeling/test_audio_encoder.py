"""The speech encoder run in stages: transformers' own answers where those are right, and better ones where not."""

import pytest
import torch
from emofusion.modeling.audio_encoder import (
    build_audio_encoder,
    conv_features,
    embed_frames,
    masked_instance_norm,
    random_spans,
    receptive_field,
    run_layers,
    spec_augment,
)
from testing_common import HUBERT, WAV2VEC2_GROUP, WAV2VEC2_LAYER
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig

LAYER_NORM = {name: WAV2VEC2_LAYER[name] for name in ("feat_extract_norm", "conv_bias", "do_stable_layer_norm")}
ENCODERS = {
    "wav2vec2": WAV2VEC2_GROUP,
    "wav2vec2-layer-norm": WAV2VEC2_LAYER,
    "hubert": HUBERT,
    "hubert-layer-norm": HUBERT | LAYER_NORM,
}
every_encoder = pytest.mark.parametrize("fields", ENCODERS.values(), ids=ENCODERS)


def build(fields: dict, **overrides):
    torch.manual_seed(0)
    return build_audio_encoder(AutoConfig.for_model(**fields | overrides)).eval()


def run(encoder, values, mask, output_attentions=False):
    features, frames = conv_features(encoder, values, mask)
    layers = encoder.config.num_hidden_layers
    return run_layers(encoder, embed_frames(encoder, features, frames), frames, 0, layers, output_attentions)


@every_encoder
def test_stages_give_what_transformers_gives_on_unpadded_audio(fields):
    encoder = build(fields)
    encoder.set_attn_implementation("eager")
    values = torch.randn(2, 6000)
    expected = encoder(values, output_hidden_states=True, output_attentions=True)
    states, hidden_states, attentions = run(encoder, values, torch.ones_like(values, dtype=torch.bool), True)
    assert_close(states, expected.last_hidden_state)
    assert_close(attentions, expected.attentions)
    assert_close(hidden_states[:-1], expected.hidden_states[:-1])
    assert_close(hidden_states[-1], states)


@every_encoder
def test_layers_run_in_two_parts_give_what_they_give_in_one(fields):
    encoder = build(fields)
    frames = torch.arange(12) < torch.tensor([[12], [5]])
    inputs = torch.randn(2, 12, 16)
    middle, _, _ = run_layers(encoder, inputs, frames, 0, 1)
    assert torch.equal(run_layers(encoder, middle, frames, 1, 2)[0], run_layers(encoder, inputs, frames, 0, 2)[0])


@every_encoder
def test_layer_drop_is_left_out(fields):
    encoder = build(fields, layerdrop=1.0, apply_spec_augment=False).train()
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    values = torch.randn(1, 4000)
    states, hidden_states, _ = run(encoder, values, torch.ones_like(values, dtype=torch.bool))
    assert len(hidden_states) == 3
    assert not torch.equal(hidden_states[0], hidden_states[1])
    states.square().mean().backward()
    assert all(p.grad is not None for p in encoder.encoder.layers.parameters())


def test_masked_instance_norm_is_group_norm_of_each_row_cut_to_its_length():
    torch.manual_seed(0)
    norm = nn.GroupNorm(6, 6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    states, lengths = torch.randn(4, 6, 50) + 3, torch.tensor([50, 1, 7, 31])
    normalised = masked_instance_norm(states, lengths, norm)
    assert normalised.shape == states.shape
    norm.double()
    for row, length in enumerate(lengths):
        cut = states[row, :, :length].double().expand(2, -1, -1)  # torch refuses to normalise one value alone
        assert_close(normalised[row, :, :length].double(), norm(cut)[0], atol=1e-5, rtol=1e-5)


def test_the_first_frame_reaches_over_400_samples():
    assert receptive_field(AutoConfig.for_model("wav2vec2")) == 400
    assert (
        receptive_field(AutoConfig.for_model("wav2vec2", conv_dim=[8] * 2, conv_kernel=[10, 3], conv_stride=[5, 2]))
        == 20
    )


@every_encoder
def test_frames_are_counted_as_transformers_counts_them_and_a_short_clip_has_one(fields):
    encoder = build(fields)
    lengths = (1, 300, 399, 400, 719, 720, 3280)
    mask = torch.arange(3280) < torch.tensor(lengths)[:, None]
    features, frames = conv_features(encoder, torch.randn(mask.shape), mask)
    assert frames.sum(dim=1).tolist() == [1, 1, 1, 1, 1, 2, 10]
    assert features.shape == (7, 10, 8)
    assert features[frames].isfinite().all()
    alone = encoder.feature_extractor(torch.randn(1, 3280))
    assert alone.shape[-1] == frames.shape[1]


def test_a_clip_shorter_than_the_reach_counts_as_followed_by_silence():
    encoder = build(WAV2VEC2_GROUP)
    clip = torch.randn(1, 300)
    short, frames = conv_features(encoder, clip, torch.ones(1, 300, dtype=torch.bool))
    silent = nn.functional.pad(clip, (0, 100))
    expected, _ = conv_features(encoder, silent, torch.ones(1, 400, dtype=torch.bool))
    assert frames.tolist() == [[True]]
    assert torch.equal(short, expected)


@pytest.mark.parametrize("seed", range(3))
def test_random_spans_stay_inside_their_row_and_have_the_asked_share(seed):
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


def test_random_spans_are_whole_and_at_least_as_many_as_asked():
    torch.manual_seed(0)
    mask = random_spans(torch.full((200,), 1000), 1000, 0.0, 10, 2)
    assert set(mask.sum(dim=1).tolist()) <= set(range(10, 21))
    assert mask.sum(dim=1).float().mean() > 19  # two spans, which seldom overlap
    starts = mask & ~torch.roll(mask, 1, dims=1)
    assert set(starts.sum(dim=1).tolist()) == {1, 2}
    assert not random_spans(torch.full((200,), 1000), 1000, 0.0, 10, 0).any()


def test_spec_augment_writes_the_learned_vector_and_clears_features():
    encoder = build(WAV2VEC2_GROUP, mask_time_prob=0.5, mask_feature_prob=0.5, mask_feature_length=4)
    frames = torch.arange(40) < torch.tensor([[40], [5]])
    states = torch.ones(2, 40, 16)
    torch.manual_seed(0)
    augmented = spec_augment(encoder, states, frames)
    cleared = (augmented == 0).all(dim=1)
    assert cleared.any(dim=1).all()
    changed = (augmented != 1) & ~cleared[:, None]
    assert changed[0].any()
    assert not changed[1].any()  # five frames are fewer than a span
    written = augmented[0][changed[0].any(dim=-1)][:, ~cleared[0]]
    assert_close(written, encoder.masked_spec_embed[~cleared[0]].expand_as(written))
    encoder.config.apply_spec_augment = False
    assert torch.equal(spec_augment(encoder, states, frames), states)


def test_spec_augment_is_for_training_only():
    encoder = build(WAV2VEC2_GROUP)
    values = torch.randn(1, 16000)
    mask = torch.ones_like(values, dtype=torch.bool)
    assert torch.equal(run(encoder, values, mask)[0], run(encoder, values, mask)[0])
    encoder.feature_projection.train()
    assert not torch.equal(run(encoder, values, mask)[0], run(encoder, values, mask)[0])


def test_an_encoder_of_another_family_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"^audio_config names the model_type 'bert'; choose one of wav2vec2, hubert\.$"
    ):
        build({"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2})


def test_an_adapter_that_shortens_the_frames_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^audio_config has add_adapter=True, .* set it to False\.$"):
        build(WAV2VEC2_GROUP, add_adapter=True)
