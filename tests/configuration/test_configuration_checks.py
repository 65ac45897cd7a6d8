"""Wrong values in every field of every configuration: one sentence that names the field."""

import math
import re

import pytest
import torch
from testing_common import BERT, CASES, VIT, WAV2VEC2_GROUP, WAVFUSION
from testing_dimensions import BOTH
from transformers import AutoConfig

FIRST = list({case.variant: case for case in reversed(CASES)}.values())
BY_NAME = {case.name: case for case in CASES}
NAN, HUGE = math.nan, 10**30
# Type of a field's value -> values that no field of that type takes.
WRONG = {
    bool: ("yes", 3, NAN, [True], {"a": 1}),
    int: ("ten", 1.5, -2, NAN, HUGE, True, [1], {"a": 1}),
    float: ("ten", -1.0, NAN, math.inf, True, [0.1], {"a": 0.1}),
    str: (3, NAN, True, ["audio"], {"a": "b"}, "no such choice"),
    list: ("ten", 3, NAN, True, {"a": 1}, [{}], [[1]], [NAN]),
    dict: ("ten", 3, NAN, True, [1]),
}
# Fields that may be None, and what they are otherwise.
OPTIONAL = {
    "architectures": list,
    "class_weights": list,
    "dimensions": list,
    "dimension_scale": list,
    "loss_weights": dict,
    "auxiliary_labels": dict,
    "classifier_proj_size": int,
    "num_speakers": int,
    "audio_config": dict,
    "text_config": dict,
    "vision_config": dict,
    "problem_type": str,
    "dtype": str,
}
FREE = ("_name_or_path", "transformers_version", "model_type", "emofusion_format")  # any text, or checked elsewhere


def assert_one_sentence(config_class, fields: dict, name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        config_class.from_dict(fields)
    message = str(caught.value)
    assert "\n" not in message, message
    assert message.endswith("."), message
    assert len(message) < 500, message


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.name)
def test_wrong_value_of_any_field_is_refused(case):
    config = case.config(**{} if case.has_members else BOTH)
    fields = config.to_dict()
    for name in sorted(set(fields) - set(FREE)):
        kind = OPTIONAL[name] if name in OPTIONAL else type(fields[name])
        for value in WRONG[kind]:
            assert_one_sentence(type(config), fields | {name: value}, name)


LABELS = [
    ({0: "a", 1: "a", 2: "b"}, "the name 'a' to several classes"),
    ({0: "a", 2: "b"}, "keys are the ids 0 to 1"),
    ({1: "a", 2: "b"}, "keys are the ids 0 to 1"),
    ({"zero": "a"}, "keys are the ids 0 to 0"),
    ({"0": "a", 0: "b"}, "keys are the ids 0 to 1"),
    ({0: "a", 1: ""}, "a text that is not empty"),
    ({0: "a", 1: " "}, "a text that is not empty"),
    ({0: "a", 1: None}, "a text that is not empty"),
    ({0: "a", 1: ["b"]}, "a text that is not empty"),
    ({}, "a mapping from the ids"),
    (["a", "b"], "a mapping from the ids"),
]


@pytest.mark.parametrize(("id2label", "message"), LABELS, ids=lambda value: str(value))
def test_wrong_class_names_are_refused(id2label, message):
    for case in FIRST:
        config = case.config()
        assert_one_sentence(type(config), config.to_dict() | {"id2label": id2label}, message)
    with pytest.raises(ValueError, match=re.escape(message)):
        type(config).from_dict(config.to_dict(), id2label=id2label)


def test_label2id_follows_names():
    config = BY_NAME["text"].config(id2label={0: "sad", 1: "calm", 2: "joy"}, label2id={"LABEL_0": 0})
    assert config.label2id == {"sad": 0, "calm": 1, "joy": 2}
    loaded = type(config).from_dict(config.to_dict(), id2label={0: "calm", 1: "sad"})
    assert loaded.label2id == {"calm": 0, "sad": 1}


