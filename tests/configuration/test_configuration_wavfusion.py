"""WavFusion's configuration: defaults from the notes of the paper, and errors."""

import re

import pytest
from emofusion import WavFusionConfig
from transformers import EfficientNetConfig, RobertaConfig, Wav2Vec2Config


def test_defaults_match_notes():
    config = WavFusionConfig()
    assert config.modalities == ("audio", "text", "video")
    assert type(config.audio_config) is Wav2Vec2Config
    assert type(config.text_config) is RobertaConfig
    assert type(config.vision_config) is EfficientNetConfig
    assert (config.num_audio_layers, config.num_fusion_layers) == (9, 3)
    assert (config.freeze_audio_layers, config.freeze_text_layers, config.freeze_vision_encoder) == (-1, -1, True)
    assert config.stream_sizes == {"text": 768, "video": 64}
    assert config.embedding_size == 768
    assert config.discrepancy_weight == 1


def test_modalities_are_ordered_and_have_encoders():
    assert WavFusionConfig(auxiliary_modalities=["video", "text"]).modalities == ("audio", "text", "video")
    alone = WavFusionConfig(auxiliary_modalities=[])
    assert alone.modalities == ("audio",)
    assert alone.text_config is alone.vision_config is None
    assert alone.freeze_text_layers == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"auxiliary_modalities": ["smell"]},
            "auxiliary_modalities is ['smell']; name any of text, video, each once.",
        ),
        ({"auxiliary_modalities": ["text", "text"]}, "auxiliary_modalities is ['text', 'text']; name any of"),
        ({"auxiliary_modalities": ["video"], "text_config": {}}, "text_config is given, but this WavFusionConfig"),
        ({"num_fusion_layers": 12}, "num_fusion_layers is 12; the audio encoder has 12 layers, and at least one must"),
        ({"num_fusion_layers": -1}, "num_fusion_layers is -1; it must be at least 0 and at most 1024."),
        ({"num_fusion_layers": 0}, "num_fusion_layers is 0, so nothing would be fused; set it to 1 or more, or"),
        ({"freeze_audio_layers": 10}, "freeze_audio_layers is 10; the audio encoder has 9 layers, and -1 means all."),
        (
            {"text_hidden_size": 36},
            "text_hidden_size is 36; it must be divisible by 2 for the GRU's directions, and by 8 for",
        ),
        (
            {"visual_hidden_size": 24},
            "visual_hidden_size is 24; it must be divisible by 4 for the GRU's directions, and by",
        ),
        (
            {"loss_weights": {"discrepancy": 2}},
            "loss_weights names discrepancy, whose weight is discrepancy_weight; leave",
        ),
        ({"use_weighted_layer_sum": True}, "use_weighted_layer_sum is True, but the fusion happens inside the speech"),
    ],
)
def test_invalid_value_gives_one_sentence(fields, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as error:
        WavFusionConfig(**fields)
    assert re.fullmatch(r"[^\n]+\.", str(error.value))
