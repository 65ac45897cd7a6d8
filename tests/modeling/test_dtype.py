"""The dtype of weights: float32 unless another is given, one for all parts, and inputs of another dtype."""

import json

import pytest
import torch
from emofusion import (
    CrossAttentionFusionForSequenceClassification,
    LateFusionForSequenceClassification,
    SpeakerResNetForSpeakerRecognition,
)
from testing_common import BERT, CASES, WAV2VEC2_GROUP, make_batch
from testing_matrix import every_case
from testing_pipeline import build, noise, scores
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForSequenceClassification,
    pipeline,
)

SMALL = {case.name: case for case in CASES}
FUSION = {"hidden_size": 16, "num_attention_heads": 2, "num_labels": 3}
HALVES = [torch.float16, torch.bfloat16]


def dtypes(model) -> set[torch.dtype]:
    return {value.dtype for value in model.state_dict().values() if value.is_floating_point()}


def saved_dtypes(folder) -> set[str]:
    """Return every dtype that a configuration names, at any depth."""

    def walk(value):
        if isinstance(value, dict):
            yield from ([value["dtype"]] if value.get("dtype") else [])
            value = list(value.values())
        for item in value if isinstance(value, list) else ():
            yield from walk(item)

    return set(walk(json.loads((folder / "config.json").read_text())))


def save_encoders(folder, dtype: torch.dtype) -> dict[str, str]:
    for name, fields in (("audio", WAV2VEC2_GROUP), ("text", BERT)):
        AutoModel.from_config(AutoConfig.for_model(**fields)).to(dtype).save_pretrained(folder / name)
    return {name: str(folder / name) for name in ("audio", "text")}


@pytest.mark.parametrize("half", HALVES)
def test_encoders_saved_in_half_precision_give_float32_weights(half, tmp_path):
    folders = save_encoders(tmp_path, half)
    assert AutoModel.from_pretrained(folders["text"]).dtype == half  # transformers loads in the saved dtype
    objects = {name: AutoModel.from_pretrained(folder) for name, folder in folders.items()}
    exact = {name: value.clone() for name, value in objects["text"].float().state_dict().items()}
    objects["text"].to(half)
    for encoders in (folders, objects, {"audio": folders["audio"], "text_config": BERT | {"dtype": "float16"}}):
        model = CrossAttentionFusionForSequenceClassification.from_encoders_pretrained(**encoders, **FUSION)
        assert dtypes(model) == {torch.float32}
        assert model.config.dtype == model.config.audio_config.dtype == torch.float32
        if "text" in encoders:
            loaded = model.model.text_encoder.state_dict()
            assert_close(loaded, {name: exact[name] for name in loaded}, atol=0, rtol=0)
        model(**make_batch()).loss.backward()
        model.save_pretrained(tmp_path / "saved")
        assert saved_dtypes(tmp_path / "saved") == {"float32"}


def test_given_dtype_is_that_of_all_parts(tmp_path):
    folders = save_encoders(tmp_path, torch.float16)
    for dtype in ("bfloat16", torch.bfloat16):
        model = CrossAttentionFusionForSequenceClassification.from_encoders_pretrained(
            **folders, **FUSION, dtype=dtype
        )
        assert dtypes(model) == {torch.bfloat16}
        model.save_pretrained(tmp_path / "saved")
        assert saved_dtypes(tmp_path / "saved") == {"bfloat16"}
    for dtype in ("auto", "int8", torch.int8, 16):
        with pytest.raises(ValueError, match=r"^dtype is .*; give float32, bfloat16 or float16"):
            CrossAttentionFusionForSequenceClassification.from_encoders_pretrained(**folders, **FUSION, dtype=dtype)


