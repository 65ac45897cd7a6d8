"""Configurations: defaults and errors."""

import re

import emofusion
import pytest
from emofusion import (
    VARIANTS,
    CrossAttentionFusionConfig,
    LateFusionConfig,
    MultiLevelFusionConfig,
    SpeakerResNetConfig,
    UnimodalConfig,
)
from testing_common import BERT, WAV2VEC2_GROUP
from transformers import BertConfig, Wav2Vec2Config

FUSION, UNIMODAL = CrossAttentionFusionConfig, UnimodalConfig
TEXT_ONLY = {"modality": "text"}


def test_defaults_are_encoders_of_papers():
    config = CrossAttentionFusionConfig()
    assert type(config.audio_config) is Wav2Vec2Config
    assert type(config.text_config) is BertConfig
    assert config.modalities == ("audio", "text")
    assert config.embedding_size == 4 * config.hidden_size
    assert config.freeze_feature_encoder
    assert config.freeze_audio_layers == config.freeze_text_layers == 0
    assert config.class_weights is None


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_one_modality_has_one_encoder(modality):
    config = UnimodalConfig(modality=modality)
    other = {"audio": "text", "text": "audio"}[modality]
    assert config.modalities == (modality,)
    assert config.embedding_size == 2 * config.hidden_size
    assert getattr(config, f"{modality}_config") is not None
    assert getattr(config, f"{other}_config") is None


def test_encoder_is_given_as_dict_or_configuration():
    encoder = Wav2Vec2Config(num_hidden_layers=3)
    assert CrossAttentionFusionConfig(audio_config=encoder).audio_config is encoder
    assert CrossAttentionFusionConfig(audio_config={"num_hidden_layers": 3}).audio_config.num_hidden_layers == 3
    assert CrossAttentionFusionConfig(audio_config={"model_type": "hubert"}).audio_config.model_type == "hubert"


def test_class_names_give_number_of_labels():
    config = CrossAttentionFusionConfig(id2label={0: "angry", 1: "happy", 2: "sad"}, class_weights=[1.0, 2.0, 3.0])
    assert config.num_labels == 3


@pytest.mark.parametrize(
    ("config_class", "fields", "message"),
    [
        (FUSION, {"hidden_size": 30, "num_attention_heads": 4}, "hidden_size is 30; it must divide by"),
        (FUSION, {"hidden_size": 20, "num_attention_heads": 20}, "hidden_size is 20; it must divide by"),
        (FUSION, {"conv_kernel_size": 4}, "conv_kernel_size is 4; it must be odd."),
        (UNIMODAL, {"conv_kernel_size": 2}, "conv_kernel_size is 2; it must be odd."),
        (UNIMODAL, {"hidden_size": 15}, "hidden_size is 15; it must be even"),
        (FUSION, {"freeze_audio_layers": 13}, "freeze_audio_layers is 13; the audio encoder has 12 layers"),
        (FUSION, {"freeze_text_layers": -2}, "freeze_text_layers is -2; the text encoder has 12 layers"),
        (FUSION, {"audio_config": WAV2VEC2_GROUP, "freeze_audio_layers": 3}, "freeze_audio_layers is 3; the audio"),
        (FUSION, {"modality_dropout": 1.0}, "modality_dropout is 1.0; it must be at least 0 and below 1."),
        (FUSION, {"modality_dropout": -0.1}, "modality_dropout is -0.1; it must be at least 0 and below 1."),
        (FUSION, {"class_weights": [1.0], "num_labels": 3}, "class_weights has 1 numbers for 3 labels; give one per"),
        (FUSION, {"text_config": {"model_type": "nobody"}}, "text_config names the model_type 'nobody', which"),
        (UNIMODAL, {"text_config": BERT}, "text_config is given, but this UnimodalConfig uses audio only"),
        (UNIMODAL, {"freeze_text_layers": 1}, "freeze_text_layers is given, but this UnimodalConfig uses audio"),
        (UNIMODAL, TEXT_ONLY | {"audio_config": {}}, "audio_config is given, but this UnimodalConfig uses text"),
        (UNIMODAL, TEXT_ONLY | {"freeze_audio_layers": -1}, "freeze_audio_layers is given, but this UnimodalConfig"),
    ],
)
def test_invalid_value_gives_one_sentence(config_class, fields, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as error:
        config_class(**fields)
    assert re.fullmatch(r"[^\n]+\.", str(error.value))


def test_every_variant_names_the_sources_of_its_parts():
    for prefix in VARIANTS.values():
        paper = getattr(emofusion, f"{prefix}Config")().paper
        assert paper["ours"]
        assert ("title" in paper) == ("stated" in paper)
        assert ("noted" in paper) == (prefix == "WavFusion")


def test_only_fusions_with_a_speaker_network_cite_padi():
    text, speaker, levels = UnimodalConfig(modality="text"), SpeakerResNetConfig(), MultiLevelFusionConfig()
    urls = [LateFusionConfig(member_configs=[text, *more]).paper.get("url") for more in ([], [speaker], [levels])]
    assert urls == [None, SpeakerResNetConfig.paper["url"], MultiLevelFusionConfig.paper["url"]]
