"""Predictions that are kept, and scores on parts of them."""

import json

import numpy as np
import pytest
from emofusion.evaluation.breakdown import break_down
from emofusion.evaluation.predictions import (
    FILE,
    Predictions,
    calibrate,
    collect_predictions,
    pool,
    read_predictions,
    write_predictions,
)
from emofusion.evaluation.statistics import fit_temperature
from transformers.trainer_utils import PredictionOutput

LABELS = ["angry", "happy", "sad", "calm"]


def make(rows=40, seed=0, **columns) -> Predictions:
    rng = np.random.default_rng(seed)
    values = {
        "ids": [f"{seed}-{number}" for number in range(rows)],
        "speakers": [f"s{number % 7}" for number in range(rows)],
        "labels": rng.integers(4, size=rows),
        "logits": rng.normal(size=(rows, 4)).astype(np.float32).astype(np.float64),
        "scripted": [(True, False, None)[number % 3] for number in range(rows)],
        "text_seen": [number % 4 == 0 for number in range(rows)],
        "temperature": np.ones(rows),
    }
    return Predictions(**values | columns)


def same(one: Predictions, other: Predictions) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in vars(one)]
    return all(np.array_equal(left, right) for left, right in pairs)


def test_parts_have_the_scores_of_their_rows():
    predictions = make()
    parts = break_down(predictions)
    assert list(parts) == ["scripted", "improvised", "text seen in training", "text not seen"]
    assert [part["utterances"] for part in parts.values()] == [14, 13, 10, 30]
    rows = [number for number in range(40) if number % 3 == 1]
    pairs = [(predictions.labels[row], predictions.logits[row].argmax()) for row in rows]
    recalls = {label: [said == true for true, said in pairs if true == label] for label in {true for true, _ in pairs}}
    assert parts["improvised"]["wa"] == pytest.approx(np.mean([true == said for true, said in pairs]))
    assert parts["improvised"]["ua"] == pytest.approx(np.mean([np.mean(recall) for recall in recalls.values()]))
    assert parts["improvised"]["classes"] == len(recalls)


def test_what_is_not_known_is_no_part():
    assert break_down(make(scripted=[None] * 40, text_seen=[None] * 40)) == {}
    assert list(break_down(make(scripted=[None] * 40, text_seen=[False] * 40))) == ["text not seen"]


def test_answers_are_joined_to_their_rows(corpus):
    rng = np.random.default_rng(0)
    outputs = {
        split: PredictionOutput(rng.normal(size=(len(corpus[split]), 4)), np.array(corpus[split]["label"][:]), {})
        for split in ("validation", "test")
    }
    splits = collect_predictions(corpus, outputs)
    test = splits["test"]
    assert test.ids == corpus["test"]["id"][:]
    assert test.speakers == corpus["test"]["speaker"][:]
    assert test.scripted == [None] * len(test.ids)
    assert test.text_seen == [False] * len(test.ids)  # this corpus shares no sentence
    expected = fit_temperature(outputs["validation"].predictions, outputs["validation"].label_ids)
    assert set(test.temperature.tolist()) == {expected}
    turned = outputs["test"]._replace(label_ids=outputs["test"].label_ids[::-1])
    with pytest.raises(ValueError, match="not in the order of its rows"):
        collect_predictions(corpus, outputs | {"test": turned})


def test_rows_without_words_are_neither_seen_nor_unseen(corpus):
    silent = corpus.map(lambda row: {"text": None}, features=corpus["train"].features)
    outputs = {
        split: PredictionOutput(np.zeros((len(silent[split]), 4)), np.array(silent[split]["label"][:]), {})
        for split in ("validation", "test")
    }
    assert set(collect_predictions(silent, outputs)["test"].text_seen) == {None}


def test_the_temperature_comes_from_validation_alone():
    splits = {"validation": make(seed=1), "test": make(seed=2)}
    other = calibrate(splits | {"test": make(seed=3)})
    assert calibrate(splits)["test"].temperature[0] == other["test"].temperature[0]
    scaled = calibrate(splits)["test"]
    logits = scaled.logits / scaled.temperature[0]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(scaled.probabilities(scaled=True), expected)


def test_predictions_come_back_to_the_bit(tmp_path):
    splits = calibrate({"validation": make(seed=1), "test": make(seed=2, speakers=[None] * 40)})
    write_predictions(tmp_path / FILE, splits, LABELS)
    again = read_predictions(tmp_path, LABELS)
    assert all(same(again[split], splits[split]) for split in splits)
    row = json.loads((tmp_path / FILE).read_text().splitlines()[0])
    assert set(row) == {"split", "id", "speaker", "label", "logits", "scripted", "text_seen"}  # and no text


def test_pooled_answers_keep_their_temperatures():
    parts = [calibrate({"validation": make(seed=seed)})["validation"] for seed in (1, 2)]
    pooled = pool(parts)
    assert pooled.ids == parts[0].ids + parts[1].ids
    assert np.array_equal(pooled.temperature, np.concatenate([part.temperature for part in parts]))
    assert pooled.logits.shape == (80, 4)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"split": "test", "label": "bored", "logits": [0, 0, 0, 0]}', '{"label": "sad", "logits": [1]}'],
)
def test_a_damaged_file_is_refused_by_line(tmp_path, line):
    write_predictions(tmp_path / FILE, {"validation": make(2), "test": make(2)}, LABELS)
    with open(tmp_path / FILE, "a") as lines:
        lines.write(line)
    with pytest.raises(ValueError, match=r"predictions.jsonl, line 5: not the prediction"):
        read_predictions(tmp_path, LABELS)


def test_a_run_without_predictions_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="finish or repeat"):
        read_predictions(tmp_path, LABELS)
    write_predictions(tmp_path / FILE, {"test": make(2)}, LABELS)
    with pytest.raises(ValueError, match="validation and the test part"):
        read_predictions(tmp_path, LABELS)
