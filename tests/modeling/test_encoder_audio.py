"""Stages of the speech encoder, compared with transformers on unpadded audio."""

import copy

import pytest
import torch
from emofusion.modeling import encoder_convolutions
from emofusion.modeling.encoder_audio import (
    build_audio_encoder,
    conv_features,
    embed_frames,
    frame_hop,
    freeze_audio_layers,
    receptive_field,
    run_layers,
)
from emofusion.modeling.encoder_convolutions import fold_group_norm
from emofusion.modeling.modeling_rows import Rows
from testing_common import DATA2VEC, HUBERT, WAV2VEC2_GROUP, WAV2VEC2_LAYER, WAVLM, WHISPER
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig

LAYER_NORM = {name: WAV2VEC2_LAYER[name] for name in ("feat_extract_norm", "conv_bias", "do_stable_layer_norm")}
WAV2VEC2_FAMILY = {
    "wav2vec2": WAV2VEC2_GROUP,
    "wav2vec2-layer-norm": WAV2VEC2_LAYER,
    "hubert": HUBERT,
    "hubert-layer-norm": HUBERT | LAYER_NORM,
    "wavlm": WAVLM,
    "wavlm-layer-norm": WAVLM | LAYER_NORM,
    "data2vec": DATA2VEC,
}
ENCODERS = WAV2VEC2_FAMILY | {"whisper": WHISPER}
every_encoder = pytest.mark.parametrize("fields", ENCODERS.values(), ids=ENCODERS)
every_wav2vec2 = pytest.mark.parametrize("fields", WAV2VEC2_FAMILY.values(), ids=WAV2VEC2_FAMILY)


def build(fields: dict, **overrides):
    torch.manual_seed(0)
    encoder = build_audio_encoder(AutoConfig.for_model(**fields | overrides)).eval()
    for module in encoder.modules():
        if isinstance(module, nn.LayerNorm | nn.GroupNorm) and module.weight is not None:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return encoder


def run(encoder, values, lengths=None, stop=None, output_attentions=False):
    lengths = (values.shape[1],) * len(values) if lengths is None else lengths
    features, rows = conv_features(encoder, values, lengths)
    stop = encoder.config.num_hidden_layers if stop is None else stop
    states = run_layers(encoder, embed_frames(encoder, features, rows), rows, 0, stop, output_attentions)
    return rows.pad(states[0]), *states[1:]


@every_wav2vec2
def test_stages_equal_transformers_on_unpadded_audio(fields):
    encoder = build(fields).double()
    encoder.set_attn_implementation("eager")
    values = torch.randn(2, 6000).double()
    expected = encoder(values, output_hidden_states=True, output_attentions=True)
    states, hidden_states, attentions = run(encoder, values, output_attentions=True)
    assert_close(states, expected.last_hidden_state, atol=1e-5, rtol=0)
    assert_close(attentions, expected.attentions)
    assert_close(hidden_states[:-1], expected.hidden_states[:-1], atol=1e-5, rtol=0)
    assert_close(hidden_states[-1], states)


@every_encoder
def test_row_does_not_depend_on_batch_or_padding(fields):
    encoder, lengths = build(fields).double(), (9000, 16000, 300, 2000)  # in float32 rounding may grow to 4e-5
    mask = torch.arange(16700) < torch.tensor(lengths)[:, None]
    values = torch.randn(mask.shape).double().masked_fill(~mask, 7)
    together, _, _ = run(encoder, values, lengths)
    assert together.std() > 0.1
    for index, length in enumerate(lengths):
        alone, _, _ = run(encoder, values[index : index + 1, :length])
        assert_close(together[index, : alone.shape[1]], alone[0], atol=2e-6, rtol=0)


