"""`emofusion predict` on recordings that are longer than an utterance."""

import json

import numpy as np
import pytest
import soundfile
from emofusion.cli.window_table import describe_windows, format_rows, format_time, mean_entries
from emofusion.processing import voice_activity
from testing_model_folder import make_model_folder
from testing_pipeline import RATE, noise


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a model that takes two seconds."""
    folder = tmp_path_factory.mktemp("predict") / "model"
    make_model_folder(folder)
    settings = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps(settings | {"longest_seconds": 2.0}))
    return folder


@pytest.fixture(scope="module")
def call_of_a_customer(tmp_path_factory):
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    soundfile.write(path, np.concatenate([noise(4 * RATE), np.zeros(RATE, np.float32)]), RATE)
    return path


def test_recording_that_is_too_long_is_cut_and_the_cut_is_said(model, call_of_a_customer, call):
    lines = call("predict", model, call_of_a_customer).splitlines()
    assert lines[0] == (
        f"{call_of_a_customer} is cut into 3 windows of 2 s, one every 2 s, the longest that this model takes; "
        "--window-seconds, --hop-seconds and --vad cut it otherwise. The last one ends with it."
    )
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["0:00.0", "0:02.0"],
        ["0:02.0", "0:04.0"],
        ["0:03.0", "0:05.0"],
    ]
    assert lines[6] == "Mean over time:"
    assert len(lines) == 10


def test_windows_of_the_command_are_those_of_its_options(model, call_of_a_customer, call, complaint):
    lines = call("predict", model, call_of_a_customer, "--window-seconds", "1").splitlines()
    assert lines[0] == f"{call_of_a_customer} is cut into 5 windows of 1 s, one every 1 s. The last one ends with it."
    assert "silent" in lines[6]
    assert lines[8] == "Mean over time, without silent windows:"
    wrong = complaint("predict", model, call_of_a_customer, "--window-seconds", "3")
    assert wrong.startswith("window_seconds is 3, and this model was trained on recordings of up to 2 s")
    assert complaint("predict", model, call_of_a_customer, "--word-times", status=2).startswith(
        "Argument --word-times needs --transcriber"
    )


def test_short_recording_and_one_with_a_text_are_one_utterance(model, call_of_a_customer, call, tmp_path, capfd):
    soundfile.write(tmp_path / "short.wav", noise(RATE), RATE)
    assert len(call("predict", model, tmp_path / "short.wav").splitlines()) == 3
    assert len(call("predict", model, call_of_a_customer, "--text", "hello").splitlines()) == 3


def test_segments_with_speech_are_printed(model, call_of_a_customer, call, monkeypatch):
    frames = iter([0.9] * 60 + [0.1] * 1000)
    monkeypatch.setattr(voice_activity, "_load_detector", lambda: lambda frame: next(frames))
    lines = call("predict", model, call_of_a_customer, "--vad").splitlines()
    assert "is cut into 2 segments with speech, 2.0 s in all; the pauses between them are not" in lines[0]
    monkeypatch.setattr(voice_activity, "_load_detector", lambda: lambda frame: 0.1)
    assert call("predict", model, call_of_a_customer, "--vad") == f"No speech is found in {call_of_a_customer}.\n"


def test_rows_are_aligned_and_have_what_is_known():
    def row(start, label, share, **more):
        scores = [{"label": label, "score": share}, {"label": "other", "score": 1 - share}]
        dimensions = [{"label": "valence", "score": 3.0, "scale": [1.0, 5.0]}]
        return {"start": start, "end": start + 10.0, "scores": scores, "dimensions": dimensions, **more}

    rows = [row(0.0, "happy", 1.0, speaker="A", text="hello\nthere"), row(3599.96, "sad", 0.6, silent=True)]
    assert format_rows(rows) == [
        "0:00.0     0:10.0     happy  100.0 %  valence 3.00  ####################          A  hello there",
        "1:00:00.0  1:00:10.0  sad     60.0 %  valence 3.00  ############          silent",
    ]
    assert [(entry["label"], entry["score"]) for entry in mean_entries(rows)] == [
        ("happy", 1.0),
        ("other", 0.0),
        ("valence", 3.0),
    ]
    assert format_time(59.96) == "1:00.0"
    assert describe_windows("a\nb.wav", rows[1:], {"window_seconds": 10}) == "1 window of 10 s."
    assert (
        describe_windows("a\nb.wav", rows[:1], {"window_seconds": 10}) == "a b.wav is cut into 1 part, of 1 speaker."
    )
