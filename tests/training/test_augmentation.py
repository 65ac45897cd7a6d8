import math
import random
import re

import numpy as np
import pytest
import soundfile
import torch
from emofusion.processing import EmoFusionProcessor
from emofusion.processing.media import load_audio
from emofusion.training.arguments import DataArguments
from emofusion.training.augmentation import Augmentation, describe_augmentation
from emofusion.training.collator import EmotionCollator, build_training_collator
from emofusion.training.processor_building import train_tokenizer
from torch.utils.data import DataLoader
from transformers import Wav2Vec2FeatureExtractor

RATE = 16000
EVERYTHING = {
    "speed": {"rate": [0.9, 1.1], "p": 0.5},
    "noise": {"snr_db": [5, 20], "p": 0.5},
    "gain": {"db": [-6, 6], "p": 0.5},
}


def sine(seconds=1.0, frequency=440.0):
    return (0.1 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def row(waveform, name="one", alignment=None):
    return {"id": name, "audio": {"array": waveform, "sampling_rate": RATE}, "alignment": alignment}


def augmented(options, waveform, **others):
    return Augmentation(options, RATE, seed=0)(row(waveform, **others))["audio"]["array"]


def power(waveform):
    return np.mean(waveform.astype(np.float64) ** 2)


def write(folder, name, waveform, rate=RATE):
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, waveform, rate, subtype="FLOAT")
    return str(folder)


@pytest.fixture
def voice(corpus):
    return load_audio(corpus["train"][0]["audio"], RATE)


@pytest.fixture(scope="module")
def collator(corpus):
    extractor = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    return EmotionCollator(EmoFusionProcessor(extractor), corpus["train"].features["label"].names)


@pytest.mark.parametrize("snr", [-5, 0, 20.5])
@pytest.mark.parametrize("source", ["white", "file"])
def test_noise_has_the_given_ratio(voice, tmp_path, source, snr):
    folder = None if source == "white" else write(tmp_path / "noises", "hum.wav", sine(9.0, 100))
    noise = augmented({"noise": {"snr_db": [snr, snr], "folder": folder}}, voice) - voice
    assert 10 * math.log10(power(voice) / power(noise)) == pytest.approx(snr, abs=0.01)


def test_white_noise_is_white(voice):
    noise = augmented({"noise": {"snr_db": [0, 0]}}, np.resize(voice, 2**16)) - np.resize(voice, 2**16)
    bands = (np.abs(np.fft.rfft(noise))[:-1] ** 2).reshape(8, -1).mean(axis=1)
    np.testing.assert_allclose(bands / bands.mean(), 1, atol=0.1)


def test_noise_is_a_random_segment_of_a_file_at_any_rate(tmp_path):
    # It rises, so that its level tells the place.
    write(tmp_path / "noises", "rising.wav", np.linspace(0, 0.5, 8000 * 8), rate=8000)
    options = {"noise": {"snr_db": [0, 0], "folder": str(tmp_path / "noises")}}
    waveform, places = sine(), []
    for number in range(12):
        noise = (augmented(options, waveform, name=str(number)) - waveform)[100:-100].astype(np.float64)
        slope, start = np.polyfit(np.arange(len(noise)), noise, 1)
        assert np.abs(np.polyval((slope, start), np.arange(len(noise))) - noise).max() < 1e-3
        places.append(start / slope / RATE)
    assert all(0 <= place <= 7.1 for place in places)
    assert max(places) - min(places) > 2


def test_a_short_noise_is_repeated(tmp_path):
    folder, waveform = write(tmp_path / "noises", "click.wav", sine(0.01, 150)), sine()
    noise = augmented({"noise": {"snr_db": [0, 0], "folder": folder}}, waveform) - waveform
    np.testing.assert_allclose(noise[160:320], noise[:160], atol=1e-6)


def test_silence_and_silent_noise_change_nothing(tmp_path, voice):
    folder = write(tmp_path / "noises", "nothing.wav", np.zeros(RATE * 9, np.float32))
    np.testing.assert_array_equal(augmented({"noise": {"snr_db": [0, 0], "folder": folder}}, voice), voice)
    silence = np.zeros(RATE, np.float32)
    np.testing.assert_array_equal(augmented({"noise": {"snr_db": [0, 0]}}, silence), silence)
    np.testing.assert_array_equal(augmented({"reverberation": {"folder": folder}}, voice), voice)


