"""A search compares trials on the validation split of the first fold, survives failed trials and can be resumed."""

import json
import sys

import emofusion
import pytest
import torch
import yaml
from emofusion.corpora import registry
from emofusion.training.recipe import SEARCH, TRAINING, parse_recipe
from emofusion.training.search import trials as search_module
from emofusion.training.search.report import format_search
from emofusion.training.search.space import SearchArguments, check_metric
from emofusion.training.search.trials import build_trial
from emofusion.training.settings import field_types, read_settings
from testing_training import tiny_recipe

pytest.importorskip("optuna")
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "model_config.hidden_size": [8, 16]}


@pytest.fixture
def write_recipe(corpus_root, tmp_path):
    """Returns a function that writes a recipe of one short epoch and returns its path."""

    def write(folder="search", space=SPACE, **others):
        recipe = tiny_recipe(corpus_root, tmp_path / folder, search=space, num_train_epochs=1, **others)
        path = tmp_path / f"{folder}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        return str(path)

    return write


def search(path, *options, log=None):
    return search_module.search(parse_recipe([path, *options], SEARCH), log)


def read_result(folder):
    return json.loads((folder / "search.json").read_text())


def test_a_resumed_search_equals_an_uninterrupted_one(write_recipe, corpus, tmp_path):
    lines = []
    search(write_recipe("parts"), "--trials", "1")
    parts = search(write_recipe("parts"), "--trials", "2", log=lines.append)
    assert [line.split(":")[0] for line in lines] == ["trial 1"]
    whole = search(write_recipe("whole"), "--trials", "2")
    assert read_result(tmp_path / "parts") == json.loads(json.dumps(parts))
    assert [trial["settings"] for trial in parts["trials"]] == [trial["settings"] for trial in whole["trials"]]
    assert [trial["value"] for trial in parts["trials"]] == [trial["value"] for trial in whole["trials"]]
    assert len({trial["settings"]["learning_rate"] for trial in whole["trials"]}) == 2
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {
        *("study.db", "study.db.lock", "search.json", "search.png", "best.yaml"),
    }
    best = whole["best"]
    assert best["value"] == max(trial["value"] for trial in whole["trials"])

    recipe = parse_recipe([str(tmp_path / "whole" / "best.yaml")])
    assert recipe.training.learning_rate == best["settings"]["learning_rate"]
    assert recipe.model.model_config["hidden_size"] == best["settings"]["model_config.hidden_size"]
    searched = parse_recipe([write_recipe("whole")], SEARCH)
    assert recipe.data == searched.data
    assert recipe.training.per_device_train_batch_size == searched.training.per_device_train_batch_size
    assert (recipe.training.output_dir, recipe.training.use_cpu) == (str(tmp_path / "whole" / "best"), True)
    assert recipe.model.model_config | {"hidden_size": 8} == searched.model.model_config

    assert "2 finished" in format_search(whole)

    with pytest.raises(ValueError, match="another learning_rate: choose another output_dir"):
        search(write_recipe("whole"), "--learning_rate", "0.5")


def test_a_trial_does_not_get_the_test_split(write_recipe, corpus, tmp_path, monkeypatch):
    seen = []

    def build_trainer(rows, *others):
        seen.append(set(rows))
        assert rows["validation"]["id"] == corpus["validation"]["id"]

    monkeypatch.setattr(search_module, "build_trainer", build_trainer)
    build_trial(parse_recipe([write_recipe()], SEARCH), {"learning_rate": 1e-3}, tmp_path)
    assert seen == [{"train", "validation"}]


def test_the_first_fold_is_searched_whatever_fold_the_recipe_names(monkeypatch):
    recipe = parse_recipe(
        ["--corpus", "iemocap", "--corpus_options.test_session", "3", "--output_dir", "x", "--use_cpu", "true"],
        SEARCH,
    )
    monkeypatch.setattr(registry, "list_folds", lambda name, **options: [{"test_session": 1}, {"test_session": 2}])
    assert search_module.first_fold(recipe.data).corpus_options["test_session"] == 1


def test_failed_trials_are_recorded_and_the_search_continues(write_recipe, corpus, tmp_path, monkeypatch):
    built = []

    def build_badly(*args):
        built.append(build_trainer(*args))
        if len(built) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if len(built) == 1:
            for weight in built[0].model.parameters():
                weight.data.fill_(float("nan"))
        return built[-1]

    build_trainer, lines = search_module.build_trainer, []
    monkeypatch.setattr(search_module, "build_trainer", build_badly)
    found = search(write_recipe(), "--trials", "3", log=lines.append)
    assert [trial["state"] for trial in found["trials"]] == ["failed", "failed", "finished"]
    assert found["trials"][0]["error"].startswith("The loss of step 1 is not a number: ")
    assert "out of memory" in lines[1]
    assert found["best"]["number"] == 2


def test_a_search_without_a_finished_trial_raises(write_recipe, corpus, tmp_path):
    space = {"model_config.hidden_size": [7, 9]}  # not divisible by two heads
    with pytest.raises(ValueError, match=r"No trial finished\. Error of the last one: .*hidden_size"):
        search(write_recipe(space=space), "--trials", "2")
    assert [trial["state"] for trial in read_result(tmp_path / "search")["trials"]] == ["failed", "failed"]
    assert not (tmp_path / "search" / "best.yaml").exists()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "has no search space"),
        ({"learning_rat": [1, 2]}, "did you mean 'learning_rate'"),
        ({"corpus_options.utterances": [1, 2]}, "no comparable scores"),
        ({"logging_steps": [1, 2]}, "make no difference"),
        ({"learning_rate": {"low": 1}}, "must be a list of choices, or low and high"),
        ({"learning_rate": {"low": 2, "high": 1}}, "low must be a number below high"),
        ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "low must be positive"),
        ({"learning_rate": [None]}, "numbers, text, true or false"),
    ],
)
def test_an_invalid_space_is_refused_before_training(write_recipe, space, message):
    with pytest.raises(ValueError, match=message):
        search(write_recipe(space=space))


@pytest.mark.parametrize("option", ["auxiliary.gender", "class_weights", "model_config.loss_weights.dimensions"])
def test_options_of_the_loss_are_not_compared_by_the_loss(option):
    check_metric({option: [0.1, 1.0], "learning_rate": [0.1, 0.2]}, "ua")
    with pytest.raises(
        ValueError, match=f"search names '{option}', and metric_for_best_model is loss, which it changes"
    ):
        check_metric({option: [0.1, 1.0]}, "loss")


def test_members_are_named_with_dots_or_in_mappings():
    dotted = SearchArguments(search={"model_config.hidden_size": [1, 2]})
    assert dotted == SearchArguments(search={"model_config": {"hidden_size": [1, 2]}})


def test_other_commands_ignore_the_space(write_recipe):
    assert "search" not in read_settings(write_recipe(), field_types(TRAINING))


def test_a_missing_optuna_is_named_with_the_extra_that_installs_it(write_recipe, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        search(write_recipe())
    assert emofusion.explain_missing_module(caught.value).endswith("pip install 'emofusion[search]'")
