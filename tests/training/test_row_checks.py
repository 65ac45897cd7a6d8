"""Rows that cannot be learned from, or lack a modality of the model, are named before anything is built."""

import warnings
from types import SimpleNamespace

import pytest
from datasets import Dataset
from emofusion.corpora.schema import features
from emofusion.evaluation.task import load_task
from emofusion.training.row_checks import check_context, check_dialogues, check_modalities

LABELS = ["sad", "happy", "calm"]


def rows(labels, **columns):
    count = len(labels)
    blank = dict.fromkeys(features(LABELS), [None] * count)
    values = {"id": [f"row {number}" for number in range(count)], "label": labels, **columns}
    return Dataset.from_dict(blank | values, features=features(LABELS))


def talk(*places, **others):
    dialogues, turns = zip(*places, strict=True)
    context = [[{"speaker": None, "text": "So?"}] * bool(turn) for turn in turns]
    given = rows([0] * len(turns), dialogue=list(dialogues), turn=list(turns), **others)
    return given.add_column("context", context)


@pytest.mark.parametrize("check", [check_context, check_dialogues])
def test_corpora_without_dialogues_are_refused_or_named(check):
    alone, pair = talk((None, None), ("a", 0), ("b", 0)), talk(("a", 0), ("a", 1))
    with pytest.raises(
        ValueError, match="is given, but no utterance of the train split follows another in a dialogue"
    ):
        check({"train": alone, "test": pair})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check({"train": pair, "test": pair})
    both = talk(("a", 0), ("a", 1), ("b", 0), corpus=["calls", "calls", "films"])
    with pytest.warns(UserWarning, match="no utterance of the train and test splits of films follows another"):
        check({"train": both, "validation": pair, "test": both})


def files(*names):
    return [None if name is None else {"path": name, "bytes": None, "start": None, "end": None} for name in names]


@pytest.mark.parametrize(
    ("splits", "labels", "message"),
    [
        ({"train": []}, LABELS, "The train split has no utterance"),
        ({"train": [0, 1], "validation": []}, LABELS, "The validation split has no utterance"),
        ({"train": [0]}, LABELS, "The train split has a single utterance"),
        ({"train": [0, 0, 0]}, LABELS, "All 3 utterances of the train split are sad"),
        ({"train": [0, 1]}, ["sad"], "The corpus has the label sad only"),
        ({"train": [0, 1], "test": [0, None, None]}, LABELS, "2 of 3 utterances of the test split .*'row 1'"),
    ],
)
def test_labels_that_nothing_is_learned_from_are_refused(splits, labels, message):
    with pytest.raises(ValueError, match=message):
        load_task("classification", labels).check_rows({split: rows(numbers) for split, numbers in splits.items()})


def test_a_class_that_training_lacks_is_said():
    with pytest.warns(UserWarning, match="The train split has no utterance of happy"):
        load_task("classification", LABELS).check_rows({"train": rows([0, 2]), "test": rows([1, 1])})


def test_rows_with_votes_only_are_labelled():
    soft = rows([None, None], soft_label=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_task("classification", LABELS, soft_labels=True).check_rows({"train": soft})


def reads(*modalities):
    return SimpleNamespace(modalities=modalities)


def test_a_modality_that_no_row_has_is_refused():
    corpus = {
        "train": rows([0, 1], audio=files("a", "b"), text=["x", "y"]),
        "test": rows([0, 1], audio=files("c", "d"), text=["", " "]),
    }
    check_modalities(corpus, reads("audio"))
    with pytest.raises(ValueError, match="reads text, but no utterance of the test split has transcripts"):
        check_modalities(corpus, reads("audio", "text"))
    with pytest.raises(ValueError, match="reads video, but no utterance of the train split has videos"):
        check_modalities(corpus, reads("audio", "video"))
    with pytest.raises(ValueError, match="reads video"):
        check_modalities({"train": corpus["train"].remove_columns("video")}, reads("audio", "video"))


def test_a_part_that_is_missing_is_counted():
    corpus = {"train": rows([0, 1, 2], audio=files("a", None, "b"), text=["x", "y", None])}
    with pytest.warns(UserWarning, match="1 of 3 utterances of the train split have no") as caught:
        check_modalities(corpus, reads("audio", "text"))
    assert [str(warning.message).split(" have no ")[1].split(";")[0] for warning in caught] == [
        "recordings",
        "transcripts",
    ]
    corpus = {"train": corpus["train"].select([2, 1])}
    with pytest.raises(ValueError, match="1 of 2 utterances of the train split have no recordings, such as 'row 1'"):
        check_modalities(corpus, reads("audio"))
