"""Sentences on scores that were measured on few utterances or few speakers."""

import dataclasses

import numpy as np
import pytest
from emofusion.evaluation.metadata import SplitCounts
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.sample_size import describe_small_classes, explain_uncertainty
from emofusion.evaluation.score_records import Intervals, Scores
from emofusion.evaluation.scores import measure
from testing_predictions import LABELS, make


def results_of(utterances, speakers, intervals=None, of_split=None):
    counts = SplitCounts(
        utterances=sum(utterances), speakers=of_split, classes=dict(zip(["calm", "sad"], utterances, strict=True))
    )
    return RunResults(
        labels=["calm", "sad"],
        modalities=["audio"],
        data={"test": counts},
        metrics={"test": Scores(ua=0.667, support=list(utterances), speakers=speakers)},
        intervals=intervals,
    )


@pytest.mark.parametrize(
    ("utterances", "speakers", "sentence"),
    [
        ([30, 40], [6, 9], ""),
        ([30, 40], [None, None], ""),
        (
            [1, 40],
            [1, 9],
            "Few data: in the test split, calm has 1 utterance by 1 speaker; with fewer than 30 utterances",
        ),
        ([6, 4], [1, 2], "calm has 6 utterances by 1 speaker and sad has 4 utterances by 2 speakers; with"),
        ([4, 4], [2, 2], "Few data: in the test split, calm and sad have 4 utterances by 2 speakers each; with"),
        ([100, 40], [2, 7], "Few data: in the test split, calm has 100 utterances by 2 speakers; with"),
        ([0, 40], [0, 7], "Few data: in the test split, calm has 0 utterances; with"),
        ([5, 40], [None, None], "Few data: in the test split, calm has 5 utterances; with"),
    ],
)
def test_small_classes_are_named(utterances, speakers, sentence):
    said = explain_uncertainty(results_of(utterances, speakers, Intervals(ua=[0.5, 0.7])))
    assert sentence in said
    assert bool(said) == bool(sentence)


@pytest.mark.parametrize(
    ("speakers", "reason"),
    [(None, ", because the speakers are unknown."), (5, ": it needs at least 6 speakers, and the data have 5.")],
)
def test_a_missing_interval_is_explained(speakers, reason):
    results = results_of([40, 40], None, of_split=speakers)
    assert explain_uncertainty(results).startswith("The scores have no interval" + reason)
    assert explain_uncertainty(dataclasses.replace(results, metrics={})) == ""


def test_many_small_classes_are_counted():
    said = describe_small_classes({f"class {number}": number for number in range(9)}, {}, "in the test split")
    assert "class 5 has 5 utterances and 3 other classes are small too; with" in said


def test_speakers_are_counted_by_class():
    predictions = make(
        rows=8, labels=np.array([0, 0, 0, 1, 1, 1, 2, 2]), speakers=["a", "b", "a", "c", "c", "c", "d", None]
    )
    assert measure({"test": predictions}, LABELS)["metrics"]["test"].speakers == [2, 1, None, 0]
