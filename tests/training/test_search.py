"""A search sees the validation part of the first fold, survives its trials, and goes on where it was."""

import json

import pytest
import torch
import yaml
from emofusion.training.recipe import SEARCH, TRAINING, parse_recipe
from emofusion.training.search import trials as search_module
from emofusion.training.search.report import format_search
from emofusion.training.search.space import SearchArguments
from emofusion.training.search.trials import build_trial
from emofusion.training.settings import field_types, read_settings
from testing_training import tiny_recipe

pytest.importorskip("optuna")
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "model_config.hidden_size": [8, 16]}


@pytest.fixture
def write_recipe(corpus_root, tmp_path):
    """Writes a recipe of one short epoch, and gives its path."""

    def write(folder="search", space=SPACE, **others):
        recipe = tiny_recipe(corpus_root, tmp_path / folder, search=space, num_train_epochs=1, **others)
        path = tmp_path / f"{folder}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        return str(path)

    return write


def search(path, *options, tell=None):
    return search_module.search(parse_recipe([path, *options], SEARCH), tell)


def told(folder):
    return json.loads((folder / "search.json").read_text())


def test_a_search_that_goes_on_is_that_which_was_never_interrupted(write_recipe, corpus, tmp_path):
    lines = []
    search(write_recipe("parts"), "--trials", "1")
    parts = search(write_recipe("parts"), "--trials", "2", tell=lines.append)
    assert [line.split(":")[0] for line in lines] == ["trial 1"]
    whole = search(write_recipe("whole"), "--trials", "2")
    assert told(tmp_path / "parts") == json.loads(json.dumps(parts))
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

    screen = format_search(whole, tmp_path / "whole")
    assert "2 finished" in screen
    assert f"train.py {tmp_path / 'whole' / 'best.yaml'}" in screen

    with pytest.raises(ValueError, match="another learning_rate: choose another output_dir"):
        search(write_recipe("whole"), "--learning_rate", "0.5")


def test_the_test_part_is_not_given_to_a_trial(write_recipe, corpus, tmp_path, monkeypatch):
    seen = []

    def build_trainer(rows, *others):
        seen.append(set(rows))
        assert rows["validation"]["id"] == corpus["validation"]["id"]

    monkeypatch.setattr(search_module, "build_trainer", build_trainer)
    build_trial(parse_recipe([write_recipe()], SEARCH), {"learning_rate": 1e-3}, tmp_path)
    assert seen == [{"train", "validation"}]


def test_the_first_fold_is_searched_whichever_the_recipe_trains(monkeypatch):
    recipe = parse_recipe(
        ["--corpus", "iemocap", "--corpus_options.test_session", "3", "--output_dir", "x", "--use_cpu", "true"],
        SEARCH,
    )
    monkeypatch.setattr(
        search_module, "list_folds", lambda name, **options: [{"test_session": 1}, {"test_session": 2}]
    )
    assert search_module.first_fold(recipe.data).corpus_options["test_session"] == 1


def test_trials_that_fail_are_recorded_and_others_go_on(write_recipe, corpus, tmp_path, monkeypatch):
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
    found = search(write_recipe(), "--trials", "3", tell=lines.append)
    assert [trial["state"] for trial in found["trials"]] == ["failed", "failed", "finished"]
    assert found["trials"][0]["error"] == "the validation loss is nan."
    assert "out of memory" in lines[1]
    assert found["best"]["number"] == 2


def test_a_search_of_which_nothing_comes_says_why(write_recipe, corpus, tmp_path):
    space = {"model_config.hidden_size": [7, 9]}  # of two heads
    with pytest.raises(ValueError, match=r"No trial came to its end\. The last that failed: .*hidden_size"):
        search(write_recipe(space=space), "--trials", "2")
    assert [trial["state"] for trial in told(tmp_path / "search")["trials"]] == ["failed", "failed"]
    assert not (tmp_path / "search" / "best.yaml").exists()


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ({}, "nothing to search over"),
        ({"learning_rat": [1, 2]}, "did you mean 'learning_rate'"),
        ({"corpus_options.utterances": [1, 2]}, "could not be compared"),
        ({"logging_steps": [1, 2]}, "make no difference"),
        ({"learning_rate": {"low": 1}}, "must be a list of choices, or low and high"),
        ({"learning_rate": {"low": 2, "high": 1}}, "low must be a number below high"),
        ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "low must be positive"),
        ({"learning_rate": [None]}, "numbers, words, true or false"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_before_anything_is_trained(write_recipe, space, complaint):
    with pytest.raises(ValueError, match=complaint):
        search(write_recipe(space=space))


def test_members_may_be_written_with_dots_or_as_mappings():
    dotted = SearchArguments(search={"model_config.hidden_size": [1, 2]})
    assert dotted == SearchArguments(search={"model_config": {"hidden_size": [1, 2]}})


def test_other_scripts_leave_the_space_alone(write_recipe):
    assert "search" not in read_settings(write_recipe(), field_types(TRAINING))


def test_without_optuna_one_sentence_says_what_to_install(write_recipe, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'emofusion\[search\]'"):
        search(write_recipe())
