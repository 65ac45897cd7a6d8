"""Padded batches of waveforms against the feature extractor of transformers."""

import numpy as np
import pytest
from emofusion.processing.waveform_features import is_plain, pad_waveforms
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2FeatureExtractor

WAVEFORMS = [np.random.default_rng(length).normal(0.1, 0.3, length).astype(np.float32) for length in (700, 1, 400)]


@pytest.mark.parametrize("do_normalize", [True, False])
@pytest.mark.parametrize(("padding", "length"), [(True, None), ("longest", None), ("max_length", 900)])
def test_batches_are_those_of_the_extractor(do_normalize, padding, length):
    extractor = Wav2Vec2FeatureExtractor(do_normalize=do_normalize, padding_value=0.5)
    assert is_plain(extractor, padding)
    before = [waveform.copy() for waveform in WAVEFORMS]
    ours = pad_waveforms(WAVEFORMS, extractor, length)
    options = {"return_attention_mask": True, "return_tensors": "np"}
    theirs = extractor(WAVEFORMS, sampling_rate=16000, padding=padding, max_length=length, **options)
    for name, values in ours.items():
        assert values.dtype == theirs[name].dtype
        np.testing.assert_array_equal(values, theirs[name])
    for waveform, copy in zip(WAVEFORMS, before, strict=True):
        np.testing.assert_array_equal(waveform, copy)


def test_other_extractors_and_paddings_are_left_to_transformers():
    assert not is_plain(SeamlessM4TFeatureExtractor(), True)
    assert not is_plain(type("Own", (Wav2Vec2FeatureExtractor,), {})(), True)
    assert not is_plain(Wav2Vec2FeatureExtractor(), False)
    assert not is_plain(Wav2Vec2FeatureExtractor(padding_side="left"), True)
