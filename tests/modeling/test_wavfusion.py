"""WavFusion: deep layers and their weights, gates, the control, and the loss."""

import pytest
import torch
from emofusion import WavFusionForSequenceClassification, WavFusionModel
from testing_common import BERT, CASES, VIT, WAV2VEC2_GROUP, WAV2VEC2_LAYER, WAVFUSION, WHISPER, make_batch
from testing_rows import rows_of
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel

FOUR_LAYERS = {"num_hidden_layers": 4}
ENCODERS = {"wav2vec2": WAV2VEC2_GROUP | FOUR_LAYERS, "wav2vec2-layer-norm": WAV2VEC2_LAYER | FOUR_LAYERS}
FIELDS = {name: value for name, value in WAVFUSION.items() if name != "audio_config"}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
every_encoder = pytest.mark.parametrize("audio", ENCODERS.values(), ids=ENCODERS)


def case(name: str):
    return next(case for case in CASES if case.name == name)


def encoder_from(fields: dict):
    torch.manual_seed(7)
    encoder = AutoModel.from_config(AutoConfig.for_model(**fields))
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder


@every_encoder
@pytest.mark.parametrize("auxiliary", [["text", "video"], ["text"]])
@pytest.mark.parametrize("model_class", [WavFusionModel, WavFusionForSequenceClassification])
def test_every_pre_trained_weight_is_used(model_class, audio, auxiliary, tmp_path):
    encoder = encoder_from(audio)
    encoder.save_pretrained(tmp_path)
    weights = encoder.state_dict()
    sub_configs = {"text_config": BERT} | ({"vision_config": VIT} if "video" in auxiliary else {})
    model = model_class.from_encoders_pretrained(
        audio=str(tmp_path), auxiliary_modalities=auxiliary, **sub_configs, **FIELDS
    ).base_model
    found = {f"audio_encoder.{name}": name for name in model.audio_encoder.state_dict()}
    for place, layer in enumerate((2, 3)):
        ours, theirs = f"deep_layers.{place}", f"encoder.layers.{layer}"
        for part in ("layer_norm", "final_layer_norm", "feed_forward.intermediate_dense", "feed_forward.output_dense"):
            found |= {f"{ours}.{part}.{kind}": f"{theirs}.{part}.{kind}" for kind in ("weight", "bias")}
        names = ["cross_attentions.text"] + (["self_attention"] if auxiliary == ["text"] else [])
        for name in names:
            found |= {
                f"{ours}.attention.{name}.{part}.{kind}": f"{theirs}.attention.{part}.{kind}"
                for part in PROJECTIONS
                for kind in ("weight", "bias")
            }
    if audio is ENCODERS["wav2vec2-layer-norm"]:
        found |= {f"deep_layer_norm.{kind}": f"encoder.layer_norm.{kind}" for kind in ("weight", "bias")}
    state = model.state_dict()
    for ours, theirs in found.items():
        assert torch.equal(state[ours], weights[theirs]), ours
    assert set(found.values()) == set(weights)
    new = {"cross_attentions.video", "gate"} if "video" in auxiliary else {"gate"}
    others = [name for name in state if name.startswith("deep_") and name not in found]
    assert all(any(part in name for part in new) for name in others)


def test_loading_keeps_trained_attention(tmp_path):
    model = case("wavfusion").model()
    with torch.no_grad():
        model.model.deep_layers[0].attention.cross_attentions["text"].q_proj.weight.fill_(0.5)
    model.save_pretrained(tmp_path)
    loaded = WavFusionForSequenceClassification.from_pretrained(tmp_path)
    assert (loaded.model.deep_layers[0].attention.cross_attentions["text"].q_proj.weight == 0.5).all()


@pytest.mark.parametrize("name", ["wavfusion", "wavfusion-layer-norm"])
def test_deep_layers_keep_order_of_their_normalisations(name):
    model = case(name).model(head=False)
    pre_norm = model.config.audio_config.do_stable_layer_norm
    states = {"audio": torch.randn(2, 7, 16), "text": torch.randn(2, 4, 20), "video": torch.randn(2, 3, 12)}
    masks = {name: torch.ones(2, value.shape[1], dtype=torch.bool) for name, value in states.items()}
    masks["audio"] = torch.arange(7) < torch.tensor([[7], [5]])
    rows = {name: rows_of(mask) for name, mask in masks.items()}
    streams = {name: branch(states[name], rows[name]) for name, branch in model.branches.items()}
    expected = rows["audio"].pack(states["audio"])
    for layer in model.deep_layers:
        if pre_norm:
            expected = expected + layer.attention(layer.layer_norm(expected), streams, rows)[0]
            expected = expected + layer.feed_forward(layer.final_layer_norm(expected))
        else:
            expected = layer.layer_norm(expected + layer.attention(expected, streams, rows)[0])
            expected = layer.final_layer_norm(expected + layer.feed_forward(expected))
    expected = rows["audio"].pad(model.deep_layer_norm(expected))
    assert isinstance(model.deep_layer_norm, torch.nn.LayerNorm) == pre_norm
    embedding = model.fuse({name: rows[name].pack(state) for name, state in states.items()}, rows, {}, False).embedding
    assert_close(embedding, torch.stack([expected[0].mean(dim=0), expected[1, :5].mean(dim=0)]))


