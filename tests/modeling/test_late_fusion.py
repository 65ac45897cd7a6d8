"""Late fusion: members, labels, missing inputs, saving and errors."""

import json
import re

import pytest
import torch
from emofusion import LateFusionConfig, LateFusionForSequenceClassification, LateFusionModel, UnimodalConfig
from emofusion.configuration import VARIANTS
from emofusion.configuration.configuration_late_fusion import MEMBER_CONFIGS
from emofusion.modeling.fusion_late_members import MEMBER_MODELS
from safetensors.torch import load_file
from testing_common import BERT, CASES, INPUTS, SPEECH_MEMBER, TEXT_MEMBER, WAV2VEC2_GROUP, make_batch
from torch.testing import assert_close
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    Wav2Vec2Config,
    Wav2Vec2ForSequenceClassification,
)

LABELS = {"id2label": {0: "angry", 1: "happy", 2: "sad"}, "label2id": {"angry": 0, "happy": 1, "sad": 2}}
OTHER_ORDER = {"id2label": {0: "sad", 1: "angry", 2: "happy"}, "label2id": {"sad": 0, "angry": 1, "happy": 2}}
AUDIO = {name: value for name, value in WAV2VEC2_GROUP.items() if name != "model_type"}
TEXT = {name: value for name, value in BERT.items() if name != "model_type"}


def members() -> list:
    """Return four classifiers: speech and text of emofusion, and speech and text of transformers."""
    torch.manual_seed(3)
    small = {case.name: case for case in CASES}
    return [
        small["speech-layer-norm"].model(**LABELS),
        small["text"].model(**OTHER_ORDER),
        Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**AUDIO, **OTHER_ORDER)).eval(),
        BertForSequenceClassification(BertConfig(**TEXT, **LABELS)).eval(),
    ]


@pytest.fixture
def folders(tmp_path):
    for number, member in enumerate(members()):
        member.save_pretrained(tmp_path / str(number))
    return [str(tmp_path / str(number)) for number in range(4)]


def log_probabilities(model, batch) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch).logits.log_softmax(dim=-1)


def test_every_variant_but_itself_can_be_member():
    expected = {f"emofusion_{variant}" for variant in VARIANTS} - {"emofusion_late_fusion"}
    assert set(MEMBER_CONFIGS) == set(MEMBER_MODELS) == expected
    for model_type, model in MEMBER_MODELS.items():
        assert MEMBER_CONFIGS[model_type] is model.config_class


@pytest.mark.parametrize("case", [case for case in CASES if not case.has_members], ids=lambda case: case.name)
def test_member_gives_same_result_as_alone(case):
    member, batch = case.model(), make_batch()
    fusion = LateFusionForSequenceClassification.from_members_pretrained([member])
    assert fusion.config.modalities == case.modalities
    assert_close(log_probabilities(fusion, batch), log_probabilities(member, batch))


def test_embedding_follows_label_order_of_fusion():
    batch, classifiers = make_batch((4000, 4000), (5, 5)), members()
    model = LateFusionModel.from_members_pretrained(classifiers, **LABELS)
    scores = model(**batch).embedding.view(2, 4, 3)
    expected = [
        log_probabilities(classifiers[0], batch),
        log_probabilities(classifiers[1], batch)[:, [1, 2, 0]],
        log_probabilities(classifiers[2], {"input_values": batch["input_values"]})[:, [1, 2, 0]],
        log_probabilities(classifiers[3], {"input_ids": batch["input_ids"]}),
    ]
    assert_close(scores, torch.stack(expected, dim=1), atol=1e-5, rtol=0)
    assert_close(scores.exp().sum(dim=-1), torch.ones(2, 4))


def test_labels_default_to_those_of_first_member():
    assert LateFusionConfig(member_configs=[member.config for member in members()]).id2label == LABELS["id2label"]
    config = LateFusionConfig(member_configs=[member.config for member in members()], **OTHER_ORDER)
    assert config.label2id == OTHER_ORDER["label2id"]
    assert LateFusionConfig(num_labels=5).member_configs[1].num_labels == 5


