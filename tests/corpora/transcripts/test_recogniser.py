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
    """Return a tone with varying pitch and loudness, `(samples,)`."""
    draw = np.random.default_rng(seed)
    loudness = np.repeat(draw.uniform(0.1, 1, samples // 800 + 1), 800)[:samples]
    return (loudness * np.sin(np.cumsum(draw.uniform(0, 1, samples)))).astype(np.float32)


# Around the lengths at which there is one frame more.
HUMS = [hum(samples, samples) for samples in (4000, 5554, 5555, 5600, 5679, 5680, 9333, 16000)]


@pytest.mark.parametrize("kind", ["ctc", "group"])
def test_transcript_equals_plain_model(models, kind):
    model = AutoModelForCTC.from_pretrained(models[kind]).eval()
    extractor = AutoFeatureExtractor.from_pretrained(models[kind])
    tokenizer = AutoTokenizer.from_pretrained(models[kind])
    recognise = Recogniser(models[kind])
    for waveform in HUMS:
        with torch.no_grad():
            logits = model(extractor(waveform, sampling_rate=RATE, return_tensors="pt").input_values).logits
        transcript = tokenizer.decode(logits[0].argmax(-1))
        assert transcript
        assert recognise([waveform]) == [transcript]


@pytest.mark.parametrize("kind", recogniser.MASKING)
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask:UserWarning")  # WavLM's own
def test_transcripts_do_not_depend_on_batch(tmp_path, kind):
    recognise = Recogniser(save_ctc(tmp_path, kind))
    assert recognise.can_batch
    alone = [recognise([waveform])[0] for waveform in HUMS]
    assert recognise(HUMS) == alone
    assert len(set(alone)) == len(alone)


def test_padding_sensitive_model_cannot_batch(models):
    recognise = Recogniser(models["group"])
    assert not recognise.can_batch
    assert recognise(HUMS) != [recognise([waveform])[0] for waveform in HUMS]


def test_whisper_transcripts_do_not_depend_on_batch(models):
    recognise = Recogniser(models["english"])
    assert recognise.can_batch
    assert recognise(HUMS) == [recognise([waveform])[0] for waveform in HUMS]
    assert any(recognise(HUMS))


def test_whisper_transcribes_long_recording(models):
    recognise, seen = Recogniser(models["english"]), []
    first_layer = recognise._pipeline.model.get_encoder().conv1
    first_layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    recording = hum(5 * RATE)
    assert recognise.is_long(recording)
    assert not recognise.is_long(recording[: WINDOW * RATE])
    assert recognise([recording])[0]
    assert len(seen) >= 3
    frames = AutoFeatureExtractor.from_pretrained(models["english"])(
        recording, sampling_rate=RATE, truncation=False, padding="longest", return_tensors="pt"
    ).input_features[0]
    for place in (0, 250, -1):
        assert any((frames[:, place, None] == window[0]).all(0).any() for window in seen)


def test_ctc_transcribes_long_recording_in_windows(models, monkeypatch):
    monkeypatch.setattr(recogniser, "LONG", 1.0)
    recognise = Recogniser(models["ctc"])
    window, frames = hum(RATE), []
    recognise._pipeline.model.register_forward_hook(lambda *call: frames.append(call[-1].logits.shape[1]))
    first, second = (np.concatenate([window, hum(2 * RATE, seed)]) for seed in (1, 2))
    assert recognise.is_long(first)
    assert not recognise.is_long(window)
    assert recognise([first]) != recognise([second])
    assert max(frames) <= 50
    assert len(frames) > 4


def test_language_is_passed_to_multilingual_model(models, monkeypatch):
    languages = []
    for language in (None, "German", "de"):
        recognise = Recogniser(models["whisper"], language=language)
        generate = recognise._pipeline.model.generate

        def spy(*given, generate=generate, **options):
            languages.append((options["language"], options["task"]))
            return generate(*given, **options)

        monkeypatch.setattr(recognise._pipeline.model, "generate", spy)
        recognise(HUMS[:2])
    assert languages == [(None, "transcribe"), ("german", "transcribe"), ("de", "transcribe")]


@pytest.mark.parametrize(
    ("kind", "language", "message"),
    [
        ("whisper", "klingon", "does not know the language 'klingon'; it knows de, en"),
        ("english", "en", "takes no language, but 'en' is given"),
        ("ctc", "en", "takes no language"),
    ],
)
def test_unknown_language_is_refused(models, kind, language, message):
    with pytest.raises(ValueError, match=message):
        Recogniser(models[kind], language=language)


def test_missing_model_gives_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=r"^\S*nothing cannot be loaded as a speech recogniser: [^\n]+$"):
        Recogniser(str(tmp_path / "nothing"))


def test_bare_encoder_is_refused(models, tmp_path):
    Wav2Vec2Model.from_pretrained(models["ctc"]).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded as a speech recogniser: it is a Wav2Vec2Model"):
        Recogniser(str(tmp_path))


def test_pickled_weights_are_not_read(tmp_path):
    folder = Path(save_ctc(tmp_path))
    torch.save(AutoModelForCTC.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"cannot be loaded as a speech recogniser: .*safetensors"):
        Recogniser(str(folder))


def test_code_of_model_is_not_run(tmp_path):
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}, "architectures": ["Own"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('the code was run')\n")
    with pytest.raises(ValueError, match="cannot be loaded as a speech recogniser"):
        Recogniser(str(tmp_path))


def test_missing_device_gives_one_sentence(models):
    with pytest.raises(ValueError, match=r"^The device 'gpu of a friend' cannot be used: [^\n]+$"):
        Recogniser(models["ctc"], device="gpu of a friend")