def test_by_default_encoders_are_frozen():
    model = WavFusionModel(
        case("wavfusion").config(freeze_audio_layers=-1, freeze_text_layers=None, freeze_vision_encoder=True)
    )
    frozen = {name.split(".")[0] for name, value in model.named_parameters() if not value.requires_grad}
    trained = {name.split(".")[0] for name, value in model.named_parameters() if value.requires_grad}
    assert frozen == {"audio_encoder", "text_encoder", "vision_encoder"}
    assert trained == {"branches", "deep_layers", "homogeneous_encoder", "missing_modality_embeddings"}
    encoded = model.train().encode(**make_batch())
    assert encoded.audio.shape == (4, 18, 16)
    assert encoded.text.shape == (4, 9, 20)
    assert encoded.video.shape == (4, 5, 12)


def test_gates_and_maps_are_named_by_layer():
    batch = make_batch()
    output = case("wavfusion").model()(**batch, output_attentions=True)
    assert set(output.gates) == {"layer_3", "layer_4"}
    for gate in output.gates.values():
        assert gate.shape == (4, 18, 16)
        assert ((gate[0] > 0) & (gate[0] < 1)).all()
        assert (gate[1, 1:] == 0).all()  # 300 samples are one frame
    assert set(output.cross_attentions) == {
        f"layer_{layer}_audio_{other}" for layer in (3, 4) for other in ("text", "video")
    }
    output = case("wavfusion-video").model()(**batch, output_attentions=True)
    assert output.gates is None
    assert set(output.cross_attentions) == {"layer_3_audio_video", "layer_4_audio_video"}


def test_control_concatenates_means_after_same_layers():
    model = case("wavfusion-concat").model(head=False, pooling="mean")
    assert model.config.embedding_size == 16 + 16 + 8
    replaced = case("wavfusion").model(head=False)
    for layer, other in zip(model.deep_layers, replaced.deep_layers, strict=True):
        assert type(layer) is type(other)
        assert set(dict(layer.attention.named_children())) == set(PROJECTIONS)
    batch = make_batch()
    texts = model(**batch).embedding[:, 16:32]
    assert torch.equal(
        model(**batch | {"input_values": None, "audio_attention_mask": None}).embedding[:, 16:32], texts
    )


def test_control_may_have_no_fusion_layers():
    model = case("wavfusion-concat").model(num_fusion_layers=0)
    assert model(**make_batch()).loss.isfinite()


def test_discrepancy_learning_skips_missing_modalities():
    model = case("wavfusion").model()
    batch = make_batch(text_lengths=(4, 0, 1, 6), video_lengths=(3, 1, 0, 2))
    embeddings = model(**batch).modality_embeddings
    assert list(embeddings) == ["audio", "text", "video"]
    zero = {name: (vectors == 0).all(dim=-1).tolist() for name, vectors in embeddings.items()}
    assert zero["audio"] == [False] * 4
    assert zero["text"] == [False, True, False, False]
    assert zero["video"] == [False, False, True, False]


def test_weighted_discrepancy_is_part_of_loss():
    batch = make_batch()
    losses = {weight: case("wavfusion").model(discrepancy_weight=weight)(**batch).losses for weight in (0, 1, 10)}
    assert losses[1]["discrepancy"] > 0
    assert_close(losses[10]["discrepancy"], 10 * losses[1]["discrepancy"])
    assert set(losses[0]) == {"cross_entropy"}
    assert not any("homogeneous" in name for name in case("wavfusion").model(discrepancy_weight=0).state_dict())
    assert set(case("wavfusion-alone").model()(**batch).losses) == {"cross_entropy"}


def test_soft_label_counts_as_its_most_probable_class():
    model, batch = case("wavfusion").model(), make_batch()
    soft = 0.6 * torch.nn.functional.one_hot(batch["labels"], 3) + 0.4 / 3
    assert_close(model(**batch | {"labels": soft}).losses["discrepancy"], model(**batch).losses["discrepancy"])


def test_unsupported_encoder_is_refused():
    config = case("wavfusion-alone").config(audio_config=WHISPER | {"encoder_layers": 3})
    with pytest.raises(
        ValueError, match=r"^audio_config names the model_type 'whisper', which .* does not support; choose one of"
    ):
        WavFusionModel(config)
