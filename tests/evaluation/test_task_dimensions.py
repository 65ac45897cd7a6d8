"""The tasks of dimensions, and of classes and dimensions: labels of a batch, metrics, scores, lines of predictions."""

import dataclasses
import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from emofusion.evaluation.prediction_records import UNKNOWN
from emofusion.evaluation.predictions import (
    FILE,
    collect_predictions,
    pool,
    read_predictions,
    write_predictions,
)
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import load_task, task_of_config, task_of_results
from sklearn.metrics import balanced_accuracy_score
from testing_predictions import BOTH, LABELS, NAMES, VALUES, make_both, make_corpus, make_values
from transformers.trainer_utils import EvalPrediction, PredictionOutput

VAD = {"valence": 2.5, "arousal": 4.0, "dominance": None}


def test_values_of_a_batch_are_in_the_order_of_the_task():
    labels = VALUES.encode_labels([{"vad": VAD}, {"vad": None}, {"vad": {"arousal": 1}}])["labels"]
    expected = torch.tensor([[4.0, 2.5, np.nan], [np.nan] * 3, [1.0, np.nan, np.nan]])
    torch.testing.assert_close(labels, expected, equal_nan=True)
    assert VALUES.encode_labels([{"text": "hello"}]) == {}


def test_a_batch_of_both_always_has_both_labels():
    batch = BOTH.encode_labels([{"label": 2, "vad": VAD}, {"label": None, "vad": VAD}, {"label": 0}])
    assert batch["labels"].tolist() == [2, UNKNOWN, 0]
    assert batch["dimension_labels"][:, 0].tolist()[:2] == [4.0, 4.0]
    assert batch["dimension_labels"][2].isnan().all()
    unlabelled = BOTH.encode_labels([{"label": None, "vad": None}])
    assert unlabelled["labels"].tolist() == [UNKNOWN]
    assert BOTH.encode_labels([{"text": "hello"}]) == {}
    assert list(batch) == BOTH.label_names
    soft = BOTH.for_training(True).encode_labels(
        [{"label": 1, "soft_label": [0.5, 0.5, 0, 0]}, {"label": 3}, {"vad": VAD}]
    )
    assert soft["labels"].tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    "vad",
    [{"valence": float("inf")}, {"valence": "high"}, [1, 2, 3], 3.0, {"valence": {}}, "high", {"valence": 10**400}],
)
def test_a_value_that_is_no_number_is_an_error(vad):
    for task in (VALUES, BOTH):
        with pytest.raises(
            ValueError, match=r"^Row 'u1' has the vad .*; it needs a number for each of arousal, valence"
        ):
            task.encode_labels([{"id": "u1", "vad": vad}])


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["valence", "mood"], {}, "some of valence, arousal, dominance"),
        (["valence", "valence"], {}, "each once"),
        ([], {}, "some of valence"),
        (["valence"], {"scale": (5, 1)}, "increasing"),
        (["valence"], {"scale": (1, float("inf"))}, "finite"),
        (["valence"], {"scale": (1,)}, "lowest and the highest"),
    ],
)
def test_wrong_dimensions_or_scales_are_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        load_task("dimensions", labels, **options)
    with pytest.raises(ValueError, match=message):
        load_task("multi_task", LABELS, dimensions=labels, **options)


def test_soft_labels_need_classes():
    with pytest.raises(ValueError, match="soft_labels is on, but the model learns dimensions alone"):
        VALUES.for_training(True)
    assert VALUES.for_training(False) is VALUES


@pytest.mark.parametrize("task", [VALUES, BOTH], ids=lambda task: task.name)
def test_a_task_is_found_by_a_configuration_and_by_results(task):
    config = SimpleNamespace(**task.config_fields())
    assert task_of_config(config) == dataclasses.replace(task, labels=list(task.labels))
    results = RunResults(**task.result_fields(), labels=list(task.labels), modalities=["audio"])
    again = RunResults.from_dict(json.loads(json.dumps(results.to_dict())))
    assert again == results
    assert task_of_results(again).config_fields() == task.config_fields()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": "dimensions"}, "'dimensions' is"),
        ({"task": "dimensions", "dimensions": ["mood"]}, "'dimensions' is"),
        ({"task": "dimensions", "dimensions": ["valence"]}, "'dimension_scale' is None"),
        ({"task": "dimensions", "dimensions": ["arousal"], "dimension_scale": [1, 5]}, "name the same"),
        ({"task": "classification", "dimensions": ["valence"]}, "the task is classification"),
        (
            {
                "task": "dimensions",
                "dimensions": ["valence"],
                "dimension_scale": [1, 5],
                "metrics": {"test": {"dimensions": {"mood": {}}}},
            },
            "'mood' is none of the dimensions",
        ),
    ],
)
def test_damaged_results_of_dimensions_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        RunResults.from_dict({"format": 1, "labels": ["valence"], "modalities": ["audio"], **fields})