@pytest.mark.parametrize("missing", ["row", "batch"])
def test_member_without_input_is_left_out(missing):
    batch, classifiers = make_batch((4000, 4000), (5, 5)), members()
    model = LateFusionForSequenceClassification.from_members_pretrained(classifiers, **LABELS)
    text_only = LateFusionForSequenceClassification.from_members_pretrained([classifiers[1], classifiers[3]], **LABELS)
    if missing == "row":
        batch["audio_attention_mask"][1] = 0
    else:
        batch["input_values"] = batch["audio_attention_mask"] = None
    embedding = model(**batch).embedding.view(2, 4, 3)
    assert (embedding[1, [0, 2]] == 0).all()
    assert_close(log_probabilities(model, batch)[1], log_probabilities(text_only, batch)[1])


def test_member_uses_prefixed_inputs():
    model = LateFusionModel.from_members_pretrained(members(), **LABELS)
    batch, other = make_batch(seed=0), make_batch(seed=1, text_lengths=(2, 3, 8, 5))
    own = {f"member_3_{name}": other[name] for name in INPUTS["text"]}
    scores, expected = model(**batch, **own).embedding, model(**batch).embedding
    assert_close(scores[:, :9], expected[:, :9])
    assert_close(scores[:, 9:], model(**other).embedding[:, 9:])
    own = {f"member_0_{name}": other[name] for name in INPUTS["audio"]}
    batch["input_values"] = None
    scores = model(**batch, **own).embedding
    assert_close(scores[:, :3], model(**other).embedding[:, :3])
    assert (scores[:, 6:9] == 0).all()


def test_members_are_loaded_from_folders(folders):
    model = LateFusionForSequenceClassification.from_members_pretrained(folders, combination="weighted", **LABELS)
    for loaded, member in zip(model.model.members, members(), strict=True):
        assert type(loaded) is type(member)
        assert_close(dict(loaded.state_dict()), dict(member.state_dict()), atol=0, rtol=0)
    assert not model.training
    assert model.config.combination == "weighted"
    assert_close(model.classifier.weights, torch.full((4,), 0.25))


def test_folder_holds_all_members_without_their_paths(folders, tmp_path):
    model = LateFusionForSequenceClassification.from_members_pretrained(folders, **LABELS)
    model.save_pretrained(tmp_path / "fused")
    weights = load_file(tmp_path / "fused" / "model.safetensors")
    assert {name.split(".")[2] for name in weights if name.startswith("model.members.")} == {"0", "1", "2", "3"}
    config = json.loads((tmp_path / "fused" / "config.json").read_text())
    assert str(tmp_path) not in json.dumps(config["member_configs"])
    assert [member["model_type"] for member in config["member_configs"]] == [
        "emofusion_unimodal",
        "emofusion_unimodal",
        "wav2vec2",
        "bert",
    ]
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "fused")
    assert_close(log_probabilities(loaded, make_batch()), log_probabilities(model, make_batch()))


def test_dtype_and_attention_implementation_reach_members(folders, tmp_path):
    LateFusionForSequenceClassification.from_members_pretrained(folders).save_pretrained(tmp_path / "fused")
    model = AutoModel.from_pretrained(tmp_path / "fused", dtype="bfloat16", attn_implementation="eager")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    batch = make_batch()
    maps = model.members[3](input_ids=batch["input_ids"], output_attentions=True).attentions
    assert len(maps) == 2  # only eager attention returns maps
    batch["input_values"] = batch["input_values"].bfloat16()
    assert len(model.members[0](**batch, output_attentions=True).attentions["audio"]) == 2


