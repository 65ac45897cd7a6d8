"""A new fusion around pretrained encoders."""

import re

import pytest
import torch
from emofusion import CrossAttentionFusionForSequenceClassification, CrossAttentionFusionModel, UnimodalModel
from safetensors.torch import load_file, save_file
from testing_common import BERT, DATA2VEC, HUBERT, WAV2VEC2_GROUP, WAVLM, make_batch
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    Wav2Vec2Config,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)

FUSION = {"hidden_size": 16, "num_attention_heads": 2}
AUDIO = {key: value for key, value in WAV2VEC2_GROUP.items() if key != "model_type"} | {"hidden_dropout": 0.25}
TEXT = {key: value for key, value in BERT.items() if key != "model_type"} | {"hidden_dropout_prob": 0.25}


@pytest.fixture(scope="module")
def encoders():
    torch.manual_seed(7)
    return {"audio": Wav2Vec2Model(Wav2Vec2Config(**AUDIO)), "text": BertModel(BertConfig(**TEXT))}


@pytest.fixture(scope="module")
def folders(encoders, tmp_path_factory):
    root = tmp_path_factory.mktemp("pretrained")
    for modality, encoder in encoders.items():
        encoder.save_pretrained(root / modality)
    return {modality: str(root / modality) for modality in encoders}


def weights(model, modality: str) -> dict[str, torch.Tensor]:
    return dict(getattr(model.base_model, f"{modality}_encoder").state_dict())


def without_pooler(encoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder.state_dict().items() if not name.startswith("pooler")}


@pytest.mark.parametrize("model_class", [CrossAttentionFusionModel, CrossAttentionFusionForSequenceClassification])
def test_encoders_are_loaded_from_folders(model_class, encoders, folders):
    model = model_class.from_encoders_pretrained(**folders, **FUSION)
    for modality, encoder in encoders.items():
        assert_close(weights(model, modality), without_pooler(encoder), atol=0, rtol=0)
    assert type(model.config.audio_config) is Wav2Vec2Config
    assert model.config.audio_config.hidden_dropout == 0.25
    assert type(model.config.text_config) is BertConfig
    assert model.config.text_config.hidden_dropout_prob == 0.25


def test_encoders_may_be_given_as_models(folders):
    encoders = {
        "audio": Wav2Vec2Model.from_pretrained(folders["audio"]),
        "text": BertModel.from_pretrained(folders["text"]),
    }
    expected = {modality: without_pooler(encoder) for modality, encoder in encoders.items()}
    model = CrossAttentionFusionForSequenceClassification.from_encoders_pretrained(**encoders, **FUSION)
    for modality in encoders:
        assert_close(weights(model, modality), expected[modality], atol=0, rtol=0)
    assert model.model.audio_encoder is encoders["audio"]


def test_encoder_states_equal_those_of_encoder_alone(folders):
    batch = make_batch()
    valid = batch["attention_mask"].unsqueeze(-1)
    for options in ({}, {"attn_implementation": "eager"}):
        alone = BertModel.from_pretrained(folders["text"], **options)
        expected = alone(batch["input_ids"], batch["attention_mask"]).last_hidden_state * valid
        for source in (folders["text"], alone):
            model = UnimodalModel.from_encoders_pretrained(
                text=source, modality="text", hidden_size=16, **options
            ).eval()
            states = model(**batch, output_hidden_states=True, output_attentions=True)
            assert_close(states.hidden_states["text"][-1], expected)
            assert bool(states.attentions["text"]) == bool(options)  # only eager attention returns maps


def test_encoders_survive_saving_and_loading(encoders, folders, tmp_path):
    model = CrossAttentionFusionForSequenceClassification.from_encoders_pretrained(**folders, **FUSION, num_labels=3)
    model.eval().save_pretrained(tmp_path)
    loaded = CrossAttentionFusionForSequenceClassification.from_pretrained(tmp_path)
    assert_close(weights(loaded, "audio"), without_pooler(encoders["audio"]), atol=0, rtol=0)
    assert_close(loaded(**make_batch()).logits, model(**make_batch()).logits)


def test_encoder_without_checkpoint_is_built_from_configuration(encoders, folders):
    model = CrossAttentionFusionModel.from_encoders_pretrained(
        audio=folders["audio"], text_config=BERT | {"num_hidden_layers": 1}, **FUSION
    )
    assert_close(weights(model, "audio"), without_pooler(encoders["audio"]), atol=0, rtol=0)
    assert model.config.text_config.num_hidden_layers == 1


def test_fields_of_configuration_apply(folders):
    model = CrossAttentionFusionForSequenceClassification.from_encoders_pretrained(
        **folders, **FUSION, num_labels=5, freeze_audio_layers=-1, freeze_text_layers=1
    )
    assert model.classifier.out_features == 5
    assert not any(parameter.requires_grad for parameter in model.model.audio_encoder.parameters())
    assert not model.model.text_encoder.embeddings.word_embeddings.weight.requires_grad
    assert model.model.text_encoder.encoder.layer[1].output.dense.weight.requires_grad


def test_one_modality_takes_one_encoder(encoders, folders):
    model = UnimodalModel.from_encoders_pretrained(text=folders["text"], modality="text", hidden_size=16)
    assert_close(weights(model, "text"), without_pooler(encoders["text"]), atol=0, rtol=0)
    with pytest.raises(ValueError, match=r"^audio_config is given, but this UnimodalConfig uses text only"):
        UnimodalModel.from_encoders_pretrained(**folders, modality="text", hidden_size=16)


def test_checkpoints_with_pre_training_heads_are_accepted(tmp_path):
    torch.manual_seed(8)
    # These checkpoints have a head that is not needed, and the text checkpoint has no pooler.
    speech, language = Wav2Vec2ForPreTraining(Wav2Vec2Config(**AUDIO)), BertForMaskedLM(BertConfig(**TEXT))
    speech.save_pretrained(tmp_path / "speech")
    language.save_pretrained(tmp_path / "language")
    model = CrossAttentionFusionModel.from_encoders_pretrained(
        str(tmp_path / "speech"), str(tmp_path / "language"), **FUSION
    )
    assert_close(weights(model, "audio"), without_pooler(speech.wav2vec2), atol=0, rtol=0)
    assert_close(weights(model, "text"), without_pooler(language.bert), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("modality", "lost"),
    [
        ("audio", "encoder.layers.1.attention.k_proj.weight"),
        ("text", "encoder.layer.0.attention.self.query.weight"),
    ],
)
def test_checkpoint_without_some_weights_is_refused(modality, lost, encoders, tmp_path):
    encoders[modality].save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    message = (
        rf"^The {modality} checkpoint '{re.escape(str(tmp_path))}' lacks 1 weight of \w+ \({re.escape(lost)}.*\.$"
    )
    with pytest.raises(ValueError, match=message):
        CrossAttentionFusionModel.from_encoders_pretrained(**{modality: str(tmp_path)}, **FUSION)


@pytest.mark.parametrize("fields", [WAV2VEC2_GROUP, HUBERT, WAVLM, DATA2VEC], ids=lambda fields: fields["model_type"])
def test_missing_mask_embedding_is_initialised(fields, tmp_path):
    AutoModel.from_config(AutoConfig.for_model(**fields)).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["masked_spec_embed"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    vectors = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = UnimodalModel.from_encoders_pretrained(audio=str(tmp_path), hidden_size=16)
        vectors.append(model.audio_encoder.masked_spec_embed)
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
    assert ((vectors[0] >= 0) & (vectors[0] < 1)).all()
