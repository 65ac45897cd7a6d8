"""Training, and prediction with the trained model."""

import contextlib
import io
import json
import runpy
import shutil
import sys
from pathlib import Path

import emofusion
import numpy as np
import pytest
import soundfile
import torch
from emofusion.cli.loading import load_pipeline
from emofusion.corpora import load_corpus
from emofusion.corpora.demo.spoken import BLOCK, LABELS
from emofusion.evaluation.results import RunResults
from testing_commands import run_script
from testing_fresh import run_fresh
from testing_training import tiny_recipe
from transformers import AutoModelForAudioClassification, pipeline

ROOT = Path(emofusion.__file__).parent
LAUNCH = (
    *("launch", "--num_processes", "1", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--cpu"),
)
OPTIONS = ("--learning_rate", "5e-3", "--model_config.conv_kernel_size", "5")


@pytest.fixture(scope="module")
def place(tmp_path_factory, corpus_root):
    """A folder with a recipe."""
    place = tmp_path_factory.mktemp("commands")
    recipe = tiny_recipe(corpus_root, place / "unused", num_train_epochs=1)
    (place / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    return place


@pytest.fixture(scope="module")
def row(corpus_root):
    """A test utterance of its corpus."""
    return load_corpus("spoken", corpus_root, utterances=BLOCK)["test"][0]


@pytest.fixture(scope="module")
def trained(place):
    """What `scripts/train.py` printed, and the folder that it made."""
    arguments = ["train.py", "recipe.yaml", "--output_dir", "plain", *OPTIONS]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.chdir(place)
        patch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "scripts" / "train.py"), run_name="__main__")
    assert ended.value.code == 0
    return printed.getvalue(), place / "plain"


def test_the_scores_are_printed_and_options_override_the_recipe(trained):
    printed, folder = trained
    heading, line = printed.split("\n\n")[-3].strip().splitlines()[-2:]
    assert heading.split() == ["system", "WA", "UA", "WF1", "parameters", "training"]
    assert line.startswith("cross_attention ")
    assert "emofusion predict plain" in printed
    results = RunResults.read(folder)
    assert results.training["learning_rate"] == 5e-3
    assert results.recipe["model_config"]["conv_kernel_size"] == 5
    assert f"{100 * results.metrics['test'].wa:.1f}" == line.split()[1]


def test_accelerate_launches_the_module_with_the_same_result(trained, place):
    code = "from accelerate.commands.accelerate_cli import main; main()"
    command = (*LAUNCH, "-m", "emofusion", "train", "recipe.yaml", "--output_dir", "launched", *OPTIONS)
    # The number of threads decides the last digit of a sum.
    done = run_fresh(code, *command, cwd=place, OMP_NUM_THREADS=str(torch.get_num_threads()), HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-3000:]
    assert RunResults.read(place / "launched").metrics == RunResults.read(place / "plain").metrics


def test_an_unknown_key_of_a_recipe_is_named(complaint, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("learning_rat: 1\n")
    expected = f"{path} has an unknown key 'learning_rat' (did you mean 'learning_rate'?); --help lists all options."
    assert complaint("train", path, status=2) == expected


@pytest.mark.parametrize("arguments", [["nowhere.yaml"], ["--seed", "x"], ["--variant", "x"], ["--seedd", "1"]])
def test_a_wrong_option_is_named(complaint, arguments):
    message = complaint("train", *arguments, status=2)
    assert arguments[-1] in message or arguments[0] in message


def probabilities(printed):
    """Return the printed probabilities: those of an utterance, or the means over the windows of a recording."""
    lines = [line.split() for line in (printed.partition("Mean over time:\n")[2] or printed).splitlines()]
    return {line[0]: float(line[1]) for line in lines}


def test_the_probabilities_are_printed_highest_first(trained, call, row):
    _, folder = trained
    shares = probabilities(call("predict", folder, row["audio"]["path"], "--text", row["text"]))
    assert set(shares) == set(LABELS)
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_a_model_saved_in_half_precision_is_used_as_in_the_pipeline(trained, tmp_path, row):
    folder = shutil.copytree(trained[1], tmp_path / "half")
    AutoModelForAudioClassification.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    inputs = {"audio": row["audio"]["path"], "text": row["text"]}
    recognise = pipeline("emotion-recognition", model=str(folder))
    assert recognise.model.dtype == torch.bfloat16
    for dtype in ("auto", None):
        assert load_pipeline(str(folder), dtype=dtype)(inputs) == recognise(inputs)


def test_either_modality_may_be_missing(trained, call, row):
    _, folder = trained
    speech = call("predict", folder, row["audio"]["path"])
    text = call("predict", folder, "--text", row["text"])
    assert set(probabilities(speech)) == set(probabilities(text)) == set(LABELS)


def test_silence_is_said_to_be_silent(trained, call, row, tmp_path):
    _, folder = trained
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 16000)
    alone = call("predict", folder, tmp_path / "silence.wav")
    sentence = (
        "Nothing is heard in the recording (its amplitude is below -80 dB): the scores say nothing about a voice"
    )
    assert alone.splitlines()[-1] == f"{sentence}."
    assert set(probabilities(alone[: alone.index(sentence)])) == set(LABELS)
    beside = call("predict", folder, tmp_path / "silence.wav", "--text", row["text"])
    assert beside.splitlines()[-1] == f"{sentence}, they rest on the text."
    assert "heard" not in call("predict", folder, row["audio"]["path"])


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
    script = ROOT / "cli" / "without_emofusion.py"
    arguments = ("visited", row["audio"]["path"], row["text"], LABELS[row["label"]])
    done = run_script(script, *arguments, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    assert row["text"] in done.stdout
    words = done.stdout.splitlines()[-1].split()[1:]
    assert tuple(words[::2]) == LABELS
    assert sum(map(float, words[1::2])) == pytest.approx(1, abs=0.003)
    assert list((place / "modules").rglob("modeling_cross_attention.py"))