def test_metrics_choose_a_checkpoint_whatever_the_values_are():
    found = make_values(60, noise=0.5)
    metrics = VALUES.compute_metrics(EvalPrediction(found.dimensions, found.dimension_labels))
    assert {"ccc", "pearson", "rmse", *(f"ccc_{name}" for name in NAMES)} == metrics.keys()
    assert metrics["ccc"] == pytest.approx(np.mean([metrics[f"ccc_{name}"] for name in NAMES]))
    constant = VALUES.compute_metrics(EvalPrediction(np.full((60, 3), 3.0), found.dimension_labels))
    assert (constant["ccc"], constant["pearson"]) == (0, 0)
    unknown = VALUES.compute_metrics(EvalPrediction(found.dimensions, np.full((60, 3), np.nan)))
    assert np.isnan(unknown["ccc"])


def test_metrics_of_both_are_those_of_its_parts():
    found = make_both(80)
    known = found.labels != UNKNOWN
    prediction = EvalPrediction((found.logits, found.dimensions), (found.labels, found.dimension_labels))
    metrics = BOTH.compute_metrics(prediction)
    assert metrics.keys() >= BOTH.metrics.keys() - {"loss"}
    expected = balanced_accuracy_score(found.labels[known], found.logits[known].argmax(axis=1))
    assert metrics["ua"] == pytest.approx(expected)
    values = VALUES.compute_metrics(EvalPrediction(found.dimensions, found.dimension_labels))
    assert metrics["ccc"] == values["ccc"]
    scores = BOTH.score_output(PredictionOutput(prediction.predictions, prediction.label_ids, {}))
    assert (scores.ua, scores.ccc) == (pytest.approx(metrics["ua"]), metrics["ccc"])
    assert scores.nll > 0


def outputs_of(corpus, task, seed=0):
    """What a trainer predicts on the validation and the test split."""
    rng, outputs = np.random.default_rng(seed), {}
    for split in ("validation", "test"):
        rows = corpus[split]
        batch = task.encode_labels(list(rows))
        sizes = [len(names) for names in (task.classes, task.dimension_names) if names]
        predictions = [rng.normal(3, 1, size=(len(rows), size)).astype(np.float32) for size in sizes]
        labels = [batch[name].numpy() for name in task.label_names]
        alone = len(labels) == 1
        outputs[split] = PredictionOutput(
            predictions[0] if alone else tuple(predictions), labels[0] if alone else tuple(labels), {}
        )
    return outputs


