"""`emofusion predict --out`: a table of many recordings."""

import csv

import pytest
from testing_model_folder import LABELS, make_model_folder
from testing_scoring import make_recordings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and recordings, one of them too long for a window, and a bad one."""
    place = tmp_path_factory.mktemp("table")
    make_model_folder(place / "model")
    make_recordings(place / "calls", 2)
    make_recordings(place / "long", 1, seconds=2.5)
    return place


def test_table_is_written_and_continued(place, call, complaint, monkeypatch):
    monkeypatch.chdir(place)
    (place / "calls" / "bad.wav").write_text("no sound")
    arguments = (
        "predict",
        "model",
        "calls",
        "long/*.wav",
        "calls/00.wav",
        "--out",
        "scores.csv",
        "--window-seconds",
        "1",
    )
    message = complaint(*arguments, status=3)
    assert message.startswith("1 of 6 rows of scores.csv are errors, see its column error")
    with open("scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["recording"] for row in rows] == [
        *("calls/00.wav", "calls/01.wav", "calls/bad.wav", "long/00.wav", "long/00.wav", "long/00.wav")
    ]
    assert {row["label"] for row in rows} <= {*LABELS, ""}
    assert sum(float(rows[0][name]) for name in LABELS) == pytest.approx(1)
    (place / "calls" / "bad.wav").unlink()
    printed = call(*arguments).splitlines()
    assert printed[0].startswith("Scored 0 recordings in ")
    assert printed[1:] == ["Scored before: 3 recordings.", "Named again, without another row: 1 recording."]
    assert "exists already" in complaint(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "s.csv"), "--out needs recordings"),
        (("a.wav", "--out", "s.csv", "--text", "hello"), "--text is for one recording: with --out, give a manifest"),
        (("a.wav", "--out", "s.csv", "--allow-private-urls"), "--allow-private-urls is for one recording"),
        (("a.wav", "--num-workers", "2"), "--num-workers is for a table of many recordings: give --out too"),
        (("calls",), "AUDIO: calls is not one recording: name a table for its scores with --out"),
        (("manifest.csv",), "manifest.csv is not one recording: name a table"),
        (("a.wav", "b.wav"), "2 recordings are given: name a table for the scores with --out"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(place, complaint, monkeypatch, arguments, message):
    monkeypatch.chdir(place)
    assert message in complaint("predict", place / "model", *arguments, status=2)
