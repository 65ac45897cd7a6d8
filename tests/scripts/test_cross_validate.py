import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import emofusion
import pytest
import torch
from emofusion.corpora.demo.spoken import BLOCK
from testing_training import TEXT, tiny_recipe

SCRIPTS = Path(emofusion.__file__).parent / "scripts"
OPTIONS = {"utterances": BLOCK, "speaker_folds": 3}


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs a script in this process; returns what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()  # what was printed before is not the script's
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a recipe, its output `a`."""
    place = tmp_path_factory.mktemp("cross")
    config = {"modality": "text", "text_config": TEXT, "hidden_size": 8}
    recipe = tiny_recipe(place / "corpora", place / "a", variant="unimodal", model_config=config, num_train_epochs=1)
    (place / "recipe.yaml").write_text(json.dumps(recipe | {"corpus_options": OPTIONS}))  # which is YAML too
    return place


def test_a_protocol_is_told_done_compared_and_not_done_again(script, place):
    arguments = (place / "recipe.yaml", "--folds", 2, "--seeds", 0, 1)
    printed = script("cross_validate.py", *arguments)
    assert printed.startswith("unimodal on the spoken demonstration corpus\n2 runs, 0 of them finished, into ")
    assert "fold-2-seed-1 (2 of 2): WA " in printed
    assert "best" not in printed.splitlines()[-1]
    results = json.loads((place / "a" / "results.json").read_text())
    ending = printed.rpartition("\ntest ")[2]
    assert f"{100 * results['metrics']['test']['ua']:.1f}" in ending
    assert all(picture in ending for picture in results["pictures"])
    again = script("cross_validate.py", *arguments)
    assert "2 runs, 2 of them finished" in again
    assert again.rpartition("\ntest ")[2] == ending

    compared = script("compare.py", place / "a", place / "a")
    assert compared.splitlines()[-1].endswith("is not significant.")
    with pytest.raises(SystemExit, match="made with other settings"):
        script("cross_validate.py", *arguments, "--learning_rate", "0.5")


def test_a_fold_of_its_own_process_has_the_same_weights(place, script):
    script("cross_validate.py", place / "recipe.yaml", "--folds", 3, "--seeds", 5, "--output_dir", place / "b")
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # they decide the last digit of a sum
    options = ("--corpus_options.fold", "3", "--seed", "5", "--output_dir", place / "alone")
    command = [sys.executable, SCRIPTS / "train.py", place / "recipe.yaml", *options]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    own, alone = (folder / "model.safetensors" for folder in (place / "b/fold-3-seed-5", place / "alone"))
    assert own.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cross_validate.py", ["nowhere.yaml"], "There is no recipe nowhere.yaml"),
        ("cross_validate.py", ["--folds", "3"], "There is no fold 3; this protocol of spoken has 1."),
        ("cross_validate.py", ["--metric_for_best_model", "test_ua"], "chosen on the validation part"),
        ("compare.py", ["here", "there"], "here/results.json does not exist"),
    ],
)
def test_what_is_wrong_is_one_sentence(script, name, arguments, message):
    with pytest.raises(SystemExit) as caught:
        script(name, *arguments)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
