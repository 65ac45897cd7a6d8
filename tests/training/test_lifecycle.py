"""The life of a run: rows are checked first, each file is written once, and `results.json` marks the end."""

import json
from collections import Counter

import evaluate
import pytest
from datasets import DatasetDict
from emofusion.corpora import registry
from emofusion.corpora.atomic_write import write_json
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task_classification import ClassificationTask
from emofusion.training import lifecycle, run
from emofusion.training.planned_run import RECORD, Run, find_state
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from emofusion.training.trainer import EmotionTrainer
from testing_training import TEXT, record_writes, tiny_recipe


@pytest.fixture
def make_recipe(corpus_root, corpus, tmp_path):
    """A function that makes the recipe of a run of one step, in the folder `run`."""

    def make(**others):
        model = {"modality": "text", "text_config": TEXT, "hidden_size": 8}
        fields = tiny_recipe(
            corpus_root, tmp_path / "run", variant="unimodal", model_config=model, **{"max_steps": 1, **others}
        )
        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps(fields))  # JSON is YAML
        return parse_recipe([str(path)])

    return make


@pytest.mark.parametrize("settings", [{}, {"lora": {"rank": 2}}, {"load_best_model_at_end": False}])
def test_each_file_is_written_once_and_the_results_last(make_recipe, tmp_path, monkeypatch, settings):
    written = record_writes(monkeypatch, tmp_path / "run")
    results = train(make_recipe(**settings))
    assert {name: count for name, count in Counter(written).items() if count > 1} == {}
    assert {"predictions.jsonl", "training_log.json", *results.pictures} <= set(written)
    weights = "adapter_model.safetensors" if settings.get("lora") else "model.safetensors"
    order = [weights, "predictions.jsonl", "README.md", "results.json"]
    assert [name for name in written if name in order] == order
    assert written[-1] == "results.json"


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_push_sends_the_finished_folder_without_saving_again(hub, make_recipe, tmp_path, monkeypatch):
    written = record_writes(monkeypatch, tmp_path / "run")
    train(make_recipe(push_to_hub=True, hub_model_id="someone/tiny"))
    assert max(Counter(written).values()) == 1
    _, commit, _ = hub.repos["model", "someone/tiny"].branches["main"]
    for name in ("model.safetensors", "results.json"):
        assert commit.files[name] == (tmp_path / "run" / name).read_bytes()


def test_every_checkpoint_is_saved_once_with_its_card(make_recipe, tmp_path, monkeypatch):
    written = record_writes(monkeypatch, tmp_path / "run" / "checkpoint-1")
    train(make_recipe())
    selection = "was kept; the test split was measured once"
    assert selection in (tmp_path / "run" / "README.md").read_text()
    page = (tmp_path / "run" / "checkpoint-1" / "README.md").read_text()
    assert "| validation |" in page
    assert selection not in page  # nothing was selected or measured yet
    counts = Counter(written)
    assert (counts["model.safetensors"], counts["README.md"]) == (1, 1)
    assert "results.json" not in counts


def test_a_run_that_is_killed_before_its_end_is_not_finished(make_recipe, tmp_path, monkeypatch):
    recipe = make_recipe(num_train_epochs=1)
    run, results, save = Run("run", 1, recipe), train(recipe), EmotionTrainer.save_bundle
    write_json(run.folder / RECORD, run.describe())  # as the cross-validation does

    def kill(*_, **__):
        raise KeyboardInterrupt

    def kill_at_the_end(self, folder):
        return kill() if folder == tmp_path / "run" else save(self, folder)

    for place, step, killer in (
        (EmotionTrainer, "save_bundle", kill_at_the_end),
        (lifecycle, "write_predictions", kill),
        (lifecycle, "write_card", kill),
    ):
        results.write(run.folder)
        assert find_state(run) == "finished"
        with monkeypatch.context() as patch:
            patch.setattr(place, step, killer)
            with pytest.raises(KeyboardInterrupt):
                train(recipe)
        assert not (run.folder / "results.json").exists(), step
        assert find_state(run) == "checkpoint-1"


def test_a_second_run_replaces_the_results_of_the_first(make_recipe, tmp_path):
    first = train(make_recipe())
    second = train(make_recipe(seed=1, learning_rate=0.5))
    assert RunResults.read(tmp_path / "run") == second != first


def test_checkpoints_of_a_new_run_lie_beside_no_results_of_the_first(make_recipe, tmp_path, monkeypatch):
    proof, found, save = (
        [tmp_path / "run" / name for name in ("results.json", "splits.json")],
        [],
        EmotionTrainer.save_model,
    )

    def record(self, folder, **kwargs):
        found.append([file.is_file() for file in proof])
        save(self, folder, **kwargs)

    monkeypatch.setattr(EmotionTrainer, "save_model", record)
    train(make_recipe())
    train(make_recipe(seed=1))
    train(make_recipe(seed=1, max_steps=2, resume_from_checkpoint="true"))
    assert found == [[False] * 2, [False] * 2, [True] * 2]


def test_splits_are_checked_before_anything_is_built(make_recipe, corpus, monkeypatch):
    rows = corpus["train"].select(range(4))
    monkeypatch.setattr(registry, "load_corpus", lambda *_, **__: type(corpus)({**corpus, "test": rows}))
    monkeypatch.setattr("emofusion.training.run.build_model", None)  # the run fails before
    with pytest.raises(ValueError, match="is both in 'train' and in 'test'"):
        train(make_recipe())


def test_neither_a_picture_nor_a_cache_can_lose_a_finished_training(make_recipe, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no picture of this\nlabel")

    def make_folder(*_, **__):
        raise PermissionError(13, "the user's cache")

    monkeypatch.setattr(ClassificationTask, "draw_test_split", fail)
    monkeypatch.setattr(evaluate.EvaluationModule, "__init__", make_folder)
    with pytest.warns(UserWarning, match=r"could not be drawn \(no picture of this label\); the scores are saved"):
        results = train(make_recipe(num_train_epochs=1, language="de", license="cc-by-4.0"))
    assert RunResults.read(tmp_path / "run") == results
    assert results.pictures == ["learning_curve.png"]
    assert (results.language, results.license) == (["de"], "cc-by-4.0")
    assert (tmp_path / "run" / "predictions.jsonl").is_file()


def test_a_run_whose_rows_lack_a_modality_ends_before_anything_is_built(make_recipe, corpus, tmp_path, monkeypatch):
    bare = DatasetDict(
        {split: rows.remove_columns("text").add_column("text", [None] * len(rows)) for split, rows in corpus.items()}
    )
    monkeypatch.setattr(registry, "load_corpus", lambda *_, **__: bare)
    monkeypatch.setattr(run, "build_model", lambda *_: pytest.fail("a model was built"))
    with pytest.raises(ValueError, match="The model reads text, but no utterance of the train split has transcripts"):
        train(make_recipe())
    assert not (tmp_path / "run").exists()
