"""`push_to_hub` of a run: the same files as `emofusion push`, once, when everything is measured."""

import json

import pytest
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from testing_training import tiny_recipe

# The Hub's own client passes its HTTP library a file in a way that this has given up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture
def run(corpora, tmp_path):
    def start(**others):
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(json.dumps(tiny_recipe(corpora, tmp_path / "run", push_to_hub=True, max_steps=1, **others)))
        return train(parse_recipe([str(recipe)])), tmp_path / "run"

    return start


def test_a_run_is_pushed_once_with_its_scores(hub, run):
    results, folder = run(hub_model_id="someone/tiny")
    repo = hub.repos["model", "someone/tiny"]
    assert repo.private
    _, commit, pinned = repo.branches["main"]
    assert commit.message == "End of training"
    assert json.loads(commit.files["results.json"]) == json.loads((folder / "results.json").read_text())
    assert f"WA {100 * results.metrics['test'].wa:.1f} %" in pinned.files["README.md"].decode()
    assert {*results.pictures, "model.safetensors", "training_log.json"} <= commit.files.keys()
    assert not [name for name in commit.files if name.startswith(("checkpoint", "predictions", "training_args"))]


def test_a_run_that_cannot_be_pushed_is_refused_first(hub, run, monkeypatch):
    hub.add("someone/run")  # public, and named like the folder
    with pytest.raises(ValueError, match="someone/run is public"):
        run()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(OSError, match="does not know the token"):
        run()


def test_a_failed_push_is_a_warning(hub, run):
    hub.failures["POST /api/repos/create"] = (403, "Full")
    with pytest.warns(UserWarning, match=r"Not pushed: .*may not write to someone/run.*emofusion push"):
        results, folder = run()
    assert (folder / "results.json").is_file()
    assert results.metrics


def test_pushing_before_the_end_is_refused(tmp_path):
    with pytest.raises(ValueError, match="hub_strategy is 'every_save'"):
        EmotionTrainingArguments(str(tmp_path), push_to_hub=True, hub_strategy="every_save")