@pytest.mark.parametrize("combination", ["weighted", "logistic"])
def test_only_combination_is_trained_with_frozen_members(combination):
    model = LateFusionForSequenceClassification.from_members_pretrained(
        members(), combination=combination, **LABELS
    ).train()
    assert not any(module.training for module in model.model.members.modules())
    model(**make_batch()).loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {f"classifier.{name}" for name, _ in model.classifier.named_parameters()}


def test_trainable_members_keep_their_own_frozen_layers():
    classifiers = [{case.name: case for case in CASES}["text"].model(freeze_text_layers=-1)]
    model = LateFusionForSequenceClassification.from_members_pretrained(classifiers, freeze_members=False).train()
    model(**make_batch()).loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {
        name for name, _ in model.named_parameters() if not name.startswith("model.members.0.model.text_encoder.")
    }


def config_of(**others) -> dict:
    return {"member_configs": [SPEECH_MEMBER | LABELS, TEXT_MEMBER | LABELS], **others}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"member_configs": []}, "member_configs is empty"),
        (
            {"member_configs": [SPEECH_MEMBER | LABELS, TEXT_MEMBER | {"num_labels": 3}]},
            r"Member 1 \(emofusion_unimodal\) has the labels LABEL_0, LABEL_1, LABEL_2, and the fusion angry, happy",
        ),
        (config_of(num_labels=4), "Member 0"),
        ({"member_configs": [{"model_type": "emofusion_late_fusion"}]}, "cannot be a member of another"),
        ({"member_configs": [{"model_type": "nothing"}]}, "model_type 'nothing'"),
        ({"member_configs": [{"hidden_size": 8}]}, "model_type None"),
        ({"member_configs": [{"model_type": "whisper"}]}, "whisper .*does not take waveforms"),
        ({"member_configs": [{"model_type": "audio-spectrogram-transformer"}]}, "does not take waveforms"),
        ({"member_configs": [{"model_type": "wav2vec2-bert"}]}, "wav2vec2-bert .*does not take waveforms"),
        ({"member_configs": [{"model_type": "vit"}]}, "vit .*classifies neither audio nor text"),
        (
            {"member_configs": [BERT | {"problem_type": "regression"}]},
            r"Member 0 \(bert\) is a model of transformers, which",
        ),
        (config_of(modality_dropout=0.1), "modality_dropout is given"),
        (config_of(classifier_dropout=0.1), "classifier_dropout is given"),
        (config_of(classifier_proj_size=8), "classifier_proj_size is given"),
        (config_of(audio_config=WAV2VEC2_GROUP), "audio_config is given"),
        (config_of(freeze_audio_layers=1), "freeze_audio_layers is given"),
    ],
)
def test_wrong_configuration_is_one_sentence(fields, message):
    with pytest.raises(ValueError, match=message) as caught:
        LateFusionConfig(**fields)
    assert "\n" not in str(caught.value)


def test_encoder_without_head_is_refused(tmp_path):
    BertModel(BertConfig(**TEXT, **LABELS)).save_pretrained(tmp_path)
    message = rf"^{re.escape(str(tmp_path))} lacks 2 weights of BertForSequenceClassification \(classifier\.bias"
    with pytest.raises(ValueError, match=message):
        LateFusionForSequenceClassification.from_members_pretrained([tmp_path])


def test_folder_that_cannot_be_member_is_named(tmp_path):
    LateFusionConfig(member_configs=[UnimodalConfig(**SPEECH_MEMBER)]).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path))}: A late fusion cannot be a member"):
        LateFusionModel.from_members_pretrained([str(tmp_path)])


def test_pickled_weights_are_not_loaded(tmp_path):
    BertConfig(**TEXT, **LABELS).save_pretrained(tmp_path)
    torch.save(
        BertForSequenceClassification(BertConfig(**TEXT, **LABELS)).state_dict(), tmp_path / "pytorch_model.bin"
    )
    with pytest.raises(OSError, match="safetensors"):
        LateFusionModel.from_members_pretrained([tmp_path])
