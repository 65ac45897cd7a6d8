"""The Whisper encoder on waveforms, compared with transformers on full clips."""

import pytest
import torch
from emofusion import UnimodalForSequenceClassification
from emofusion.modeling.encoder_audio import build_audio_encoder, conv_features, embed_frames, run_layers
from emofusion.modeling.encoder_whisper import log_mel_spectrogram
from testing_common import CLASSES, WHISPER, make_batch
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
    WhisperModel,
)

SECOND = WHISPER | {"max_source_positions": 50}  # positions for one second
SPEECH = {"modality": "audio", "hidden_size": 16, "num_labels": CLASSES}


def waveforms(*lengths):
    """Return noise whose second half is more than eight decades below the first, and its mask."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    loudness = torch.where(torch.arange(max(lengths)) < max(lengths) // 2, 0.3, 1e-6)
    return torch.randn(mask.shape, generator=torch.Generator().manual_seed(0)) * loudness * mask, mask


@pytest.mark.parametrize("num_mel_bins", [80, 128])
def test_spectrogram_equals_that_of_feature_extractor(num_mel_bins):
    extractor = WhisperFeatureExtractor(feature_size=num_mel_bins, chunk_length=2)
    values, mask = waveforms(16000, 12345, 300, 100, 1, 161)
    values[0, 15999] = 1.0  # the loudest window starts in the utterance and has its centre after the end
    for row, length in enumerate(mask.sum(dim=1)):
        spectrogram = log_mel_spectrogram(values[row : row + 1, :length], num_mel_bins)[0]
        assert spectrogram.shape == (num_mel_bins, [100, 78, 2, 1, 1, 2][row])
        alone = extractor(values[row, :length].numpy(), sampling_rate=16000, return_tensors="pt").input_features[0]
        assert_close(spectrogram, alone[:, : spectrogram.shape[1]], atol=1e-5, rtol=0)


def test_full_clip_equals_transformers():
    encoder = build_audio_encoder(AutoConfig.for_model(**SECOND)).eval()
    values, _ = waveforms(16000)
    # The feature extractor pads a full clip by reflection, so the clip ends in silence here.
    values[:, -200:] = 0
    features = WhisperFeatureExtractor(feature_size=8, chunk_length=1)(values[0].numpy(), sampling_rate=16000)
    expected = encoder(torch.from_numpy(features.input_features)).last_hidden_state
    states, rows = conv_features(encoder, values, (16000,))
    assert rows.lengths == (50,)
    states, _, _ = run_layers(encoder, embed_frames(encoder, states, rows), rows, 0, 2)
    assert_close(states, expected, atol=1e-5, rtol=0)


def test_spectrogram_is_exact_under_autocast():
    values, _ = waveforms(8000)
    expected = log_mel_spectrogram(values, 80)
    with torch.autocast("cpu", torch.bfloat16):
        spectrogram = log_mel_spectrogram(values, 80)
    assert torch.equal(spectrogram, expected)


def test_recording_beyond_positions_is_refused():
    encoder = build_audio_encoder(AutoConfig.for_model(**SECOND)).eval()
    message = r"^A recording lasts 1\.25 s, .* positions for 1 s only; cut recordings with max_seconds=1\.$"
    with pytest.raises(ValueError, match=message):
        conv_features(encoder, waveforms(20000, 8000)[0], (20000, 8000))
    values, _ = waveforms(20000, 16000)
    padded, rows = conv_features(encoder, values[1:], (16000,))  # padding may be longer
    cut, _ = conv_features(encoder, values[1:, :16000], (16000,))
    assert rows.lengths == (50,)
    assert torch.equal(padded, cut)


def test_full_size_configuration_covers_30_seconds():
    config = AutoConfig.for_model(**WHISPER)
    assert (config.hidden_size, config.num_hidden_layers) == (16, 2)
    encoder = build_audio_encoder(config)
    with pytest.raises(ValueError, match=r"max_seconds=30\.$"):
        conv_features(encoder, torch.zeros(1, 480001), (480001,))


@pytest.mark.parametrize("source", [WhisperModel, WhisperForConditionalGeneration, WhisperForAudioClassification])
def test_only_whisper_encoder_is_kept(source, tmp_path):
    torch.manual_seed(0)
    whole = source(WhisperConfig(**{name: value for name, value in WHISPER.items() if name != "model_type"}))
    expected = dict(whole.get_encoder().state_dict())
    whole.save_pretrained(tmp_path / "whisper")
    for audio in (str(tmp_path / "whisper"), whole):
        model = UnimodalForSequenceClassification.from_encoders_pretrained(audio=audio, **SPEECH).eval()
        assert_close(dict(model.model.audio_encoder.state_dict()), expected, atol=0, rtol=0)
    model.save_pretrained(tmp_path / "ours")
    loaded, info = UnimodalForSequenceClassification.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not any("decoder" in name for name in loaded.state_dict())
    assert not loaded.model.audio_encoder.embed_positions.weight.requires_grad
    assert type(loaded.config.audio_config) is WhisperConfig
    assert_close(loaded(**make_batch()).logits, model(**make_batch()).logits)


def test_bare_encoder_is_accepted():
    encoder = AutoModel.from_config(AutoConfig.for_model(**WHISPER)).get_encoder()
    model = UnimodalForSequenceClassification.from_encoders_pretrained(audio=encoder, **SPEECH)
    assert model.model.audio_encoder is encoder
