"""Every fusion with every encoder: brief checks of all pairs."""

import pytest
import torch
from testing_common import (
    BERT,
    COATTENTION,
    DATA2VEC,
    DEBERTA,
    HUBERT,
    MODERNBERT,
    ROBERTA,
    WAV2VEC2_GROUP,
    WAV2VEC2_LAYER,
    WAVFUSION,
    WAVLM,
    WHISPER,
    WITH_TEXT,
    Case,
    make_batch,
    row,
)
from testing_matrix import log_probabilities
from torch.testing import assert_close

SPEECH = {
    "wav2vec2-group-norm": WAV2VEC2_GROUP,
    "wav2vec2-layer-norm": WAV2VEC2_LAYER,
    "hubert": HUBERT,
    "wavlm": WAVLM,
    "data2vec-audio": DATA2VEC,
    "whisper": WHISPER,
}
TEXT = {"bert": BERT, "roberta": ROBERTA, "deberta-v2": DEBERTA, "modernbert": MODERNBERT}
PAIRS = [(speech, "bert") for speech in SPEECH] + [("wav2vec2-group-norm", text) for text in TEXT if text != "bert"]
FUSIONS = {
    "cross_attention": {"hidden_size": 16, "num_attention_heads": 2},
    "multi_level": COATTENTION,
    "wavfusion": {**WAVFUSION, **WITH_TEXT, "auxiliary_modalities": ["text"], "num_fusion_layers": 1},
}


def build(variant, speech, text):
    fields = {**FUSIONS[variant], "audio_config": SPEECH[speech], "text_config": TEXT[text]}
    return Case(variant, variant, fields)


@pytest.mark.parametrize(("speech", "text"), PAIRS)
@pytest.mark.parametrize("variant", FUSIONS)
def test_fusion_works_with_encoder(variant, speech, text):
    if (variant, speech) == ("wavfusion", "whisper"):
        with pytest.raises(
            ValueError, match=r"^audio_config names the model_type 'whisper', which .* does not support; choose"
        ):
            build(variant, speech, text).model()
        return
    model, batch = build(variant, speech, text).model(), make_batch()
    together = log_probabilities(model, batch)
    assert together.std(dim=0).max() > 0.01
    for index in range(len(together)):
        assert_close(log_probabilities(model, row(batch, index)), together[index : index + 1], atol=1e-5, rtol=0)
    model.train()(**batch).loss.backward()
    for encoder in (model.model.audio_encoder, model.model.text_encoder):
        gradients = [weight.grad for weight in encoder.parameters() if weight.requires_grad]
        assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
        assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients)
