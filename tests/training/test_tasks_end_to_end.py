"""Dimensions, and classes with dimensions, from the recipe to folders that are compared, fused and used."""

import json

import numpy as np
import pytest
import torch
import yaml
from emofusion.corpora import registry
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.evaluation.comparison import compare_systems
from emofusion.evaluation.predictions import read_predictions
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import task_of_results
from emofusion.evaluation.task_dimensions import DimensionsTask
from emofusion.training import lifecycle, planned_run
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.console import format_scores
from emofusion.training.cross_validation.plan import find_states, plan_runs
from emofusion.training.cross_validation.runs import cross_validate
from emofusion.training.cross_validation.summary import format_results
from emofusion.training.late_fusion.fit import fit_late_fusion
from emofusion.training.late_fusion.summary import format_fusion
from emofusion.training.model_building import build_model
from emofusion.training.recipe import CROSS_VALIDATION, LATE_FUSION, TRAINING, Recipe
from emofusion.training.run import score_without, train
from emofusion.training.trainer import EmotionTrainer
from huggingface_hub import ModelCard
from testing_iemocap import build_iemocap
from testing_training import TEXT, tiny_recipe
from transformers import AutoModelForAudioClassification, AutoProcessor, pipeline

SILENCE = {"array": np.zeros(4000, np.float32), "sampling_rate": 16000}
FOLDS = {"utterances": BLOCK, "speaker_folds": 3}
# A step of a text model without validation and checkpoints.
STEP = {
    "variant": "unimodal",
    "max_steps": 1,
    "eval_strategy": "no",
    "save_strategy": "no",
    "load_best_model_at_end": False,
}
MODEL = {"modality": "text", "text_config": TEXT, "hidden_size": 8}
MEMBERS = {"narrow": MODEL, "wide": MODEL | {"hidden_size": 12}}


@pytest.fixture(scope="module")
def fused(tmp_path_factory, corpus_root):
    """The cross-validation of a late fusion of two regressors in two folds: its runs, its results and the printed lines."""
    folder, lines, members = tmp_path_factory.mktemp("fused"), [], []
    for name, model in MEMBERS.items():
        options = {"model_config": model, "task": "dimensions", "corpus_options": FOLDS, **STEP}
        members.append(str(folder / f"{name}.yaml"))
        recipe = tiny_recipe(corpus_root, folder / name, **options)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    shared = {"corpus": "spoken", "corpus_root": str(corpus_root), "corpus_options": FOLDS, "task": "dimensions"}
    recipe = Recipe.read(
        groups=CROSS_VALIDATION,
        **shared,
        members=members,
        combination="linear",
        folds=[1, 2],
        output_dir=folder / "late",
        use_cpu=True,
        disable_tqdm=True,
    )
    runs = plan_runs(recipe)
    with pytest.MonkeyPatch.context() as patch:  # the pictures of the other fixture are enough
        patch.setattr(DimensionsTask, "draw_test_split", lambda *_: None)
        patch.setattr(lifecycle, "draw_learning_curves", lambda *_: None)
        return runs, cross_validate(runs, find_states(runs), lines.append), lines


def test_a_fusion_of_regressors_is_cross_validated(fused):
    runs, results, lines = fused
    assert results.labels == results.dimensions == ["valence", "arousal"]
    assert (results.task, results.dimension_scale) == ("dimensions", [1, 5])
    assert set(results.late_fusion.systems) == {*MEMBERS, "mean", "weighted", "linear"}
    assert set(results.late_fusion.weights) == {"weighted"}
    assert {"ccc", "ccc_valence", "ccc_arousal", "rmse"} <= results.cross_validation.over_runs.keys()
    assert results.data["test"].dimensions == dict.fromkeys(results.labels, results.data["test"].utterances)
    assert RunResults.read(runs[0].folder.parent) == results
    assert all("CCC" in line and "UA" not in line for line in lines)
    assert "CCC" in format_results(results)
    assert "recall" not in format_results(results).lower()
    assert "linear, which is saved" in format_fusion(results)
    assert find_states(runs) == ["finished", "finished"]


