"""The command line of a search, and the recipe that it writes."""

import json

import pytest
import yaml
from emofusion.evaluation.results import RunResults
from testing_training import tiny_recipe


def test_the_best_recipe_trains_the_same_model(call, tmp_path, corpus_root):
    pytest.importorskip("optuna")
    space = {"learning_rate": [3e-3, 1e-2]}
    recipe = tiny_recipe(corpus_root, tmp_path / "found", search=space, num_train_epochs=1)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    printed = call("search", tmp_path / "recipe.yaml", "--trials", "1")
    best = tmp_path / "found" / "best.yaml"
    assert "trial 0: ua " in printed
    assert f"emofusion train {best}" in printed
    call("train", best)
    results = RunResults.read(tmp_path / "found" / "best")
    found = json.loads((tmp_path / "found" / "search.json").read_text())["best"]
    assert results.training["learning_rate"] == found["settings"]["learning_rate"]
    assert results.metrics["validation"].ua == found["value"]  # it is the very run


def test_a_recipe_without_a_search_space_is_refused(complaint, tmp_path):
    pytest.importorskip("optuna")
    arguments = ("--output_dir", tmp_path / "found", "--use_cpu", "true")
    assert complaint("search", *arguments).startswith("The recipe has no search space")
    assert not (tmp_path / "found").exists()