@pytest.mark.parametrize("db", [-6, 0, 20])
def test_gain_is_in_decibels(voice, db):
    louder = augmented({"gain": {"db": [db, db]}}, voice)
    assert louder.dtype == np.float32
    np.testing.assert_allclose(louder, voice * 10 ** (db / 20), rtol=1e-5)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_speed_changes_length_and_pitch(rate):
    faster = augmented({"speed": {"rate": [rate, rate]}}, sine(2.0, 500))
    assert len(faster) == pytest.approx(2 * RATE / rate, abs=2)
    peak = np.abs(np.fft.rfft(faster * np.hanning(len(faster)))).argmax() * RATE / len(faster)
    assert peak == pytest.approx(500 * rate, abs=2)
    assert power(faster[2000:-2000]) == pytest.approx(power(sine(2.0, 500)), rel=0.01)


def test_an_alignment_is_scaled_with_the_speed(collator, corpus):
    rows = [corpus["train"][number] for number in range(3)]
    plain = collator(rows)
    options = {"speed": {"rate": [1.25, 1.25]}, "noise": {"snr_db": [0, 0]}}
    faster = EmotionCollator(collator.processor, collator.task.labels, augment=Augmentation(options, RATE, 0))(rows)
    for level in ("word", "syllable", "phone"):
        there = plain[f"{level}_spans"] >= 0
        torch.testing.assert_close(faster[f"{level}_spans"][there], plain[f"{level}_spans"][there] / 1.25)
        assert (faster[f"{level}_spans"][~there] == -1).all()
    lengths, before = (batch["audio_attention_mask"].sum(-1) for batch in (faster, plain))
    assert (lengths - before / 1.25).abs().max() <= 2
    assert rows[0]["alignment"] == corpus["train"][0]["alignment"]  # the row of the corpus is left alone


def test_reverberation_convolves_and_delays_nothing(voice, tmp_path):
    room = np.zeros(3000, np.float32)
    room[[40, 100, 2500]] = 0.1, 0.8, -0.4  # something before the direct sound, it, and an echo
    heard = augmented({"reverberation": {"folder": write(tmp_path / "rooms", "hall.wav", room)}}, voice)
    slow = np.convolve(voice.astype(np.float64), room)[100 : 100 + len(voice)]
    np.testing.assert_allclose(heard, slow * math.sqrt(power(voice) / power(slow)), atol=1e-6)
    assert power(heard) == pytest.approx(power(voice), rel=1e-4)


def test_a_transform_is_applied_with_its_probability():
    augmentation = Augmentation({"gain": {"db": [6, 6], "p": 0.3}}, RATE, seed=0)
    ones = np.ones(1, np.float32)
    changed = [augmentation(row(ones, str(number)))["audio"]["array"][0] > 1 for number in range(500)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.06)


def test_values_are_uniform_in_their_range():
    augmentation = Augmentation({"gain": {"db": [-6, 6]}}, RATE, seed=0)
    ones = np.ones(1, np.float32)
    levels = [20 * math.log10(augmentation(row(ones, str(n)))["audio"]["array"][0]) for n in range(600)]
    counts, _ = np.histogram(levels, bins=6, range=(-6, 6))
    assert counts.sum() == 600
    assert counts.min() > 70


def test_random_numbers_depend_on_seed_epoch_and_utterance(voice):
    def draw(seed=0, epoch=0, name="one"):
        augmentation = Augmentation({"noise": {"snr_db": [0, 0]}}, RATE, seed)
        augmentation.set_epoch(epoch)
        return augmentation(row(voice, name))["audio"]["array"]

    np.testing.assert_array_equal(draw(), draw())
    for others in ({"seed": 1}, {"epoch": 1}, {"name": "two"}):
        assert not np.array_equal(draw(), draw(**others))


def test_global_random_states_are_not_used(voice):
    torch.manual_seed(0)
    random.seed(0)
    before = torch.get_rng_state(), random.getstate()
    first = augmented(EVERYTHING, voice)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    torch.manual_seed(1)
    random.seed(1)
    np.testing.assert_array_equal(augmented(EVERYTHING, voice), first)


def test_missing_audio_and_alignment_stay_missing(voice):
    augmentation = Augmentation(EVERYTHING, RATE, seed=0)
    silent = {"id": "x", "audio": None, "alignment": {"word": None}}
    assert augmentation(silent) == silent
    for alignment in (None, {"word": None, "syllable": None, "phone": None}):
        assert augmentation(row(voice, alignment=alignment))["alignment"] == alignment


