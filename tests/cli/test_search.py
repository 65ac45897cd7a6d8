"""The command line of a search, and the recipe that comes of it."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import yaml
from testing_training import tiny_recipe

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script in this process; returns what it printed."""

    def start(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return capsys.readouterr().out

    return start


def test_what_is_found_is_trained_as_it_is(run, tmp_path):
    pytest.importorskip("optuna")
    space = {"learning_rate": [3e-3, 1e-2]}
    recipe = tiny_recipe(tmp_path / "corpora", tmp_path / "found", search=space, num_train_epochs=1)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    printed = run("search.py", tmp_path / "recipe.yaml", "--trials", "1")
    best = tmp_path / "found" / "best.yaml"
    assert "trial 0: ua " in printed
    assert f"train.py {best}" in printed
    run("train.py", best)
    results = json.loads((tmp_path / "found" / "best" / "results.json").read_text())
    found = json.loads((tmp_path / "found" / "search.json").read_text())["best"]
    assert results["training"]["learning_rate"] == found["settings"]["learning_rate"]
    assert results["metrics"]["validation"]["ua"] == found["value"]  # it is the very run


def test_a_recipe_without_a_space_is_refused_in_one_sentence(run, tmp_path):
    with pytest.raises(SystemExit) as caught:
        run("search.py", "--output_dir", tmp_path / "found", "--use_cpu", "true")
    assert caught.value.code.startswith("search.py: The recipe says nothing to search over")
    assert not (tmp_path / "found").exists()
