import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import emofusion
import pytest
import yaml
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK
from testing_training import tiny_recipe

SCRIPTS = Path(emofusion.__file__).parent / "scripts"
LABELS = ("angry", "happy", "sad", "calm")
ACCELERATE = (
    *(str(Path(sys.executable).parent / "accelerate"), "launch", "--num_processes", "1", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--cpu"),
)


def start(*command, cwd):
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "HF_MODULES_CACHE": str(cwd / "modules"),
    }
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a corpus and a recipe."""
    place = tmp_path_factory.mktemp("scripts")
    recipe = tiny_recipe(place / "corpora", place / "unused", num_train_epochs=1)
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return place


@pytest.fixture(scope="module")
def row(place):
    return load_corpus("spoken", place / "corpora", utterances=BLOCK)["test"][0]


@pytest.fixture(scope="module")
def training(place):
    """A finished `train.py`, and the folder that it made."""
    options = ("--output_dir", "plain", "--learning_rate", "5e-3", "--model_config.conv_kernel_size", "5")
    return start(sys.executable, SCRIPTS / "train.py", "recipe.yaml", *options, cwd=place), place / "plain"


@pytest.fixture
def in_process(monkeypatch, capsys):
    """Runs a script in this process, which is quicker; returns what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def complaint(in_process):
    """The one sentence with which a script stops."""

    def run(name, *arguments):
        with pytest.raises(SystemExit) as caught:
            in_process(name, *arguments)
        message = caught.value.code
        assert isinstance(message, str)
        assert message.startswith(f"{name}: ")
        assert "\n" not in message
        return message

    return run


def probabilities(printed):
    lines = [line.split() for line in printed.splitlines()]
    return {line[0]: float(line[1]) for line in lines}


def test_train_prints_the_table_and_obeys_the_command_line(training):
    done, folder = training
    assert done.returncode == 0, done.stderr[-3000:]
    heading, line = done.stdout.split("\n\n")[-2].strip().splitlines()[-2:]
    assert heading.split() == ["system", "WA", "UA", "WF1", "parameters", "training"]
    assert line.startswith("cross_attention ")
    assert "predict.py plain" in done.stdout
    results = yaml.safe_load((folder / "results.json").read_text())
    assert results["training"]["learning_rate"] == 5e-3
    assert results["recipe"]["model_config"]["conv_kernel_size"] == 5
    assert f"{100 * results['metrics']['test']['wa']:.1f}" == line.split()[1]


def test_train_runs_under_accelerate_to_the_same_result(training, place):
    options = ("--output_dir", "launched", "--learning_rate", "5e-3", "--model_config.conv_kernel_size", "5")
    done = start(*ACCELERATE, SCRIPTS / "train.py", "recipe.yaml", *options, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    plain, launched = (yaml.safe_load((place / name / "results.json").read_text()) for name in ("plain", "launched"))
    assert launched["metrics"] == plain["metrics"]


def test_train_stops_with_one_sentence_and_no_traceback(place):
    (place / "bad.yaml").write_text("learning_rat: 1\n")
    done = start(sys.executable, SCRIPTS / "train.py", "bad.yaml", cwd=place)
    assert done.returncode == 1
    assert done.stderr.strip() == "train.py: bad.yaml has an unknown key 'learning_rat'; did you mean 'learning_rate'?"


@pytest.mark.parametrize("arguments", [["nowhere.yaml"], ["--seed", "x"], ["--variant", "x"], ["--seedd", "1"]])
def test_train_names_what_is_wrong(complaint, arguments):
    assert arguments[-1] in complaint("train.py", *arguments) or arguments[0] in complaint("train.py", *arguments)


def test_help_of_train_lists_the_fields_of_all_three(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPTS / "train.py"), run_name="__main__")
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--variant", "--model_config", "--corpus_options", "--max_seconds", "--learning_rates", "--bf16"):
        assert option in printed


def test_predict_prints_the_probabilities_from_the_greatest_down(training, place, row):
    done = start(
        sys.executable, SCRIPTS / "predict.py", "plain", row["audio"]["path"], "--text", row["text"], cwd=place
    )
    assert done.returncode == 0, done.stderr[-3000:]
    shares = probabilities(done.stdout)
    assert set(shares) == set(LABELS)
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_predict_does_without_either_modality(training, in_process, row):
    _, folder = training
    speech = in_process("predict.py", folder, row["audio"]["path"])
    text = in_process("predict.py", folder, "--text", row["text"])
    assert set(probabilities(speech)) == set(probabilities(text)) == set(LABELS)


def test_predict_says_what_is_missing(training, complaint, row, tmp_path):
    _, folder = training
    recording = row["audio"]["path"]
    assert "give audio or text" in complaint("predict.py", folder)
    assert "nowhere.wav" in complaint("predict.py", folder, tmp_path / "nowhere.wav")
    assert "config.json" in complaint("predict.py", tmp_path, recording)
    assert str(tmp_path / "nowhere") in complaint("predict.py", tmp_path / "nowhere", recording)
    (tmp_path / "notes.wav").write_text("no sound")
    assert "notes.wav" in complaint("predict.py", folder, tmp_path / "notes.wav")


def test_a_visitor_needs_no_emofusion(training, place, row):
    """`visit.py` forbids `import emofusion`: the folder brings the code."""
    _, folder = training
    shutil.copytree(folder, place / "visited", ignore=shutil.ignore_patterns("checkpoint-*"))
    arguments = ("visited", row["audio"]["path"], row["text"], LABELS[row["label"]])
    done = start(sys.executable, SCRIPTS / "visit.py", *arguments, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    assert row["text"] in done.stdout
    words = done.stdout.splitlines()[-1].split()[1:]
    assert tuple(words[::2]) == LABELS
    assert sum(map(float, words[1::2])) == pytest.approx(1, abs=0.003)
    assert list((place / "modules").rglob("modeling_cross_attention.py"))