def test_persistent_workers_draw_the_same_numbers_as_one_process(collator, corpus):
    rows, batches = corpus["train"].select(range(6)), {}
    for workers in (0, 2):
        augmentation = Augmentation(EVERYTHING, RATE, seed=3)
        loader = DataLoader(
            rows,
            batch_size=2,
            collate_fn=EmotionCollator(collator.processor, collator.task.labels, augment=augmentation),
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        batches[workers] = []
        for epoch in (0, 1):
            augmentation.set_epoch(epoch)
            batches[workers] += [batch["input_values"] for batch in loader]
    assert all(torch.equal(*pair) for pair in zip(*batches.values(), strict=True))
    assert not any(torch.equal(*pair) for pair in zip(batches[0][:3], batches[0][3:], strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pitch": {}}, "augmentation has an unknown option 'pitch'; choose from speed, reverberation, noise, gain."),
        ({"noise": {"snr": [1, 2]}}, "augmentation.noise has an unknown option 'snr'; choose from snr_db, folder, p."),
        ({"noise": [5, 20]}, "augmentation.noise must be a mapping with snr_db and folder, not [5, 20]."),
        ({"noise": {}}, "augmentation.noise.snr_db is None; give the lowest and the highest value, such as [5, 20]."),
        ({"gain": {"db": 3}}, "augmentation.gain.db is 3; give the lowest and the highest value, such as [5, 20]."),
        (
            {"gain": {"db": [3, "x"]}},
            "augmentation.gain.db is [3, 'x']; give the lowest and the highest value, such as [5, 20].",
        ),
        (
            {"gain": {"db": [3, 1]}},
            "augmentation.gain.db is [3, 1]; give two numbers, the first not above the second.",
        ),
        (
            {"speed": {"rate": [0, 1]}},
            "augmentation.speed.rate is [0, 1]; give two numbers, the first above 0 and not above the second.",
        ),
        ({"gain": {"db": [1, 2], "p": 0}}, "augmentation.gain.p is 0; it must be a probability above 0."),
        ({"reverberation": {}}, "augmentation.reverberation.folder is None; name a folder of recordings."),
    ],
)
def test_a_bad_option_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        DataArguments(augmentation=options)


def test_a_folder_must_have_recordings(tmp_path):
    options = {"reverberation": {"folder": str(tmp_path / "rooms")}}
    with pytest.raises(FileNotFoundError, match=r"reverberation.folder is .*rooms, and there is no such folder\.$"):
        Augmentation(options, RATE, 0)
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match=r"reverberation.folder is .*rooms, which has no recordings"):
        Augmentation(options, RATE, 0)


def test_a_damaged_noise_is_named(tmp_path, voice):
    folder = tmp_path / "noises"
    folder.mkdir()
    (folder / "broken.wav").write_bytes(b"RIFF no more")
    with pytest.raises(ValueError, match=r"broken\.wav"):
        augmented({"noise": {"snr_db": [0, 0], "folder": str(folder)}}, voice)


def test_a_description_has_no_paths():
    options = {"gain": {"db": [-6, 6]}, "noise": {"snr_db": [5, 20], "folder": "/home/me/musan", "p": 0.5}}
    assert describe_augmentation(options) == 'noise (snr_db [5, 20], folder "musan", p 0.5); gain (db [-6, 6])'
    assert describe_augmentation({}) == ""


def test_a_model_without_audio_is_refused(collator, corpus):
    reading = EmotionCollator(EmoFusionProcessor(tokenizer=train_tokenizer(["so"], 200, 64)), collator.task.labels)
    with pytest.raises(ValueError, match=r"^augmentation is given, but the model takes no audio; leave it out\.$"):
        build_training_collator(reading, DataArguments(augmentation=EVERYTHING), corpus["train"], 0)


def test_a_gain_that_the_processor_undoes_gives_a_warning(collator, corpus):
    arguments = DataArguments(augmentation={"gain": {"db": [-6, 6]}})
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True))
    with pytest.warns(UserWarning, match=r"augmentation\.gain has no effect"):
        build_training_collator(EmotionCollator(processor, collator.task.labels), arguments, corpus["train"], 0)


def test_what_the_processor_cuts_is_not_decoded(tmp_path):
    whole = sine(2.0, 100)
    soundfile.write(tmp_path / "a.wav", whole, RATE, subtype="FLOAT")
    row = {"id": "a", "audio": {"path": str(tmp_path / "a.wav")}, "alignment": None}
    assert len(Augmentation({"gain": {"db": [0, 0]}}, RATE, 0, max_seconds=0.5)(row)["audio"]["array"]) == RATE // 2
    faster = Augmentation({"speed": {"rate": [2.0, 2.0]}}, RATE, 0, max_seconds=0.5)(row)["audio"]["array"]
    assert len(faster) == pytest.approx(RATE // 2, abs=1)