@every_encoder
def test_layers_run_in_two_parts_equal_one_run(fields):
    encoder = build(fields)
    rows, inputs = Rows((12, 5), torch.device("cpu")), torch.randn(1, 17, 16)
    whole, states, _ = run_layers(encoder, inputs, rows, 0, 2)
    middle, first, _ = run_layers(encoder, inputs, rows, 0, 1)
    end, second, _ = run_layers(encoder, middle, rows, 1, 2)
    assert torch.equal(end, whole)
    assert_close((*first, *second[1:]), states, atol=0, rtol=0)
    nothing, only, _ = run_layers(encoder, whole, rows, 2, 2)
    assert nothing is whole
    assert only == (whole,)


@every_encoder
def test_layer_drop_is_not_applied(fields):
    name = "encoder_layerdrop" if fields is WHISPER else "layerdrop"
    encoder = build(fields, **{name: 1.0}).train()
    states, hidden_states, _ = run(encoder, torch.randn(1, 4000))
    assert len(hidden_states) == 3
    assert not torch.equal(hidden_states[0], hidden_states[1])
    states.square().mean().backward()
    layers = (encoder if fields is WHISPER else encoder.encoder).layers
    assert all(p.grad is not None for p in layers.parameters())


@every_encoder
def test_all_parameters_below_frozen_layers_are_frozen(fields):
    values = torch.randn(1, 4000)
    for count in (0, 1, 2, -1):
        encoder = build(fields)
        if count:
            run(encoder, values, stop=2 if count == -1 else count)[0].sum().backward()
        else:
            conv_features(encoder, values, (4000,))[0].sum().backward()
        read = {name for name, p in encoder.named_parameters() if p.grad is not None}
        never = {"embed_positions.weight"} if fields is WHISPER else {"masked_spec_embed"} if count else set()
        freeze_audio_layers(encoder, True, count)
        assert {name for name, p in encoder.named_parameters() if not p.requires_grad} == read | never
        # Dropout and SpecAugment are off in frozen layers.
        encoder.train()
        freeze_audio_layers(encoder, True, count)
        torch.manual_seed(1)
        if count:
            states = [run(encoder, values, stop=2 if count == -1 else count)[0] for _ in range(2)]
            assert torch.equal(*states)