def test_pooled_scores_are_those_of_all_predictions(fused):
    runs, results, _ = fused
    tests = [read_predictions(run.folder, task_of_results(results))["test"] for run in runs]
    predicted, truth = (
        np.concatenate([getattr(test, name) for test in tests]) for name in ("dimensions", "dimension_labels")
    )
    for place, name in enumerate(results.labels):
        x, y = predicted[:, place], truth[:, place]
        ccc = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert results.metrics["test"].dimensions[name].ccc == pytest.approx(ccc)


def test_weights_of_members_are_those_of_the_best_ccc_on_the_validation_split(fused):
    runs, *_ = fused
    systems = RunResults.read(runs[0].folder).late_fusion.systems
    scores = {name: splits["validation"]["ccc"] for name, splits in systems.items()}
    assert scores["weighted"] >= scores["mean"] - 1e-6


def test_members_and_fusion_are_compared(fused):
    runs, *_ = fused
    member = runs[0].folder.parents[1] / "wide" / runs[0].name
    found = compare_systems(member, runs[0].folder)
    assert "CCC" in found.format()
    assert found.verdict.endswith(".")


def test_a_regressor_is_used_from_its_folder(fused):
    runs, *_ = fused
    for folder in (runs[0].folder.parents[1] / "wide" / runs[0].name, runs[0].folder):
        found = pipeline("emotion-recognition", model=str(folder), trust_remote_code=True)({"text": "a lovely day"})
        assert [entry["label"] for entry in found] == ["valence", "arousal"]
        card = ModelCard.load(folder / "README.md")
        assert {"ccc", "rmse"} <= {result.metric_type for result in card.data.eval_results}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "multi_task"}, "a late fusion combines either classes or dimensions"),
        ({"task": "dimensions", "combination": "logistic"}, "combination is 'logistic', but the task dimensions has"),
        ({"combination": "linear"}, "combination is 'linear', but the task classification has mean"),
        ({"corpus_options": FOLDS}, "whose task is dimensions, and that of the fusion is classification"),
    ],
)
def test_a_fusion_that_does_not_fit_its_task_is_refused(fused, settings, message, tmp_path):
    runs, *_ = fused
    options = {"members": [str(runs[0].folder.parents[1] / "wide.yaml")], "output_dir": tmp_path, "use_cpu": True}
    with pytest.raises(ValueError, match=message):
        fit_late_fusion(Recipe.read(groups=LATE_FUSION, **options, **settings))


@pytest.fixture(scope="module")
def both(tmp_path_factory, corpus_root, unrendered_pictures):
    """A run of classes and dimensions on rows that partly lack one of them: its folder, its results, and the splits."""
    load, seen = registry.load_corpus, {}

    def incomplete(*args, **options):
        corpus = load(*args, **options)

        def blank(row, place):
            return {
                "label": None if place % 4 < 2 else row["label"],
                "vad": None if place % 4 in (1, 3) else row["vad"],
            }

        seen.update(corpus)
        return type(corpus)(
            {name: rows.map(blank, with_indices=True, features=rows.features) for name, rows in corpus.items()}
        )

    folder = tmp_path_factory.mktemp("both") / "run"
    recipe = tiny_recipe(corpus_root, folder, task="multi_task", num_train_epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "load_corpus", incomplete)
        patch.setattr("matplotlib.figure.Figure.savefig", unrendered_pictures)  # pictures of classes and dimensions
        with pytest.warns(UserWarning, match="18 of 72 utterances of the train split"):
            results = train(Recipe.read(None, TRAINING, **recipe))
    return folder, results, seen


def test_classes_and_dimensions_are_learned_from_incomplete_rows(both):
    folder, results, _ = both
    train_split = results.data["train"]
    assert (train_split.utterances, sum(train_split.classes.values())) == (54, 36)
    assert train_split.dimensions == {"valence": 36, "arousal": 36}
    test = results.metrics["test"]
    assert sum(map(sum, test.confusion_matrix)) == 8
    assert test.dimensions["arousal"].utterances == 8
    log = json.loads((folder / "training_log.json").read_text())
    assert {"loss_cross_entropy", "loss_dimensions"} <= log[0].keys()
    assert {"eval_ua", "eval_ccc"} <= {name for entry in log for name in entry}
    assert "validation UA" in results.corpus.selection
    assert set(results.pictures) == {*task_of_results(results).pictures, lifecycle.LEARNING_CURVE}
    for text in (format_scores(results, folder), (folder / "README.md").read_text()):
        assert "UA" in text
        assert "CCC" in text


