import shutil
import sys
from pathlib import Path

import pytest
from emofusion.cli import commands
from emofusion.corpora.demo.spoken import LABELS
from testing_commands import start


def probabilities(printed):
    lines = [line.split() for line in printed.splitlines()]
    return {line[0]: float(line[1]) for line in lines}


def test_the_probabilities_are_printed_highest_first(trained, call, row):
    _, folder = trained
    shares = probabilities(call("predict", folder, row["audio"]["path"], "--text", row["text"]))
    assert set(shares) == set(LABELS)
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_either_modality_may_be_missing(trained, call, row):
    _, folder = trained
    speech = call("predict", folder, row["audio"]["path"])
    text = call("predict", folder, "--text", row["text"])
    assert set(probabilities(speech)) == set(probabilities(text)) == set(LABELS)


def test_what_is_missing_is_named(trained, complaint, row, tmp_path):
    _, folder = trained
    recording = row["audio"]["path"]
    assert "give audio or text" in complaint("predict", folder)
    assert "nowhere.wav" in complaint("predict", folder, tmp_path / "nowhere.wav")
    assert "config.json" in complaint("predict", tmp_path, recording)
    assert str(tmp_path / "nowhere") in complaint("predict", tmp_path / "nowhere", recording)
    (tmp_path / "notes.wav").write_text("no sound")
    assert "notes.wav" in complaint("predict", folder, tmp_path / "notes.wav")


def test_a_folder_is_used_without_emofusion(trained, place, row):
    _, folder = trained
    shutil.copytree(folder, place / "visited", ignore=shutil.ignore_patterns("checkpoint-*"))
    script = Path(commands.__file__).with_name("without_emofusion.py")
    arguments = ("visited", row["audio"]["path"], row["text"], LABELS[row["label"]])
    done = start(sys.executable, script, *arguments, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    assert row["text"] in done.stdout
    words = done.stdout.splitlines()[-1].split()[1:]
    assert tuple(words[::2]) == LABELS
    assert sum(map(float, words[1::2])) == pytest.approx(1, abs=0.003)
    assert list((place / "modules").rglob("modeling_cross_attention.py"))
