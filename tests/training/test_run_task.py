"""The task of a run: what its corpus must have, which rows are left out, and which options it refuses."""

import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora.schema import features
from emofusion.evaluation.metadata import CorpusMetadata
from emofusion.evaluation.task import load_task
from emofusion.training.arguments import DataArguments
from emofusion.training.cross_corpus.plan import plan_runs
from emofusion.training.recipe import CROSS_CORPUS, LATE_FUSION, Recipe
from emofusion.training.run_task import check_corpora, choose_task, draw_rows, leave_out_unlabelled, sketch_task

LABELS = ["sad", "happy"]
METADATA = CorpusMetadata(name="mine", title="My corpus", dimension_scale=[1, 7])


def vad(valence=None, arousal=None, dominance=None):
    return {"valence": valence, "arousal": arousal, "dominance": dominance}


def rows(ratings, labels=None):
    count = len(ratings)
    blank = dict.fromkeys(features(LABELS), [None] * count)
    values = {"id": [f"row {n}" for n in range(count)], "label": labels or [None] * count, "vad": ratings}
    return Dataset.from_dict(blank | values, features=features(LABELS))


def splits(**others):
    rated = rows([vad(1.0, 2.0), vad(3.0, 4.0), vad(valence=5.0), None], [0, 1, None, None])
    return DatasetDict({"train": rated, "validation": rated, "test": rated, **others})


def dimensions(*names):
    return load_task("dimensions", names, scale=(1, 7))


def multi_task(*names):
    return load_task("multi_task", LABELS, dimensions=names, scale=(1, 7))


def test_the_task_has_the_dimensions_and_the_scale_of_the_corpus():
    task = choose_task(DataArguments(task="dimensions"), splits(), METADATA)
    assert (list(task.labels), list(task.dimension_scale)) == (["valence", "arousal"], [1, 7])
    chosen = choose_task(DataArguments(task="multi_task", dimensions=["arousal"]), splits(), METADATA)
    assert (list(chosen.classes), list(chosen.dimension_names)) == (LABELS, ["arousal"])
    assert choose_task(DataArguments(), splits(), METADATA) == load_task("classification", LABELS)


def joint(first, second):
    part = rows([first, first, second, second])
    part = part.remove_columns("corpus").add_column("corpus", ["a", "a", "b", "b"])
    return DatasetDict({"train": part, "validation": part, "test": part})


@pytest.mark.parametrize(
    ("corpus", "given", "message"),
    [
        (
            joint(vad(1.0), None),
            [],
            "no utterance of b in the train split has a value of valence, arousal or dominance .*; give",
        ),
        (
            joint(vad(1.0), vad(arousal=1.0)),
            [],
            "no utterance of a in the train split has a value of arousal or dominance, and none of b in the train split has a",
        ),
        (joint(vad(1.0), None), ["arousal"], "no utterance of the train split of A and B has a value of arousal"),
        (
            DatasetDict(splits(), b=rows([vad(dominance=1.0)] * 2)),
            ["valence"],
            "no utterance of the test split of b has a value of valence",
        ),
    ],
)
def test_the_corpus_that_lacks_a_dimension_is_named(corpus, given, message):
    metadata = CorpusMetadata(title="A and B", corpora=["a", "b"], tested={"b": ""} if "b" in corpus else {})
    with pytest.raises(ValueError, match=message):
        choose_task(DataArguments(task="dimensions", corpus=["iemocap", "meld"], dimensions=given), corpus, metadata)


