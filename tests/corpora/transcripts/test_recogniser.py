import json
from pathlib import Path

import numpy as np
import pytest
import torch
from emofusion.corpora.transcripts import recogniser
from emofusion.corpora.transcripts.recogniser import Recogniser
from testing_recognisers import WINDOW, save_ctc, save_whisper
from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer, Wav2Vec2Model

RATE = 16000


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    def folder(name):
        path = tmp_path_factory.mktemp(name)
        return path

    return {
        "ctc": save_ctc(folder("ctc")),
        "group": save_ctc(folder("group"), norm="group"),
        "whisper": save_whisper(folder("whisper")),
        "english": save_whisper(folder("english"), languages=()),
    }


def hum(samples: int, seed: int = 0) -> np.ndarray:
    """A tone whose pitch and loudness wander."""
    draw = np.random.default_rng(seed)
    loudness = np.repeat(draw.uniform(0.1, 1, samples // 800 + 1), 800)[:samples]
    return (loudness * np.sin(np.cumsum(draw.uniform(0, 1, samples)))).astype(np.float32)


# Around the lengths at which there is one frame more.
HUMS = [hum(samples, samples) for samples in (4000, 5554, 5555, 5600, 5679, 5680, 9333, 16000)]


@pytest.mark.parametrize("kind", ["ctc", "group"])
def test_a_recording_is_heard_as_the_model_hears_it(models, kind):
    model = AutoModelForCTC.from_pretrained(models[kind]).eval()
    extractor = AutoFeatureExtractor.from_pretrained(models[kind])
    tokenizer = AutoTokenizer.from_pretrained(models[kind])
    hear = Recogniser(models[kind])
    for waveform in HUMS:
        with torch.no_grad():
            logits = model(extractor(waveform, sampling_rate=RATE, return_tensors="pt").input_values).logits
        heard = tokenizer.decode(logits[0].argmax(-1))
        assert heard
        assert hear([waveform]) == [heard]


@pytest.mark.parametrize("kind", recogniser.MASKING)
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask:UserWarning")  # WavLM's own
def test_what_is_heard_does_not_depend_on_the_batch(tmp_path, kind):
    hear = Recogniser(save_ctc(tmp_path, kind))
    assert hear.can_batch
    alone = [hear([waveform])[0] for waveform in HUMS]
    assert hear(HUMS) == alone
    assert len(set(alone)) == len(alone)


def test_a_model_that_padding_would_disturb_wants_one_recording_at_a_time(models):
    hear = Recogniser(models["group"])
    assert not hear.can_batch
    assert hear(HUMS) != [hear([waveform])[0] for waveform in HUMS]


def test_whisper_hears_the_same_in_a_batch(models):
    hear = Recogniser(models["english"])
    assert hear.can_batch
    assert hear(HUMS) == [hear([waveform])[0] for waveform in HUMS]
    assert any(hear(HUMS))


def test_whisper_hears_a_long_recording_to_its_end(models):
    hear, seen = Recogniser(models["english"]), []
    first_layer = hear._pipeline.model.get_encoder().conv1
    first_layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    recording = hum(5 * RATE)
    assert hear.is_long(recording)
    assert not hear.is_long(recording[: WINDOW * RATE])
    assert hear([recording])[0]
    assert len(seen) >= 3
    frames = AutoFeatureExtractor.from_pretrained(models["english"])(
        recording, sampling_rate=RATE, truncation=False, padding="longest", return_tensors="pt"
    ).input_features[0]
    for place in (0, 250, -1):
        assert any((frames[:, place, None] == window[0]).all(0).any() for window in seen)


def test_ctc_hears_a_long_recording_in_windows_to_its_end(models, monkeypatch):
    monkeypatch.setattr(recogniser, "LONG", 1.0)
    hear = Recogniser(models["ctc"])
    window, frames = hum(RATE), []
    hear._pipeline.model.register_forward_hook(lambda *call: frames.append(call[-1].logits.shape[1]))
    first, second = (np.concatenate([window, hum(2 * RATE, seed)]) for seed in (1, 2))
    assert hear.is_long(first)
    assert not hear.is_long(window)
    assert hear([first]) != hear([second])
    assert max(frames) <= 50
    assert len(frames) > 4


def test_a_model_of_several_languages_is_told_one(models, monkeypatch):
    told = []
    for language in (None, "German", "de"):
        hear = Recogniser(models["whisper"], language=language)
        generate = hear._pipeline.model.generate

        def spy(*given, generate=generate, **options):
            told.append((options["language"], options["task"]))
            return generate(*given, **options)

        monkeypatch.setattr(hear._pipeline.model, "generate", spy)
        hear(HUMS[:2])
    assert told == [(None, "transcribe"), ("german", "transcribe"), ("de", "transcribe")]


@pytest.mark.parametrize(
    ("kind", "language", "message"),
    [
        ("whisper", "klingon", "does not know the language 'klingon'; it knows de, en"),
        ("english", "en", "cannot be told a language, but 'en' is given"),
        ("ctc", "en", "cannot be told a language"),
    ],
)
def test_a_language_that_a_model_does_not_know_is_refused(models, kind, language, message):
    with pytest.raises(ValueError, match=message):
        Recogniser(models[kind], language=language)


def test_a_model_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=r"^\S*nothing cannot be loaded as a speech recogniser: [^\n]+$"):
        Recogniser(str(tmp_path / "nothing"))


def test_an_encoder_is_no_recogniser(models, tmp_path):
    Wav2Vec2Model.from_pretrained(models["ctc"]).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded as a speech recogniser: it is a Wav2Vec2Model"):
        Recogniser(str(tmp_path))


def test_weights_that_are_pickled_are_not_read(tmp_path):
    folder = Path(save_ctc(tmp_path))
    torch.save(AutoModelForCTC.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"cannot be loaded as a speech recogniser: .*safetensors"):
        Recogniser(str(folder))


def test_code_of_a_model_is_not_run(tmp_path):
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}, "architectures": ["Own"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('the code was run')\n")
    with pytest.raises(ValueError, match="cannot be loaded as a speech recogniser"):
        Recogniser(str(tmp_path))


def test_a_device_that_is_not_there_is_one_sentence(models):
    with pytest.raises(ValueError, match=r"^The device 'gpu of a friend' cannot be used: [^\n]+$"):
        Recogniser(models["ctc"], device="gpu of a friend")