@pytest.mark.parametrize("name", ["cross_attention", "wavfusion", "speaker_resnet", "late_fusion"])
def test_checkpoint_saved_in_bfloat16_loads_in_float32_or_as_saved(name, tmp_path):
    SMALL[name].model().to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert saved_dtypes(tmp_path / "half") == {"bfloat16"}
    model_class = type(SMALL[name].model())
    loaders = (model_class, AutoModel, AutoModelForAudioClassification, AutoModelForSequenceClassification)
    for loader, dtype in zip(loaders, ("auto", "bfloat16", torch.bfloat16, "auto"), strict=True):
        assert dtypes(loader.from_pretrained(tmp_path / "half")) == {torch.float32}
        assert dtypes(loader.from_pretrained(tmp_path / "half", dtype=dtype)) == {torch.bfloat16}
    model = model_class.from_pretrained(tmp_path / "half")
    model.save_pretrained(tmp_path / "full")
    assert saved_dtypes(tmp_path / "full") == {"float32"}
    assert dtypes(AutoModel.from_config(AutoConfig.from_pretrained(tmp_path / "half"))) == {torch.bfloat16}


def test_members_saved_in_half_precision_give_float32_weights(tmp_path):
    members = [SMALL["speech"].model().half(), SMALL["text"].model().bfloat16()]
    members.append(AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**BERT, num_labels=3)).half())
    for number, member in enumerate(members):
        member.save_pretrained(tmp_path / str(number))
    for sources in ([tmp_path / str(number) for number in range(3)], members):
        model = LateFusionForSequenceClassification.from_members_pretrained(sources)
        assert dtypes(model) == {torch.float32}
        model.save_pretrained(tmp_path / "fused")
        assert saved_dtypes(tmp_path / "fused") == {"float32"}
    model = LateFusionForSequenceClassification.from_members_pretrained(sources, dtype="bfloat16")
    assert dtypes(model) == {torch.bfloat16}


def test_pipeline_runs_a_checkpoint_in_its_saved_dtype(tmp_path):
    recogniser = build(dtype=torch.bfloat16)
    recogniser.model.save_pretrained(tmp_path)
    recogniser.processor.save_pretrained(tmp_path)
    assert dtypes(pipeline("emotion-recognition", model=str(tmp_path)).model) == {torch.bfloat16}
    full = pipeline("emotion-recognition", model=str(tmp_path), dtype="float32")
    assert dtypes(full.model) == {torch.float32}
    assert scores(recogniser({"audio": {"array": noise(4000), "sampling_rate": 16000}, "text": "hello"})).keys() == {
        "sad",
        "happy",
        "angry",
    }


@every_case
@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_full_evaluation_in_half_precision_takes_float32_inputs(case):
    half = HALVES[CASES.index(case) % 2]  # every case is trained in bfloat16 in test_matrix.py
    batch = make_batch((4000, 300), (4, 0), (2, 0))
    model = case.model()
    exact = model(**batch)
    stored = model.encode(**batch)
    model.to(half)  # as `bf16_full_eval` and `fp16_full_eval` of Trainer do
    # oneDNN's bfloat16 convolution is wrong on some CPUs for at most 8 channels per group, which no real encoder has.
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        for output in (model(**batch), model(encoded=stored, labels=batch["labels"])):
            assert output.logits.dtype == half
            assert output.loss.isfinite()
            assert_close(output.logits.float().softmax(-1), exact.logits.softmax(-1), atol=0.2, rtol=0)
        no_video = batch | {"video_attention_mask": torch.zeros_like(batch["video_attention_mask"])}
        assert model(**no_video).logits.dtype == half or case.modalities == ("video",)


def test_constants_of_speaker_network_survive_half_precision():
    model = SpeakerResNetForSpeakerRecognition(SMALL["speaker_resnet"].config(num_speakers=3)).eval()
    batch = {name: make_batch()[name] for name in ("input_values", "audio_attention_mask", "labels")}
    exact = model(**batch).logits
    rounded = model.to(torch.bfloat16)(**batch)
    assert rounded.loss.isfinite()
    assert_close(rounded.logits, exact, atol=1.0, rtol=0)
    spectrogram = model.float().model.spectrogram
    assert_close((spectrogram.window, spectrogram.filters), spectrogram.constants(), atol=0, rtol=0)