@pytest.mark.parametrize(
    ("names", "tested", "given", "message"),
    [
        (
            ["iemocap", "meld"],
            [],
            [],
            "but meld has no dimensions .*; give those of the other corpora as dimensions, such",
        ),
        (["iemocap", "meld"], [], ["valence"], None),
        (["iemocap"], ["meld"], ["valence"], "but meld has no dimensions .*; leave it out"),
        (["meld"], ["iemocap"], [], "but meld has no dimensions .*; leave it out"),
        (["folder:a", "folder:b"], [], [], "but folder:a and folder:b have no dimensions .*; leave them out"),
        (
            ["iemocap", "cmu_mosei"],
            [],
            [],
            "The valence of cmu_mosei is the sentiment of an opinion, that of iemocap is not",
        ),
        (["iemocap"], ["cmu_mosei:x"], ["valence"], "The valence of cmu_mosei:x is the sentiment of an opinion"),
        (["iemocap", "cmu_mosei"], [], ["arousal"], None),
    ],
)
def test_corpora_without_common_dimensions_are_refused_before_they_are_loaded(names, tested, given, message):
    data = DataArguments(task="dimensions", corpus=names, test_corpora=tested, dimensions=given)
    with nullcontext() if message is None else pytest.raises(ValueError, match=message):
        check_corpora(data)


def test_all_runs_of_a_table_have_one_scale(tmp_path):
    scales = {"folder:a": {"dimension_scale": [0, 100]}, "iemocap": {}}
    settings = {"corpus": list(scales), "corpus_options": scales, "output_dir": str(tmp_path)}
    recipe = Recipe.read(groups=CROSS_CORPUS, task="dimensions", **settings)
    assert [run.recipe.data.selection.scale for run in plan_runs(recipe)] == [[0, 100]] * 2
    recipe = Recipe.read(groups=CROSS_CORPUS, **settings)
    assert {run.recipe.data.dimension_scale for run in plan_runs(recipe)} == {None}
    recipe = Recipe.read(groups=CROSS_CORPUS, task="dimensions", **settings, test_corpora=["meld"])
    with pytest.raises(ValueError, match="meld has no dimensions"):
        plan_runs(recipe)


def test_a_dimension_that_a_split_lacks_is_not_learned_unless_it_is_named():
    corpus = splits(test=rows([vad(valence=1.0), vad(valence=2.0)]))
    assert list(choose_task(DataArguments(task="dimensions"), corpus, METADATA).labels) == ["valence"]
    named = DataArguments(task="dimensions", dimensions=["valence", "arousal"])
    with pytest.raises(ValueError, match="no utterance of the test split of My corpus has a value of arousal"):
        choose_task(named, corpus, METADATA)


@pytest.mark.parametrize(
    ("corpus", "metadata", "message"),
    [
        (
            splits(train=rows([None, None])),
            METADATA,
            "train split of My corpus has a value of valence, arousal or domin",
        ),
        (splits(), CorpusMetadata(name="mine"), "the scale of the dimensions of mine is unknown"),
    ],
)
def test_a_corpus_without_dimensions_or_scale_is_refused(corpus, metadata, message):
    with pytest.raises(ValueError, match=message):
        choose_task(DataArguments(task="dimensions"), corpus, metadata)


@pytest.mark.parametrize(
    ("task", "kept", "message"),
    [
        (dimensions("valence"), 3, "1 of 4 utterances of the train split have no valence; they are left out"),
        (dimensions("arousal"), 2, "2 of 4 utterances of the train split have no arousal; they are left out"),
        (multi_task("arousal"), 2, "2 of 4 .* have no class or arousal"),
        (multi_task("valence", "arousal"), 3, "1 of 4 .* have no class, valence or arousal"),
    ],
)
def test_rows_without_anything_to_learn_are_left_out_and_counted(task, kept, message):
    with pytest.warns(UserWarning, match=message):
        corpus = leave_out_unlabelled(splits(), task)
    assert [len(part) for part in corpus.values()] == [kept] * 3


