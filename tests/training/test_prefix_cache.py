import pickle
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
import torch
from datasets import Dataset
from emofusion.configuration.modalities import host_lengths
from emofusion.corpora.schema import features
from emofusion.modeling.modeling_emofusion import EmoFusionModel
from emofusion.processing import EmoFusionProcessor
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.prefix.cache import PrefixGuard, build_prefix_cache, use_prefix_cache
from emofusion.training.prefix.store import PrefixStore
from emofusion.training.processor_building import train_tokenizer
from safetensors.torch import load_file
from testing_common import AUDIO_LENGTHS, CASES, CLASSES, IMAGE, VOCABULARY
from testing_matrix import every_encoding_case
from torch.testing import assert_close
from transformers import TrainerState, ViTImageProcessorPil, Wav2Vec2FeatureExtractor

LABELS = [str(number) for number in range(CLASSES)]
TEXTS = ["so it is", None, "a very long day it was", "glad"]
BY_NAME = {case.name: case for case in CASES}
FROZEN = {"freeze_audio_layers": -1, "freeze_text_layers": -1}


def film(path, seed):
    colours = np.random.default_rng(seed).integers(0, 255, (6, 3))
    with av.open(path, "w", format="matroska") as file:
        stream = file.add_stream("ffv1", rate=5)
        stream.width = stream.height = IMAGE
        stream.pix_fmt = "bgr0"
        for number, colour in enumerate(colours):
            frame = av.VideoFrame.from_ndarray(np.full((IMAGE, IMAGE, 3), colour, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Four utterances: three lack a modality or alignment, one is a span of a file, and one is embedded."""
    folder, found = tmp_path_factory.mktemp("rows"), []
    for number, (samples, text) in enumerate(zip(AUDIO_LENGTHS, TEXTS, strict=True)):
        noise = np.random.default_rng(number).normal(0, 0.1, 16000)
        # Not FLOAT, whose header has the time of writing: keys, and so buckets, would differ between runs of the test.
        soundfile.write(folder / f"{number}.wav", noise[: max(samples, 1000)], 16000, subtype="PCM_24")
        film(folder / f"{number}.mkv", number)
        audio = {"path": str(folder / f"{number}.wav"), "bytes": None, "start": 0.0, "end": samples / 16000}
        if number == 3:
            audio |= {"bytes": (folder / "3.wav").read_bytes(), "path": "gone.wav"}
        words = {"start": [0.0, 0.02], "end": [0.01, 0.1], "symbol": ["x", "y"]}
        found.append(
            {
                "id": f"u{number}",
                "audio": None if number == 2 else audio,
                "text": text,
                "label": number % CLASSES,
                "video": None
                if number == 3
                else {"path": str(folder / f"{number}.mkv"), "start": 0.0, "end": 1.0, "crop": None},
                "alignment": dict.fromkeys(("word", "syllable", "phone"), words),
            }
        )
    missing = {name: None for name in features(LABELS) if name not in found[0]}
    return Dataset.from_list([row | missing for row in found], features=features(LABELS))


def processor_for(case, **settings):
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True) if "audio" in case.modalities else None
    tokenizer = train_tokenizer(filter(None, TEXTS), VOCABULARY, 16) if "text" in case.modalities else None
    images = ViTImageProcessorPil(size={"height": IMAGE, "width": IMAGE}) if "video" in case.modalities else None
    return EmoFusionProcessor(extractor, tokenizer, images, **settings)


@pytest.fixture
def arguments(tmp_path):
    def make(**others):
        options = {"use_cpu": True, "disable_tqdm": True, "cache_prefix": True, "cache_dir": str(tmp_path / "cache")}
        return EmotionTrainingArguments(str(tmp_path / "run"), **options | others)

    return make


@pytest.fixture
def encoded_rows(monkeypatch):
    """Count the rows that go through a first stage."""
    counts, encode = [], EmoFusionModel.encode

    def counting(self, *args, **batch):
        counts.append(len(next(value for value in (*args, *batch.values()) if value is not None)))
        return encode(self, *args, **batch)

    monkeypatch.setattr(EmoFusionModel, "encode", counting)
    return counts


def build(case, rows, args, processor=None, **fields):
    model, processor = case.model(**fields), processor or processor_for(case)
    plain = EmotionCollator(processor, LABELS)
    (cached,) = use_prefix_cache([plain], model, [rows], args)
    return model, plain, cached


def stores(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


@every_encoding_case
def test_logits_and_gradients_are_those_without_a_cache(case, rows, arguments):
    settings = [case.freezings[-1], {"freeze_audio_layers": 1} if "audio" in case.modalities else {}]
    for freezing in settings if case.modalities != ("text",) else settings[:1]:
        model, plain, cached = build(case, rows, arguments(per_device_eval_batch_size=3), **freezing)
        gradients, outputs = [], []
        for collator in (plain, cached):
            model.zero_grad()
            torch.manual_seed(1)
            outputs.append(model.train()(**collator(list(rows))))
            outputs[-1].loss.backward()
            gradients.append({name: weight.grad for name, weight in model.named_parameters()})
        assert_close(outputs[1].logits, outputs[0].logits, atol=1e-5, rtol=0)
        assert_close(outputs[1].loss, outputs[0].loss, atol=1e-5, rtol=0)
        for name, gradient in gradients[0].items():
            assert (gradient is None) == (gradients[1][name] is None), (freezing, name)
            if gradient is not None:
                scale = max(1.0, gradient.abs().max().item())
                assert_close(gradients[1][name], gradient, atol=1e-5 * scale, rtol=0, msg=f"{freezing} {name}")


def test_an_utterance_does_not_depend_on_its_batch(rows, arguments):
    model, plain, cached = build(BY_NAME["wavfusion"], rows, arguments(per_device_eval_batch_size=3), **FROZEN)
    for company in ([3, 2], [1], [0, 0], [2], [1, 3, 0]):
        some = [rows[index] for index in company]
        with torch.no_grad():
            assert_close(model(**cached(some)).logits, model(**plain(some)).logits, atol=1e-5, rtol=0)


def test_lengths_are_those_of_the_masks(rows, arguments):
    for name in ("wavfusion", "multi_level"):
        _, _, cached = build(BY_NAME[name], rows, arguments(), **BY_NAME[name].freezings[-1])
        for some in ([0, 1, 2, 3], [2], [3, 2]):
            encoded = cached([rows[index] for index in some])["encoded"]
            assert encoded["lengths"] == host_lengths(encoded) | {
                key.removesuffix("_mask"): tuple(mask.sum(dim=1).tolist())
                for key, mask in encoded.items()
                if key.endswith("_mask")
            }


def test_a_batch_without_words_keeps_its_alignment(rows, arguments):
    model, plain, cached = build(BY_NAME["multi_level"], rows, arguments(), **FROZEN)
    for company in ([1], [1, 1]):
        some = [rows[index] for index in company]
        assert_close(model(**cached(some)).logits, model(**plain(some)).logits, atol=1e-5, rtol=0)
        assert (cached(some)["encoded"]["word_spans"] == plain(some)["word_spans"]).all()


def test_cached_media_are_not_decoded(rows, arguments, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("decoded")

    _, plain, cached = build(BY_NAME["wavfusion"], rows, arguments(), **FROZEN)
    monkeypatch.setattr("emofusion.processing.processing_emofusion.load_audio", refuse)
    monkeypatch.setattr("emofusion.processing.processing_emofusion.load_video", refuse)
    with pytest.raises(AssertionError, match="decoded"):
        plain(list(rows))
    assert set(cached(list(rows))["encoded"]) == {
        *("audio", "audio_mask", "text", "text_mask", "video", "video_mask", "lengths"),
    }


def test_spec_augment_still_differs_from_epoch_to_epoch(rows, arguments):
    model, _, cached = build(BY_NAME["speech"], rows, arguments(), dropout=False)
    batch, config = cached([rows[0]]), model.train().config.audio_config
    assert torch.equal(model(**batch).logits, model(**batch).logits)
    config.apply_spec_augment = True
    assert (model(**batch).logits - model(**batch).logits).abs().max() > 1e-3


def test_bfloat16_halves_the_space_and_rounds(rows, arguments, tmp_path):
    case = BY_NAME["cross_attention"]
    model, plain, cached = build(case, rows, arguments(cache_dtype="bfloat16"), **FROZEN)
    exact = build(case, rows, arguments(), **FROZEN)[2]
    batch = cached(list(rows))
    assert batch["encoded"]["audio"].dtype == torch.float32
    predicted = [model(**collator(list(rows))).logits.log_softmax(-1) for collator in (plain, cached)]
    assert_close(predicted[1], predicted[0], atol=0.05, rtol=0)
    assert not torch.equal(predicted[1], predicted[0])
    assert batch["encoded"]["audio"].equal(exact(list(rows))["encoded"]["audio"].bfloat16().float())


def test_models_with_the_same_frozen_encoder_share_a_store(rows, arguments, tmp_path, encoded_rows):
    args, case = arguments(), BY_NAME["cross_attention"]
    model = build(case, rows, args, **FROZEN)[0]
    before = stores(tmp_path / "cache")
    assert len(before) == 2
    encoded_rows.clear()
    others = [
        (case, {"hidden_size": 8, "classifier_dropout": 0.5, "num_labels": 2}),
        (BY_NAME["multi_level"], {}),
        (BY_NAME["speech"], {"freeze_audio_layers": -1}),
        (BY_NAME["text"], {"freeze_text_layers": -1}),
    ]
    for other, fields in others:
        another = other.model(
            seed=1, **{name: value for name, value in FROZEN.items() if name[7:-7] in other.modalities} | fields
        )
        for kind in ("audio_encoder", "text_encoder"):
            if hasattr(another.model, kind):
                getattr(another.model, kind).load_state_dict(getattr(model.model, kind).state_dict())
        build_prefix_cache(another, processor_for(other), [rows.select([2, 1]), rows], args)
    assert stores(tmp_path / "cache") == before
    assert not encoded_rows


@pytest.mark.parametrize(
    "change",
    [
        {"weights": True},
        {"processor": {"max_seconds": 0.5}},
        {"args": {"cache_dtype": "bfloat16"}},
        {"args": {"bf16": True}},
        {"fields": {"freeze_audio_layers": 1}},
    ],
    ids=lambda change: next(iter(change.values())).__repr__(),
)
def test_a_different_prefix_has_another_store(change, rows, arguments, tmp_path):
    case = BY_NAME["speech"]
    build(case, rows, arguments(), freeze_audio_layers=-1)
    model = case.model(dropout=False, **{"freeze_audio_layers": -1} | change.get("fields", {}))
    if "weights" in change:
        with torch.no_grad():
            model.model.audio_encoder.encoder.layers[1].final_layer_norm.bias[0] += 1
    processor = processor_for(case, **change.get("processor", {}))
    build_prefix_cache(model, processor, [rows], arguments(**change.get("args", {})))
    assert len(stores(tmp_path / "cache")) == 2


def test_a_recording_is_identified_by_its_content(rows, arguments, tmp_path, encoded_rows):
    case, args = BY_NAME["speech"], arguments()
    path = tmp_path / "moved.wav"
    shutil.copy(rows[0]["audio"]["path"], path)
    moved = Dataset.from_list([rows[0] | {"audio": rows[0]["audio"] | {"path": str(path)}}], features=rows.features)
    build(case, rows, args)
    encoded_rows.clear()
    model, plain, cached = build(case, moved, args)
    assert not encoded_rows
    soundfile.write(path, np.random.default_rng(9).normal(0, 0.1, 16000), 16000, subtype="FLOAT")
    model, plain, cached = build(case, moved, args)
    assert encoded_rows[-1] == 1
    assert_close(model(**cached(list(moved))).logits, model(**plain(list(moved))).logits, atol=1e-5, rtol=0)


def test_unchanged_files_are_read_once(rows, arguments, tmp_path, monkeypatch):
    case, args, read = BY_NAME["speech"], arguments(), []
    monkeypatch.setattr("emofusion.training.prefix.keys.JUST_NOW", -(10**18))
    build(case, rows, args)
    from emofusion.training.prefix import keys as prefix_keys

    opened = prefix_keys.open_source
    monkeypatch.setattr(prefix_keys, "open_source", lambda path, name: read.append(path) or opened(path, name))
    build(case, rows, args)
    assert not read


def test_an_interrupted_fill_continues(rows, arguments, tmp_path, monkeypatch, encoded_rows):
    case, args = BY_NAME["speech"], arguments(per_device_eval_batch_size=1)
    counting = EmoFusionModel.encode

    def failing(self, **batch):
        if len(encoded_rows) == 3:  # one is of the estimate
            raise KeyboardInterrupt
        return counting(self, **batch)

    with monkeypatch.context() as patch:
        patch.setattr(EmoFusionModel, "encode", failing)
        with pytest.raises(KeyboardInterrupt):
            build(case, rows, args)
    (folder,) = (tmp_path / "cache" / name for name in stores(tmp_path / "cache"))
    kept = len(PrefixStore(folder, torch.float32))
    assert kept == 2
    assert not list(folder.glob("*.partial"))
    encoded_rows.clear()
    model, plain, cached = build(case, rows, args)
    assert sum(encoded_rows) == 1 + 3 - kept
    assert_close(model(**cached(list(rows))).logits, model(**plain(list(rows))).logits, atol=1e-5, rtol=0)


def test_a_spawned_worker_reads_the_same(rows, arguments):
    cached = build(BY_NAME["wavfusion"], rows, arguments(), **FROZEN)[2]
    batch = cached(list(rows))
    again = pickle.loads(pickle.dumps(cached))(list(rows))
    assert_close(again, batch, atol=0, rtol=0)


def test_a_missing_row_is_named(rows, arguments):
    cached = build(BY_NAME["speech"], rows.select([0]), arguments())[2]
    with pytest.raises(ValueError, match=r"^The audio of row 'u1' is not in the prefix cache .*\.$"):
        cached([rows[0], rows[1]])


def test_a_disk_without_room_is_refused_first(rows, arguments, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match=r"needs about \S+ k?B, and \S+ k?B are free; give another cache_dir"):
        build(BY_NAME["speech"], rows, arguments())


def test_the_estimated_size_is_close_to_the_actual_one(rows, arguments, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "emofusion.training.prefix.fill.check_room", lambda store, needed: asked.append((store, needed))
    )
    build(BY_NAME["wavfusion"], rows, arguments(), **FROZEN)
    for store, needed in asked:
        taken = sum(load_file(file)["states"].nbytes for file in store.folder.glob("*.safetensors"))
        assert needed == pytest.approx(taken, rel=0.15), store.folder


def test_a_model_without_frozen_parameters_is_refused(rows, arguments):
    with pytest.raises(ValueError, match="nothing in this UnimodalForSequenceClassification is frozen; freeze a part"):
        build(BY_NAME["text"], rows, arguments())


def test_late_fusion_is_refused(rows, arguments):
    case = BY_NAME["late_fusion"]
    with pytest.raises(ValueError, match="a LateFusionForSequenceClassification has no encoders of its own"):
        build_prefix_cache(case.model(), processor_for(case), [rows], arguments())


def test_augmentation_of_cached_audio_is_refused(rows, arguments):
    case = BY_NAME["speech"]
    collators = [EmotionCollator(processor_for(case), LABELS, augment=dict)]
    with pytest.raises(ValueError, match=r"^cache_prefix and augmentation exclude each other"):
        use_prefix_cache(collators, case.model(), [rows], arguments())
    unfrozen = case.model(freeze_feature_encoder=False)
    with pytest.raises(ValueError, match="nothing in this"):
        use_prefix_cache(collators, unfrozen, [rows], arguments())


def test_an_unknown_dtype_is_refused(arguments):
    with pytest.raises(ValueError, match=r"^cache_dtype is 'int8'; choose one of float32, bfloat16\.$"):
        arguments(cache_dtype="int8")


def test_a_checkpoint_with_other_frozen_weights_is_refused(rows, arguments):
    args = arguments()
    model, _, cached = build(BY_NAME["speech"], rows, args)
    guard, resumed = PrefixGuard(cached.cache), TrainerState(global_step=3)
    guard.on_train_begin(args, resumed, None, model=model)
    with torch.no_grad():
        model.model.audio_encoder.feature_extractor.conv_layers[0].conv.weight += 1
    guard.on_train_begin(args, TrainerState(), None, model=model)
    with pytest.raises(ValueError, match=r"^The checkpoint's frozen audio encoder is not the one"):
        guard.on_train_begin(args, resumed, None, model=model)