@pytest.mark.parametrize("bias", [None, torch.arange(6.0)])
def test_convolution_in_one_product_with_group_norm_equals_both_in_turn(bias):
    torch.manual_seed(0)
    norm = nn.GroupNorm(6, 6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    weight, windows = torch.randn(6, 10), torch.randn(60, 10) + 3
    for frames in (50, 1, 7):
        mean, scaled, shift = fold_group_norm(windows[None, :frames], weight, bias, norm, torch.float32)
        normalised = torch.addmm(shift, windows - mean[0], scaled)
        assert normalised.shape == (60, 6)
        states = nn.functional.linear(windows.double(), weight.double(), None if bias is None else bias.double())
        twice = states[:frames].T.expand(2, -1, -1)  # torch refuses a single value per channel
        expected = copy.deepcopy(norm).double()(twice)[0].T
        assert_close(normalised[:frames].double(), expected, atol=1e-5, rtol=1e-5)


def test_group_norm_is_right_where_low_frequencies_are_loudest():
    torch.manual_seed(0)
    noise = torch.randn(16000)
    hum = torch.sin(torch.arange(16000) * 2 * torch.pi * 50 / 16000) + 1e-3 * noise
    encoder, exact = build(WAV2VEC2_GROUP), build(WAV2VEC2_GROUP).double()
    for waveform in (hum, noise.cumsum(0) / 100, noise + 100):
        features, _ = conv_features(encoder, waveform[None], (16000,))
        expected = exact.feature_extractor(waveform[None].double())
        assert_close(features.double(), expected.transpose(1, 2), atol=2e-4, rtol=0)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_every_shape_of_convolutions_gives_frames_of_transformers(seed, at_once, monkeypatch):
    monkeypatch.setattr(encoder_convolutions, "FRAMES_AT_ONCE", at_once)
    draw = torch.Generator().manual_seed(seed)
    kernels, strides = (torch.randint(1, 6, (4,), generator=draw).tolist() for _ in range(2))
    for norm in ("group", "layer"):
        shapes = {"conv_dim": [8] * 4, "conv_kernel": kernels, "conv_stride": strides, "num_feat_extract_layers": 4}
        encoder = build(WAV2VEC2_GROUP, feat_extract_norm=norm, conv_bias=norm == "layer", **shapes)
        lengths = [receptive_field(encoder.config) + extra for extra in (0, 1, 40, 333)]
        values = torch.randn(4, max(lengths))
        features, rows = conv_features(encoder, values, lengths)
        for row, length, states in zip(values, lengths, rows.split(features), strict=True):
            if norm == "layer" or length > lengths[1]:  # transformers refuses one frame
                assert_close(states, encoder.feature_extractor(row[None, :length])[0].T, atol=2e-5, rtol=0)


def test_hop_and_receptive_field():
    for fields in ENCODERS.values():
        assert frame_hop(AutoConfig.for_model(**fields)) == 320
    assert receptive_field(AutoConfig.for_model("wav2vec2")) == 400
    small = AutoConfig.for_model("wav2vec2", conv_dim=[8] * 2, conv_kernel=[10, 3], conv_stride=[5, 2])
    assert (receptive_field(small), frame_hop(small)) == (20, 10)


@pytest.mark.parametrize("fields", [WAV2VEC2_LAYER, WAVLM | LAYER_NORM, DATA2VEC, WHISPER])
def test_frame_depends_on_its_receptive_field(fields):
    encoder = build(fields)
    values = torch.randn(1, 3200, requires_grad=True)
    features, _ = conv_features(encoder, values, (3200,))
    for frame in (0, 1, 5):
        (seen,) = torch.autograd.grad(features[0, frame].sum(), values, retain_graph=True)
        last = int(seen[0].nonzero().max())
        assert last + 1 == receptive_field(encoder.config) + frame * frame_hop(encoder.config)


@every_wav2vec2
def test_number_of_frames_equals_transformers(fields):
    encoder = build(fields)
    lengths = (1, 300, 399, 400, 719, 720, 3280)
    features, rows = conv_features(encoder, torch.randn(7, 3280), lengths)
    assert rows.lengths == (1, 1, 1, 1, 1, 2, 10)
    assert features.shape == (1, 17, 8)
    assert features.isfinite().all()
    assert encoder.feature_extractor(torch.randn(1, 3280)).shape[-1] == 10


def test_short_clip_is_padded_with_silence():
    encoder = build(WAV2VEC2_GROUP)
    clip = torch.randn(1, 300)
    short, rows = conv_features(encoder, clip, (300,))
    silent = nn.functional.pad(clip, (0, 100))
    expected, _ = conv_features(encoder, silent, (400,))
    assert rows.lengths == (1,)
    assert torch.equal(short, expected)


@every_encoder
def test_spec_augment_is_for_training_only(fields):
    encoder = build(fields, **{"apply_spec_augment": True} if fields is WHISPER else {})
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    encoder.config.dropout = 0.0  # Whisper's
    values = torch.randn(1, 16000)
    assert torch.equal(run(encoder, values, stop=0)[0], run(encoder, values, stop=0)[0])
    encoder.train()
    assert not torch.equal(run(encoder, values, stop=0)[0], run(encoder, values, stop=0)[0])


def test_unsupported_model_type_is_refused():
    message = (
        r"^audio_config names the model_type 'bert'; choose one of wav2vec2, hubert, wavlm, data2vec-audio, whisper\.$"
    )
    with pytest.raises(ValueError, match=message):
        build({"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2})


@pytest.mark.parametrize(
    ("fields", "option"), [(WAV2VEC2_GROUP, "add_adapter"), (DATA2VEC, "add_adapter"), (HUBERT, "conv_pos_batch_norm")]
)
def test_unsupported_option_is_refused(fields, option):
    with pytest.raises(ValueError, match=rf"^audio_config has {option}=True, which .*; set it to False\.$"):
        build(fields, **{option: True})