def test_rows_with_a_class_or_a_dimension_are_kept():
    both = splits(**{split: rows([vad(1.0), None], [None, 1]) for split in ("train", "validation", "test")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert leave_out_unlabelled(both, multi_task("valence"))["train"] is both["train"]
        assert leave_out_unlabelled(both, load_task("classification", LABELS)) is both


def test_a_sample_keeps_the_shares_of_classes_and_of_rows_without_one():
    labels = [0] * 20 + [1] * 10 + [None] * 10
    everything = rows([vad(1.0)] * 40, labels)
    drawn = draw_rows(everything, 20, 0, multi_task("valence"))
    numbers = drawn["label"][:]
    assert [numbers.count(label) for label in (0, 1, None)] == [10, 5, 5]
    plain = draw_rows(everything, 20, 0, dimensions("valence"))
    assert len(set(plain["id"])) == 20
    assert plain["id"][:] == draw_rows(everything, 20, 0, dimensions("valence"))["id"][:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "regression"}, "task is 'regression'; choose one of classification, dimensions, multi_task"),
        ({"dimensions": ["valence"]}, "dimensions is given, but the task is classification"),
        ({"task": "dimensions", "dimensions": ["pleasure"]}, "dimensions is .*pleasure"),
        ({"task": "dimensions", "dimensions": ["valence", "valence"]}, "each once"),
        ({"task": "dimensions", "soft_labels": True}, "soft_labels is given, but the task dimensions has no classes"),
        (
            {"task": "dimensions", "sampler": "balanced"},
            "sampler is 'balanced', but the task dimensions has no classes",
        ),
        ({"task": "dimensions", "class_weights": "balanced"}, "class_weights is 'balanced', but the task dimensions"),
        (
            {"task": "dimensions", "label_smoothing_factor": 0.1},
            "label_smoothing_factor is 0.1, but the task dimensions",
        ),
        (
            {"task": "dimensions", "metric_for_best_model": "ua"},
            "metric_for_best_model is 'ua'; the task dimensions has",
        ),
        ({"metric_for_best_model": "ccc"}, "metric_for_best_model is 'ccc'; the task classification has"),
        (
            {"task": "dimensions", "model_config": {"dimension_scale": [1, 5]}},
            r"model_config\.dimension_scale is given",
        ),
        ({"model_config": {"dimension_loss": "mse"}}, "the task is classification; set task to dimensions or multi"),
        (
            {"model_config": {"auxiliary_labels": {}}},
            "model_config.auxiliary_labels is given, but the argument auxiliary",
        ),
        (
            {"auxiliary": {"gender": 1}, "model_config": {"loss_weights": {"auxiliary_gender": 0}}},
            "model_config.loss_weights.auxiliary_gender is given, but auxiliary.gender is that weight",
        ),
        (
            {"mixup": {"embedding": 0.2}, "model_config": {"context_layers": 1}},
            "mixup is given, but a model with context",
        ),
        (
            {"task": "multi_task", "variant": "text_classifier"},
            "The task is multi_task, but a text_classifier is a plain",
        ),
    ],
)
def test_options_that_do_not_fit_the_task_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe.read(use_cpu=True, output_dir="unused", **settings)


@pytest.mark.parametrize(("task", "metric"), [("classification", "ua"), ("dimensions", "ccc"), ("multi_task", "ua")])
def test_the_metric_that_selects_is_that_of_the_task(task, metric):
    recipe = Recipe.read(use_cpu=True, output_dir="unused", task=task)
    assert (recipe.training.metric_for_best_model, recipe.training.greater_is_better) == (metric, True)
    assert "metric_for_best_model" not in recipe.describe()
    other = recipe.replace(metric_for_best_model="loss")
    assert (other.training.greater_is_better, other.describe()["metric_for_best_model"]) == (False, "loss")
    assert other.replace(metric_for_best_model=None).training.metric_for_best_model == metric
    assert recipe.replace(task="dimensions").training.metric_for_best_model == "ccc"


def test_a_recipe_of_a_late_fusion_has_a_task_too():
    recipe = Recipe.read(groups=LATE_FUSION, members=["a"], task="dimensions", use_cpu=True, output_dir="unused")
    assert recipe.training.metric_for_best_model == "ccc"


def test_a_task_without_its_corpus_has_the_sizes_of_the_recipe():
    task = sketch_task(DataArguments(task="multi_task", dimensions=["valence"]), classes=3)
    assert (len(task.classes), list(task.dimension_names)) == (3, ["valence"])
    assert list(sketch_task(DataArguments(task="dimensions")).labels) == ["valence", "arousal", "dominance"]
    assert np.isfinite(sketch_task(DataArguments(task="dimensions")).dimension_scale).all()