@pytest.mark.parametrize("both", [False, True])
def test_predictions_are_joined_written_and_read(tmp_path, both):
    names = ["arousal", "valence"]
    corpus = make_corpus(LABELS)
    task = load_task("multi_task", LABELS, dimensions=names) if both else load_task("dimensions", names)
    outputs = outputs_of(corpus, task)
    splits = collect_predictions(corpus, outputs, task)
    assert (splits["test"].labels is None) != both
    assert np.isnan(splits["test"].dimension_labels).any()
    systems = dict.fromkeys(("speech", "mean"), outputs["test"])
    splits["test"] = task.add_systems(splits["test"], systems)
    write_predictions(tmp_path / FILE, splits, task)
    again = read_predictions(tmp_path, task)
    for split, found in again.items():
        for field in dataclasses.fields(found):
            one, other = getattr(found, field.name), getattr(splits[split], field.name)
            np.testing.assert_equal(one, other, err_msg=field.name)
    pooled = pool([again["test"], again["test"]])
    assert task.measure({"test": pooled})["metrics"]["test"].ccc == pytest.approx(
        task.measure(again)["metrics"]["test"].ccc
    )
    assert task.score_system(again["test"], "mean")["ccc"] == task.measure(again)["metrics"]["test"].ccc
    counts = task.count_predictions(pooled)
    assert counts == task.count_labels(corpus["test"])
    assert (task.fit_temperature(again["validation"]) is None) != both
    wrong = outputs["test"]._replace(label_ids=outputs_of(corpus, task)["validation"].label_ids)
    with pytest.raises(ValueError, match="on the test split are not in the order of its rows"):
        collect_predictions(corpus, outputs | {"test": wrong}, task)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dimensions": {"arousal": 1}},
            "dimensions is .*, not a finite number for each of arousal, valence, dominance",
        ),
        ({"dimensions": None}, "dimensions is None"),
        ({"dimensions": dict.fromkeys(NAMES, float("nan"))}, "dimensions is .*, not a finite number"),
        ({"dimensions": dict.fromkeys(NAMES, 10**400)}, "dimensions is .*, not a finite number"),
        ({"dimension_labels": [1, 2, 3]}, "dimension_labels is .*, null where unknown"),
        ({"dimension_labels": dict.fromkeys(NAMES, True)}, "dimension_labels is"),
        ({"dimension_systems": [1]}, "dimension_systems is .*, not values for each system"),
        ({"dimension_systems": {"mean": 1}}, "dimension_systems is 1, not a finite number"),
        (
            {"dimension_systems": {"mean": dict.fromkeys(NAMES, 1)}},
            "dimension_systems are not those of the lines above",
        ),
    ],
)
def test_a_damaged_line_of_values_is_refused_in_one_sentence(tmp_path, change, message):
    splits = {"validation": make_values(2), "test": make_values(2)}
    write_predictions(tmp_path / FILE, splits, VALUES)
    lines = (tmp_path / FILE).read_text().splitlines()
    (tmp_path / FILE).write_text("\n".join([*lines[:-1], json.dumps(json.loads(lines[-1]) | change)]))
    with pytest.raises(ValueError, match=f"predictions.jsonl, line 4: {message}") as caught:
        read_predictions(tmp_path, VALUES)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*lack a value")
def test_rows_without_values_to_measure_are_refused():
    corpus = make_corpus(LABELS)
    task = load_task("dimensions", ["arousal", "valence"])
    with pytest.warns(UserWarning, match="4 of 24 utterances of the train split lack a value of arousal or valence"):
        task.check_rows(corpus)
    with pytest.raises(ValueError, match=r"fewer than two different values of dominance \(0 utterances with one\)"):
        load_task("dimensions", ["dominance"]).check_rows(corpus)
    with pytest.raises(
        ValueError, match=r"are outside of the scale from 1 to 2, such as the arousal 2.5 of 'train-1'"
    ):
        load_task("dimensions", ["arousal", "valence"], scale=(1, 2)).check_rows(corpus)
    with pytest.raises(ValueError, match="no column 'vad'"):
        task.check_rows({split: rows.remove_columns("vad") for split, rows in corpus.items()})
    none = {split: rows.map(lambda row: {"label": None}, features=rows.features) for split, rows in corpus.items()}
    with pytest.raises(
        ValueError, match="No utterance of the train split has a label; label some, or learn dimensions"
    ):
        load_task("multi_task", LABELS, dimensions=["arousal"]).check_rows(none)


def test_a_few_values_outside_of_the_scale_are_kept():
    rows = make_corpus(LABELS)["train"]
    values = [{"valence": 1 + number % 4} for number in range(23)] + [{"valence": 5.5}]
    rows = rows.remove_columns("vad").add_column("vad", values)
    with pytest.warns(
        UserWarning, match="1 values of the train split are outside .* valence 5.5 of 'train-23'; they are"
    ):
        load_task("dimensions", ["valence"]).check_rows({"train": rows})


def test_rows_with_values_and_without_a_class_train_both():
    corpus = make_corpus(LABELS)
    part = {
        split: rows.map(lambda row, number: {"label": None} if number < 3 else {}, with_indices=True)
        for split, rows in corpus.items()
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lack a value")
        load_task("multi_task", LABELS, dimensions=["arousal"]).check_rows(part)