def test_a_model_of_both_is_used_from_its_folder(both):
    folder, results, _ = both
    found = pipeline("emotion-recognition", model=str(folder), trust_remote_code=True)(
        {"audio": SILENCE, "text": "a lovely day"}
    )
    assert {entry["label"] for entry in found["scores"]} == set(results.labels)
    assert [entry["label"] for entry in found["dimensions"]] == results.dimensions


def test_a_checkpoint_of_another_task_lends_all_but_its_heads(both, corpus):
    folder, results, _ = both
    args = Recipe.read(None, TRAINING, model_name_or_path=str(folder), output_dir="unused", use_cpu=True).model
    whole = build_model(args, task_of_results(results))
    classes = build_model(args, results.labels)
    assert classes.dimension_head is None
    assert classes.classifier.weight.equal(whole.classifier.weight)
    regressor = build_model(args, DimensionsTask(["arousal", "valence"], (0, 1)))
    assert regressor.classifier is None
    assert regressor.config.dimension_scale == [0.0, 1.0]
    assert regressor.dimension_head.outputs["arousal"].weight.equal(whole.dimension_head.outputs["arousal"].weight)
    shared = regressor.model.state_dict()
    assert all(shared[name].equal(value) for name, value in whole.model.state_dict().items())


def test_a_modality_is_withheld_from_a_model_of_both(both, corpus):
    folder, *_ = both
    assert {"ua", "ccc"} <= score_without("audio", folder, corpus["test"]).to_dict().keys()


def test_the_validation_loss_does_not_depend_on_the_batch_size(both, corpus, tmp_path):
    folder, results, _ = both
    model, rows = AutoModelForAudioClassification.from_pretrained(folder), corpus["validation"]
    collator, found = EmotionCollator(AutoProcessor.from_pretrained(folder), task_of_results(results)), []
    for size in (16, 3):
        args = EmotionTrainingArguments(
            str(tmp_path), per_device_eval_batch_size=size, use_cpu=True, disable_tqdm=True
        )
        found.append(EmotionTrainer(model, args, collator, eval_dataset=rows).evaluate()["eval_loss"])
    with torch.no_grad():
        whole = model(**collator(list(rows))).loss.item()
    assert found == pytest.approx([whole] * 2, abs=1e-5)


@pytest.mark.filterwarnings("ignore:IEMOCAP has:UserWarning")
def test_all_rated_turns_of_a_release_are_used(tmp_path):
    options = {"corpus": "iemocap", "task": "multi_task", "corpus_options": {"keep_others": True}, **STEP}
    recipe = tiny_recipe(build_iemocap(tmp_path), tmp_path / "run", model_config=MODEL, **options)
    data = train(Recipe.read(None, TRAINING, **recipe)).data["test"]
    # Of 16 turns, four are of other emotions, and two, which are angry, have no rating.
    assert (data.utterances, sum(data.classes.values())) == (16, 12)
    assert data.dimensions == dict.fromkeys(("valence", "arousal", "dominance"), 14)


@pytest.mark.parametrize(
    ("others", "combination", "message"),
    [
        (
            {"task": "dimensions", "dimensions": ["valence"]},
            "mean",
            "learns the dimensions valence, and the fusion combines",
        ),
        (
            {"task": "multi_task"},
            "soup",
            "The member one has the task multi_task, and the soup dimensions; give members of",
        ),
    ],
)
def test_members_that_do_not_fit_are_refused_before_they_are_trained(
    corpus_root, tmp_path, monkeypatch, others, combination, message
):
    monkeypatch.setattr(planned_run, "train", lambda *_: pytest.fail("A member was trained."))
    names = ["one", "two"]
    for name in names:
        recipe = tiny_recipe(corpus_root, tmp_path / name, model_config=MODEL, **STEP, **others)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    recipe = Recipe.read(
        groups=LATE_FUSION,
        members=[str(tmp_path / f"{name}.yaml") for name in names],
        combination=combination,
        task="dimensions",
        corpus="spoken",
        corpus_root=str(corpus_root),
        corpus_options={"utterances": BLOCK},
        output_dir=tmp_path / "late",
        use_cpu=True,
        disable_tqdm=True,
    )
    with pytest.raises(ValueError, match=message):
        fit_late_fusion(recipe)
