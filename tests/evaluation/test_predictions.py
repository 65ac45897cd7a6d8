"""Predictions joined to their rows, written, read, pooled and calibrated."""

import json

import numpy as np
import pytest
from emofusion.evaluation.calibration import TemperatureScaling, fit_temperature
from emofusion.evaluation.predictions import (
    FILE,
    Predictions,
    calibrate,
    collect_predictions,
    pool,
    read_predictions,
    write_predictions,
)
from testing_predictions import CLASSES, LABELS, make, make_corpus
from transformers.trainer_utils import PredictionOutput


def same(one: Predictions, other: Predictions) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in vars(one)]
    return all(np.array_equal(left, right) for left, right in pairs)


def test_predictions_are_joined_to_their_rows():
    corpus = make_corpus(LABELS)
    rng = np.random.default_rng(0)
    outputs = {
        split: PredictionOutput(rng.normal(size=(len(corpus[split]), 4)), np.array(corpus[split]["label"][:]), {})
        for split in ("validation", "test")
    }
    splits = collect_predictions(corpus, outputs, CLASSES)
    test = splits["test"]
    assert test.ids == corpus["test"]["id"][:]
    assert test.speakers == corpus["test"]["speaker"][:]
    assert test.scripted == corpus["test"]["scripted"][:]
    assert test.text_seen == [number % 2 == 1 for number in range(len(test.ids))]
    expected = fit_temperature(outputs["validation"].predictions, outputs["validation"].label_ids)
    assert set(test.temperature.tolist()) == {expected}
    reversed_ = outputs["test"]._replace(label_ids=outputs["test"].label_ids[::-1])
    with pytest.raises(ValueError, match="not in the order of its rows"):
        collect_predictions(corpus, outputs | {"test": reversed_}, CLASSES)


def test_rows_without_text_are_neither_seen_nor_unseen():
    corpus = make_corpus(LABELS)
    silent = corpus.map(lambda row: {"text": None}, features=corpus["train"].features)
    outputs = {
        split: PredictionOutput(np.zeros((len(silent[split]), 4)), np.array(silent[split]["label"][:]), {})
        for split in ("validation", "test")
    }
    assert set(collect_predictions(silent, outputs, CLASSES)["test"].text_seen) == {None}


def test_classes_that_members_of_a_fusion_predict_are_stored_and_pooled(tmp_path):
    systems = {"speech": np.array([0, 1] * 20), "mean": np.array([3] * 40)}
    splits = {split: make(seed=seed, systems=systems) for seed, split in enumerate(("validation", "test"))}
    write_predictions(tmp_path / FILE, splits, CLASSES)
    found = read_predictions(tmp_path, CLASSES)["test"].systems
    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in systems.items()
    }
    pooled = pool([splits["test"], make(systems={"mean": np.zeros(40, int)})]).systems
    assert {name: values.tolist() for name, values in pooled.items()} == {"mean": [3] * 40 + [0] * 40}
    lines = (tmp_path / FILE).read_text().splitlines()
    for damaged in ({"speech": "angry"}, {"speech": "bored", "mean": "calm"}, ["angry"], None):
        row = json.loads(lines[-1]) | {"systems": damaged}
        (tmp_path / FILE).write_text("\n".join([*lines[:-1], json.dumps(row)]))
        with pytest.raises(ValueError, match=r"line 80: systems (is|are)"):
            read_predictions(tmp_path, CLASSES)


def test_the_temperature_is_fitted_on_the_validation_split():
    splits = {"validation": make(seed=1), "test": make(seed=2)}
    other = calibrate(splits | {"test": make(seed=3)}, CLASSES)
    assert calibrate(splits, CLASSES)["test"].temperature[0] == other["test"].temperature[0]
    scaled = calibrate(splits, CLASSES)["test"]
    logits = scaled.logits / scaled.temperature[0]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(scaled.probabilities(scaled=True), expected)