ENCODERS = [
    (BERT, {"hidden_size": "768"}, "hidden_size"),
    (BERT, {"hidden_size": -1}, "hidden_size"),
    (BERT, {"hidden_size": [20]}, "hidden_size"),
    (BERT, {"hidden_size": HUGE}, "hidden_size"),
    (BERT, {"vocab_size": 0}, "vocab_size"),
    (BERT, {"num_hidden_layers": 10**6}, "num_hidden_layers"),
    (BERT, {"num_attention_heads": 0}, "num_attention_heads"),
    (BERT, {"hidden_dropout_prob": 1.5}, "hidden_dropout_prob"),
    (BERT, {"layer_norm_eps": NAN}, "layer_norm_eps"),
    (BERT, {"initializer_range": -0.1}, "initializer_range"),
    (BERT, {"hidden_act": "nobody"}, "hidden_act"),
    (BERT, {"hidden_act": 3}, "hidden_act"),
    (BERT, {"pad_token_id": 50}, "pad_token_id"),
    (BERT, {"pad_token_id": "none"}, "pad_token_id"),
    (BERT, {"num_attention_heads": 3}, "text_config"),
    (BERT, {"model_type": "nobody"}, "nobody"),
    (BERT, {"model_type": ["bert"]}, "['bert']"),
    (BERT, {"dtype": "float3"}, "float3"),
    (WAV2VEC2_GROUP, {"conv_dim": 8}, "conv_dim"),
    (WAV2VEC2_GROUP, {"conv_dim": [8] * 6}, "conv_dim"),
    (WAV2VEC2_GROUP, {"conv_stride": [0] * 7}, "conv_stride"),
    (WAV2VEC2_GROUP, {"conv_kernel": ["3"] * 7}, "conv_kernel"),
    (WAV2VEC2_GROUP, {"feat_extract_norm": "nobody"}, "feat_extract_norm"),
    (WAV2VEC2_GROUP, {"feat_extract_activation": "nobody"}, "feat_extract_activation"),
    (WAV2VEC2_GROUP, {"num_conv_pos_embedding_groups": 5}, "num_conv_pos_embedding"),
    (VIT, {"patch_size": 0}, "patch_size"),
    (VIT, {"image_size": "large"}, "image_size"),
    (VIT, {"hidden_act": "nobody"}, "hidden_act"),
]


@pytest.mark.parametrize(("encoder", "change", "name"), ENCODERS, ids=lambda value: str(value)[:40])
def test_wrong_value_of_encoder_field_is_refused_before_model_exists(encoder, change, name):
    case = next(case for case in FIRST if case.variant == "unimodal")
    kind = {"bert": "text", "wav2vec2": "audio", "vit": "vision"}[encoder["model_type"]]
    modality = "video" if kind == "vision" else kind
    fields = {"modality": modality, "hidden_size": 16, f"{kind}_config": encoder | change}
    if kind != "audio":
        fields["audio_config"] = None
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        case.model(**fields)
    assert f"{kind}_config" in str(caught.value)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_wrong_fields_of_members_are_named():
    case = next(case for case in FIRST if case.variant == "late_fusion")
    for member, name in (
        (BERT | {"hidden_size": "ten"}, "member_configs[0].hidden_size"),
        (BERT | {"layer_norm_eps": NAN}, "member_configs[0].layer_norm_eps"),
        ({"model_type": [1]}, "member_configs[0] has the model_type [1]"),
        ({"model_type": "emofusion_unimodal", "hidden_size": -1}, "hidden_size is -1"),
    ):
        assert_one_sentence(type(case.config()), {"emofusion_format": 2, "member_configs": [member]}, name)


def test_other_senseless_values_are_refused():
    fusion = BY_NAME["cross_attention"].config()
    for change, name in (
        ({"class_weights": [0, 0, 0]}, "class_weights"),
        ({"class_weights": [1, -1, 1]}, "class_weights"),
        ({"class_weights": [1, NAN, 1]}, "class_weights"),
        ({"model_type": "emofusion_unimodal"}, "model_type"),
        ({"model_type": 3}, "model_type"),
        ({"to_dict": 3}, "'to_dict' is no field"),
        ({"modalities": ["audio"]}, "'modalities' is no field"),
    ):
        assert_one_sentence(type(fusion), fusion.to_dict() | change, name)
    for labels in (0, -1, "three", True, 10**9):
        with pytest.raises(ValueError, match=r"^num_labels is .*; it must be from 1 to"):
            type(fusion)(num_labels=labels)
    with pytest.raises(ValueError, match=r"^auxiliary_modalities is "):
        BY_NAME["wavfusion"].config(auxiliary_modalities=["smell"])
    with pytest.raises(ValueError, match=r"^depths is .*; it must be from 1 to 1024 in every stage\.$"):
        BY_NAME["speaker_resnet"].config(depths=[1, 10**6])


def test_assigned_value_is_checked():
    config = BY_NAME["wavfusion"].config()
    for name, value in (("text_hidden_size", 0), ("fusion", "sum"), ("margin", "wide")):
        with pytest.raises(ValueError, match=rf"^{name} is {value!r}; it must be [^\n]*\.$"):
            setattr(config, name, value)
    config.margin = 1  # whole numbers are numbers
    assert config.num_fusion_layers == WAVFUSION["num_fusion_layers"]


def test_file_of_wrong_field_is_named(tmp_path):
    BY_NAME["text"].config().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"hidden_size": 16', '"hidden_size": -16'))
    for load in (AutoConfig.from_pretrained, type(BY_NAME["text"].config()).from_pretrained):
        with pytest.raises(ValueError, match=rf"^config\.json of {re.escape(str(tmp_path))}: hidden_size is -16; it"):
            load(tmp_path)


def test_dtype_is_a_name_or_dtype_of_torch():
    for dtype in ("bfloat16", torch.bfloat16):
        assert BY_NAME["text"].config(dtype=dtype).dtype == torch.bfloat16
    for dtype in ("bfloat", torch.int8, 16):
        with pytest.raises(ValueError, match=r"^dtype is .*; it must be one of float32"):
            BY_NAME["text"].config(dtype=dtype)
