"""`emofusion predict` with speakers, channels and a picture over time."""

import json

import numpy as np
import pytest
import soundfile
from emofusion.cli.loading import load_pipeline
from emofusion.inference.rttm import read_rttm
from emofusion.inference.speakers import recognise_speakers
from emofusion.inference.timeline_picture import draw_timeline
from emofusion.processing import voice_activity
from testing_media import tone
from testing_model_folder import make_model_folder

RENDERED = True
TURNS = """;; two speakers, each on a channel
SPKR-INFO call 1 <NA> <NA> <NA> unknown agent <NA>
SPEAKER call 2 1.0 1.5 <NA> <NA> customer <NA> <NA>
SPEAKER call 1 0.0 1.5 <NA> <NA> agent <NA> <NA>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    make_model_folder(folder / "model")
    soundfile.write(folder / "call.wav", np.stack([tone(2.5), tone(2.5)[::-1]], axis=1), 16000)
    soundfile.write(folder / "mono.wav", tone(1.0), 16000)
    (folder / "call.rttm").write_text(TURNS)
    return folder


@pytest.fixture
def predicted(folder, call, monkeypatch):
    """Runs the command on the call; returns what it printed, and what it drew, without the file."""
    monkeypatch.chdir(folder)
    drawn = {}

    def keep(path, rows, waveform, seconds, title):
        drawn.update(path=path, rows=rows, waveform=waveform, seconds=seconds, title=title)

    monkeypatch.setattr("emofusion.inference.timeline_picture.draw_timeline", keep)
    return lambda *options: (call("predict", "model", "call.wav", *options), drawn)


def test_turns_of_rttm_are_printed_and_drawn(predicted, monkeypatch):
    printed, drawn = predicted(
        "--rttm", "call.rttm", "--timeline", "t.png", "--window-seconds", "1", "--hop-seconds", "0.5"
    )
    assert "call.wav is cut into 4 parts, of 2 speakers." in printed
    assert "Mean over time of agent:" in printed
    times = [(row["start"], row["end"], row["speaker"]) for row in drawn["rows"]]
    assert times == [(0, 1, "agent"), (0.5, 1.5, "agent"), (1, 2, "customer"), (1.5, 2.5, "customer")]
    assert (drawn["path"], drawn["title"], drawn["seconds"]) == ("t.png", "call.wav", None)
    assert drawn["waveform"].seconds == 2.5


def test_speech_is_found_in_each_channel_by_itself(predicted, monkeypatch, caplog):
    monkeypatch.setattr(voice_activity, "_load_detector", lambda: lambda frame: next(shares))
    shares = iter([0.9] * 79 + [0.1] * 79)  # 32 ms each, of channel 1 and of channel 2
    printed, drawn = predicted("--channels", "--vad", "--timeline", "t.png")
    assert "call.wav is cut into 1 segment with speech, of 1 speaker, 2.5 s in all; the pauses" in printed
    assert {row["channel"] for row in drawn.pop("rows")} == {1}
    assert "No speech is found in channel 2 of call.wav: it has no rows." in caplog.messages
    shares = iter([0.1] * 158)
    printed, drawn = predicted("--channels", "--vad", "--timeline", "t.png")
    assert printed == "No speech is found in call.wav: t.png is not written.\n"


def test_each_channel_has_its_waveform_and_a_picture_its_windows(predicted, folder):
    _, drawn = predicted("--channels", "--timeline", "t.png", "--smooth", "0.5")
    assert [*drawn["waveform"]] == ["channel 1", "channel 2"]
    assert [(row["end"], row["channel"]) for row in drawn["rows"]] == [(2.5, 1), (2.5, 2)]
    draw_timeline(folder / "real.png", drawn["rows"], drawn["waveform"], drawn["seconds"], drawn["title"])
    assert (folder / "real.png").read_bytes().startswith(b"\x89PNG")


def test_picture_of_a_recording_with_a_text_has_one_window(predicted):
    _, drawn = predicted("--timeline", "t.png", "--text", "hello")
    assert [(row["start"], row["end"], row["text"]) for row in drawn["rows"]] == [(0, 2.5, "hello")]


def test_overlap_can_be_left_out(predicted):
    printed, _ = predicted("--rttm", "call.rttm", "--skip-overlap")
    assert "0:00.0  0:01.0" in printed
    assert "0:01.5  0:02.5" in printed


def test_table_has_the_turns_and_channels_of_every_recording_and_their_pictures(folder, call, complaint, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "turns").mkdir()
    (folder / "turns" / "call.rttm").write_text(TURNS)
    options = ("--channels", "--rttm", "turns", "--window-seconds", "1", "--hop-seconds", "0.5")
    arguments = (
        "predict",
        "model",
        "call.wav",
        "mono.wav",
        "--out",
        "scores.jsonl",
        "--timeline",
        "pictures",
        *options,
    )
    assert complaint(*arguments, status=3).startswith("1 of 5 rows of scores.jsonl are errors")
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    alone = recognise_speakers(
        load_pipeline("model"), {"audio": "call.wav"}, read_rttm("call.rttm"), True, False, 1.0, 0.5
    )
    assert [(row["speaker"], row["channel"], row["start"], row["end"]) for row in rows[:4]] == [
        (row["speaker"], row["channel"], row["start"], row["end"]) for row in alone
    ]
    for row, expected in zip(rows, alone, strict=False):
        assert row["score"] == pytest.approx(expected["scores"][0]["score"], abs=1e-5)
    assert rows[4]["error"] == "turns has no turns of mono.wav."
    assert [path.name for path in (folder / "pictures").iterdir()] == ["call.png"]
    (folder / "turns" / "mono.rttm").write_text("SPEAKER mono 1 0 0.5 <NA> <NA> A <NA> <NA>\n")
    assert "begun with another rttm" in complaint(*arguments)


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--timeline", "t.jpg"], 2, "ends in .png"),
        (["--skip-overlap"], 2, "needs the turns of --rttm"),
        (["--smooth", "1"], 2, "for the picture of --timeline"),
        (["--smooth", "nan", "--timeline", "t.png"], 2, "must be a number of seconds from 0"),
        (["--rttm", "call.rttm", "--vad"], 2, "choose one of them"),
        (["--timeline", "t.png", "--out", "t.csv"], 2, "give it a folder, not t.png"),
        (["--rttm", "gone.rttm", "--out", "t.csv"], 1, "gone.rttm does not exist"),
        (["--timeline", "gone/t.png"], 1, "gone is not a folder"),
        (["--rttm", "gone.rttm"], 1, "gone.rttm does not exist"),
        (["--rttm", "empty.rttm"], 1, "empty.rttm has no turns"),
        (["--channels", "--text", "hello"], 1, "cannot be divided among speakers"),
        (["--rttm", "call.rttm", "--text", "hello"], 1, "cannot be divided among speakers"),
        (["--channels"], 1, "The recording has one channel"),
    ],
)
def test_options_without_use_are_refused_in_one_sentence(folder, complaint, monkeypatch, options, status, reason):
    monkeypatch.chdir(folder)
    (folder / "empty.rttm").touch()
    # All but the last three are refused before the model is loaded.
    recording = "mono.wav" if options == ["--channels"] else "call.wav"
    assert reason in complaint("predict", "model", recording, *options, status=status)


def test_picture_needs_a_recording(folder, complaint, monkeypatch):
    monkeypatch.chdir(folder)
    assert "--timeline needs a recording" in complaint("predict", "model", "--timeline", "t.png", status=2)