def test_a_temperature_that_does_not_help_is_not_used(monkeypatch):
    scaling = TemperatureScaling(temperature=2.0, ece=0.1, ece_scaled=0.2)
    monkeypatch.setattr("emofusion.evaluation.task_classification.fit_scaling", lambda logits, labels: scaling)
    test = calibrate({"validation": make(seed=1), "test": make(seed=2)}, CLASSES)["test"]
    assert set(test.temperature.tolist()) == {1.0}
    assert np.array_equal(test.probabilities(scaled=True), test.probabilities())


def test_predictions_are_read_as_they_were_written(tmp_path):
    splits = calibrate({"validation": make(seed=1), "test": make(seed=2, speakers=[None] * 40)}, CLASSES)
    write_predictions(tmp_path / FILE, splits, CLASSES)
    again = read_predictions(tmp_path, CLASSES)
    assert all(same(again[split], splits[split]) for split in splits)
    row = json.loads((tmp_path / FILE).read_text().splitlines()[0])
    assert set(row) == {"split", "id", "speaker", "label", "logits", "scripted", "text_seen"}  # and no text


def test_pooled_predictions_keep_their_temperatures():
    parts = [calibrate({"validation": make(seed=seed)}, CLASSES)["validation"] for seed in (1, 2)]
    pooled = pool(parts)
    assert pooled.ids == parts[0].ids + parts[1].ids
    assert np.array_equal(pooled.temperature, np.concatenate([part.temperature for part in parts]))
    assert pooled.logits.shape == (80, 4)


LINE = {"split": "test", "id": "new", "speaker": None, "label": "sad", "logits": [0, 0, 0, 0.5]}
LINE |= {"scripted": None, "text_seen": True}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not the prediction of a model: it is not JSON"),
        ("[" * 100_000, "not the prediction of a model: it is not JSON"),
        ("", "not the prediction of a model: it is not JSON"),
        (b"\xff", "is not text in UTF-8"),
        ([], r"not the prediction of a model: it is \[\]"),
        (LINE | {"id": ["u1"]}, r"id is \['u1'\], not a string"),
        (LINE | {"id": None}, "id is None, not a string"),
        (LINE | {"split": {}}, "split is {}, not a string"),
        (LINE | {"speaker": 3}, "speaker is 3, not a string or null"),
        (LINE | {"scripted": "no"}, "scripted is 'no', not true, false or null"),
        (LINE | {"label": "bored\n"}, r"the label 'bored\\n' is none of angry, happy, sad, calm"),
        (LINE | {"label": ["sad"]}, r"label is \['sad'\], not a string"),
        (LINE | {"logits": "high"}, "logits is 'high', not a list"),
        (LINE | {"logits": [1]}, r"logits is \[1\], not 4 finite numbers"),
        (LINE | {"logits": [0, 0, 0, float("nan")]}, r"logits is \[0, 0, 0, nan\], not 4 finite numbers"),
        (LINE | {"logits": [0, 0, 0, 10**400]}, "not 4 finite numbers"),
        (LINE | {"logits": [0, 0, 0, "1"]}, "not 4 finite numbers"),
        (LINE | {"logits": [0, 0, 0, [1]]}, "not 4 finite numbers"),
        (LINE | {"id": "0-1"}, "the test split has a prediction for '0-1' already"),
        ({name: value for name, value in LINE.items() if name != "split"}, "split is None, not a string"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, line, message):
    write_predictions(tmp_path / FILE, {"validation": make(2), "test": make(2)}, CLASSES)
    text = line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"
    with open(tmp_path / FILE, "ab") as lines:
        lines.write(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_predictions(tmp_path, CLASSES)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert isinstance(line, bytes) or "predictions.jsonl, line 5" in str(caught.value)


def test_ids_may_hold_line_separators(tmp_path):
    splits = {"validation": make(2), "test": make(2, ids=["a\u2028b", "c\r\nd"])}
    write_predictions(tmp_path / FILE, splits, CLASSES)
    assert read_predictions(tmp_path, CLASSES)["test"].ids == splits["test"].ids


def test_missing_predictions_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="finish or repeat"):
        read_predictions(tmp_path, CLASSES)
    write_predictions(tmp_path / FILE, {"test": make(2)}, CLASSES)
    with pytest.raises(ValueError, match="validation and the test split"):
        read_predictions(tmp_path, CLASSES)
