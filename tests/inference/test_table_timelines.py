"""Tables with speakers and pictures: windows of pictures, names of pictures, channels, and turns of several recordings."""

import json
import os

import numpy as np
import pytest
import soundfile
from emofusion.inference import recording_pictures
from emofusion.inference.recording import Recording
from emofusion.inference.scoring_options import ScoringOptions
from emofusion.inference.timeline import choose_windows
from testing_scoring import Recogniser, make_recordings, run

PICTURES = ScoringOptions(for_pictures=True)


@pytest.fixture
def calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_recordings(tmp_path / "calls", 2, seconds=4.75)


def read(path="scores.jsonl"):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_windows_of_a_picture_are_those_that_the_model_takes():
    assert [choose_windows(10.0), choose_windows(1.0), choose_windows(10.0, 3.0)] == [(4, 2), (1, 0.5), (4, 3)]
    with pytest.raises(ValueError, match="hop_seconds"):
        choose_windows(10.0, 5.0)


def test_pictures_cut_recordings_without_text_and_span_alone(calls):
    (calls / "manifest.csv").write_text("audio,start,end,text\n00.wav,,,\n00.wav,,,hello\n00.wav,0.25,4.5,\n")
    recogniser = Recogniser()
    assert run(recogniser, "calls/manifest.csv", "scores.jsonl", PICTURES).errors == 0
    spans = [(row["start"], row["end"]) for row in read()]
    assert spans == [(0.0, 4.0), (0.75, 4.75), (0.0, 4.75), (0.25, 4.5)]
    recogniser.processor.decoded_seconds = 1.0
    run(recogniser, "calls/01.wav", "short.jsonl", ScoringOptions(for_pictures=True, hop_seconds=1.0))
    assert [row["start"] for row in read("short.jsonl")] == [0.0, 1.0, 2.0, 3.0, 3.75]


def test_pictures_cut_channels_and_turns_as_for_one_recording(calls):
    sound = np.full((40000, 2), 0.1)
    soundfile.write(calls / "00.wav", sound, 8000)
    recogniser = Recogniser()
    recogniser.processor.decoded_seconds = 1.0
    run(recogniser, "calls/00.wav", "a.jsonl", ScoringOptions(for_pictures=True, channels=True))
    assert [call["window_seconds"] for call in recogniser.calls] == [1.0]
    assert [call["hop_seconds"] for call in recogniser.calls] == [0.5]
    (calls / "turns.rttm").write_text("SPEAKER 00 1 0 2 <NA> <NA> A <NA> <NA>\n")
    run(recogniser, "calls/00.wav", "b.jsonl", ScoringOptions(for_pictures=True, rttm="calls/turns.rttm"))
    assert [row["start"] for row in read("b.jsonl")] == [0.0, 0.5, 1.0]


def test_rows_of_channels_are_in_the_order_of_time(calls):
    soundfile.write(calls / "00.wav", np.full((40000, 2), 0.1), 8000)
    recogniser = Recogniser()
    scores = [{"label": "sad", "score": 1.0}]
    recogniser.answers = {"00.wav": [{"start": float(n), "end": n + 1.0, "scores": scores} for n in range(3)]}
    run(recogniser, "calls/00.wav", "scores.jsonl", ScoringOptions(channels=True, window_seconds=1.0))
    assert [(row["start"], row["channel"]) for row in read()] == [(n, c) for n in range(3) for c in (1, 2)]


def test_no_picture_replaces_that_of_another_recording(tmp_path, monkeypatch):
    long = "é" * 125
    files = [
        "call-2.wav",
        "a/call.wav",
        "b/call.wav",
        "c/CALL.wav",
        f"a/{long}.w",
        f"b/{long}.w",
        "a/call.mp3",
        "\udcff.wav",
    ]
    recordings = {name: Recording(name, audio=f"/x/{name}") for name in files}
    names = []
    monkeypatch.setattr(recording_pictures, "draw_timeline", lambda path, *_: names.append(path.name))
    monkeypatch.setattr(recording_pictures, "measure_waveforms", lambda *_: None)
    row = {"start": 0.0, "end": 1.0, "scores": [{"label": "sad", "score": 1.0}]}
    assert recording_pictures.draw_recordings(tmp_path, recordings, lambda keys: [row]) == len(files)
    assert names[:4] == ["call-2.png", "call.png", "call-3.png", "CALL-4.png"]
    assert len({name.casefold() for name in names}) == len(files)
    for name in names:
        (tmp_path / name).touch()


def turns_of(*names):
    return "".join(f"SPEAKER {name} 1 0 2 <NA> <NA> A <NA> <NA>\n" for name in names)


def test_turns_are_those_of_one_recording(calls):
    for folder in "abc":
        make_recordings(calls / folder, 1, seconds=3.0)
    (calls / "turns.rttm").write_text(turns_of("00", "c/00.wav", "01"))
    options = ScoringOptions(rttm="calls/turns.rttm")
    paths = [f"calls/{name}" for name in ("a/00.wav", "b/00.wav", "c/00.wav", "01.wav")]
    alone = run(Recogniser(), paths[:1], "scores.jsonl", options)
    assert alone.errors == 0
    os.remove("scores.jsonl")
    assert run(Recogniser(), paths, "scores.jsonl", options).errors == 2
    rows = read()
    assert [row["error"] for row in rows[2:]] == [None, None]
    sentence = "calls/a/00.wav, calls/b/00.wav would all have the turns of 00: give their paths as ids."
    assert [row["error"] for row in rows[:2]] == [sentence] * 2


def test_turns_are_found_below_their_folder_under_any_name(calls):
    below = calls / "turns" / "monday"
    below.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"calls/turns has no file that ends in \.rttm"):
        run(Recogniser(), "calls/00.wav", "scores.jsonl", ScoringOptions(rttm="calls/turns"))
    (below / os.fsdecode(b"caf\xe9.RTTM")).write_text(turns_of("00", "gone"))
    (calls / "gone.wav").write_bytes(b"RIFF")
    summary = run(
        Recogniser(),
        ["calls/00.wav", "calls/gone.wav", "calls/01.wav"],
        "scores.jsonl",
        ScoringOptions(rttm="calls/turns"),
    )
    assert (summary.rows, summary.errors) == (3, 2)
    assert read()[2]["error"] == "calls/turns has no turns of calls/01.wav."


def test_damaged_recording_without_turns_is_named_as_damaged(calls):
    (calls / "turns.rttm").write_text(turns_of("00"))
    (calls / "bad.wav").write_bytes(b"RIFF")
    run(Recogniser(), "calls/bad.wav", "scores.jsonl", ScoringOptions(rttm="calls/turns.rttm"))
    assert "has no turns" not in read()[0]["error"]


@pytest.mark.parametrize("options", [{"channels": True}, {"rttm": "calls/turns.rttm"}])
def test_text_is_not_divided_among_speakers(calls, options):
    soundfile.write(calls / "00.wav", np.full((8000, 2), 0.1), 8000)
    (calls / "turns.rttm").write_text(turns_of("00"))
    (calls / "manifest.csv").write_text("audio,text\n00.wav,hello\n")
    run(Recogniser(), "calls/manifest.csv", "scores.jsonl", ScoringOptions(**options))
    assert "cannot be divided among speakers" in read()[0]["error"]
