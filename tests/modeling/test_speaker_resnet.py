"""The speaker network: recognition, transfer and freezing."""

import math

import pytest
import torch
from emofusion import (
    SpeakerResNetConfig,
    SpeakerResNetForSequenceClassification,
    SpeakerResNetForSpeakerRecognition,
    SpeakerResNetModel,
)
from testing_common import make_batch
from torch.testing import assert_close
from transformers import AutoModelForAudioXVector

SIZES = {"num_mel_bins": 16, "hidden_sizes": [4, 8], "depths": [1, 1], "embedding_size": 12}


def speaker_network(**fields):
    torch.manual_seed(0)
    return SpeakerResNetForSpeakerRecognition(SpeakerResNetConfig(**SIZES | {"num_speakers": 5} | fields)).eval()


def audio(*lengths):
    batch = make_batch(lengths or (9000, 4000, 6000))
    return {name: batch[name] for name in ("input_values", "audio_attention_mask")}


def test_loss_is_additive_margin_softmax():
    model, labels = speaker_network(am_softmax_scale=7.0, am_softmax_margin=0.3), [4, 0, 2]
    output = model(**audio(), labels=torch.tensor(labels))
    expected = 0.0
    for embedding, label in zip(output.embedding, labels, strict=True):
        cosines = [
            torch.cosine_similarity(embedding, weight, dim=0).item() for weight in model.speaker_classifier.weight
        ]
        own = math.exp(7.0 * (cosines[label] - 0.3))
        others = sum(math.exp(7.0 * cosine) for number, cosine in enumerate(cosines) if number != label)
        expected -= math.log(own / (own + others)) / 3
    assert output.loss.item() == pytest.approx(expected, abs=1e-5)
    assert_close(output.losses, {"am_softmax": output.loss})
    assert output.logits.abs().max() <= 7.0
    assert_close(
        output.logits[0, 2] / 7.0,
        torch.cosine_similarity(output.embedding[0], model.speaker_classifier.weight[2], dim=0),
    )


def test_labels_are_optional_and_output_may_be_tuple():
    model, batch = speaker_network(), audio()
    output = model(**batch)
    assert output.loss is None
    assert (output.logits.shape, output.embedding.shape) == ((3, 5), (3, 12))
    logits, embedding = model(**batch, return_dict=False)
    assert_close((logits, embedding), (output.logits, output.embedding))
    assert_close(model(encoded=model.model.encode(**batch)).logits, output.logits)


def test_loss_falls():
    model, batch, labels = speaker_network().train(), audio(), torch.tensor([4, 0, 2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    before = model(**batch, labels=labels).loss.item()
    for _ in range(15):
        optimizer.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
    assert model(**batch, labels=labels).loss.item() < 0.5 * before


def test_saving_and_loading_keep_every_output(tmp_path):
    model, batch = speaker_network(), audio()
    model.save_pretrained(tmp_path)
    for loader in (SpeakerResNetForSpeakerRecognition, AutoModelForAudioXVector):
        loaded = loader.from_pretrained(tmp_path)
        assert type(loaded) is type(model)
        assert_close(loaded(**batch).logits, model(**batch).logits)
    assert_close(SpeakerResNetModel.from_pretrained(tmp_path)(**batch).embedding, model(**batch).embedding)


def test_num_speakers_is_required():
    with pytest.raises(ValueError, match="num_speakers is not set"):
        speaker_network(num_speakers=None)


def test_speaker_network_is_transferred_to_emotion(tmp_path):
    model = speaker_network()
    model(**audio(), labels=torch.tensor([4, 0, 2])).loss.backward()
    with torch.no_grad():
        for buffer in model.buffers():  # running statistics are transferred too
            buffer.add_(1)
    model.save_pretrained(tmp_path)
    emotion, info = SpeakerResNetForSequenceClassification.from_pretrained(
        tmp_path, num_labels=3, output_loading_info=True
    )
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert set(info["unexpected_keys"]) == {"speaker_classifier.weight"}
    assert_close(emotion.model.state_dict(), model.model.state_dict(), atol=0, rtol=0)
    assert emotion(**audio()).logits.shape == (3, 3)


def test_spec_augment_needs_training_and_no_frozen_stage():
    batch = audio()

    def differs(mode, **fields):
        model = speaker_network(**fields).train(mode)
        model.model.audio_encoder.eval()  # batch normalisation differs between the modes
        return not torch.equal(model(**batch).embedding, model(**batch).embedding)

    assert differs(True, clean_share=0)
    assert not differs(False)
    assert not differs(True, apply_spec_augment=False, clean_share=0)
    assert not differs(True, freeze_audio_layers=1)


def test_share_of_utterances_stays_clean():
    torch.manual_seed(0)
    model = speaker_network(clean_share=0.25).train().model
    states = torch.ones(400, 20, 16)
    seen = []
    model.audio_encoder.run_stem = lambda states, mask: seen.append(states) or states
    model.audio_encoder.run_stages = lambda states, mask, *_: (states, mask, ())
    model._finish_audio(states, (20,) * 400, False, False)
    clean = (seen[0] == 1).all(dim=(1, 2)).float().mean().item()
    assert 0.2 < clean < 0.35  # a mask may have the width 0


@pytest.mark.parametrize("pooling", ["statistics", "attentive_statistics"])
def test_minus_one_freezes_pooling_and_embedding_layer_too(pooling):
    model = speaker_network(freeze_audio_layers=-1, pooling=pooling).train()
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == {
        "speaker_classifier.weight",
        "model.missing_modality_embeddings.audio",
    }
    assert not any(module.training for module in model.model.audio_encoder.modules())
    stages = speaker_network(freeze_audio_layers=2)
    assert stages.model.embedding_projection.weight.requires_grad
    assert not any(parameter.requires_grad for parameter in stages.model.audio_encoder.parameters())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depths": [1]}, "hidden_sizes has 2 numbers and depths has 1"),
        ({"depths": [1, 0]}, "from 1 to 1024"),
        ({"win_length": 600}, "win_length is 600"),
        ({"num_masks": 0}, "num_masks is 0"),
        ({"audio_config": {"model_type": "wav2vec2"}}, "audio_config is given"),
        ({"use_weighted_layer_sum": True}, "use_weighted_layer_sum is given"),
        ({"freeze_audio_layers": 3}, "has 2 layers"),
    ],
)
def test_invalid_value_gives_one_sentence(fields, message):
    with pytest.raises(ValueError, match=message):
        SpeakerResNetConfig(**SIZES | fields)
