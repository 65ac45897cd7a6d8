import subprocess
import time

import numpy as np
import pytest
from emofusion.corpora.demo.espeak import ESPEAK_RATE, Prompt, speak

TEXT = "Anna, the bus stops on the corner."


def test_words_and_phones_are_ordered_inside_recording():
    (speech,) = speak([Prompt(TEXT, "en-us")])
    seconds = len(speech.samples) / 2 / ESPEAK_RATE
    assert " ".join(word.symbol for word in speech.words) == "Anna the bus stops on the corner"
    for segments in (speech.words, speech.phones):
        times = [time for segment in segments for time in (segment.start, segment.end)]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= seconds
        assert all(segment.start < segment.end for segment in segments)
    assert {word.start for word in speech.words} <= {phone.start for phone in speech.phones}


def test_pause_at_comma_belongs_to_no_word():
    (speech,) = speak([Prompt(TEXT, "en-us")])
    samples = np.frombuffer(speech.samples, "<i2")
    anna, the, *_ = speech.words
    pause = samples[round((anna.end + 0.02) * ESPEAK_RATE) : round((the.start - 0.02) * ESPEAK_RATE)]
    assert len(pause) > 0.05 * ESPEAK_RATE
    assert np.abs(pause).max() < 0.02 * np.abs(samples).max()


def test_same_prompts_give_same_bits():
    prompts = [Prompt(TEXT, voice, rate) for voice in ("en-us+f2", "en-us+whisper", "en-us+m3") for rate in (120, 240)]
    first = list(speak(prompts))
    time.sleep(1.1)  # espeak-ng would seed its noise by the clock, in whole seconds
    assert list(speak(prompts)) == first


def test_stopping_early_ends_subprocess(monkeypatch):
    children = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            children.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    speeches = speak([Prompt(TEXT, "en-us")] * 50)
    next(speeches)
    assert children[0].poll() is None
    speeches.close()
    assert children[0].poll() is not None


def test_voice_that_does_not_exist_is_named(capfd):
    with pytest.raises(RuntimeError, match=r"stopped at prompt 1, .*'no-such-voice'"):
        list(speak([Prompt(TEXT, "en-us"), Prompt(TEXT, "no-such-voice")]))
    assert "espeak-ng has no voice 'no-such-voice'." in capfd.readouterr().err


def test_missing_library_names_package_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install espeakng-loader"):
        next(speak([Prompt(TEXT, "en-us")]))
