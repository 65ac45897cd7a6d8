"""The task of classification: labels of a batch, metrics, fields of the configuration, tables of a card."""

import numpy as np
import pytest
import torch
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.score_records import Scores
from emofusion.evaluation.task import TASKS, load_task
from transformers.trainer_utils import EvalPrediction

LABELS = ["angry", "happy", "calm"]


@pytest.fixture
def task():
    return load_task("classification", LABELS)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_loaded_by_its_name(name):
    labels = ["valence", "arousal", "dominance"] if name == "dimensions" else LABELS
    task = load_task(name, labels)
    assert task.name == name
    assert set(task.claims) <= {*task.headings, *task.hub_metrics}
    assert task.selection_metric in task.metrics
    assert task.config_fields()["label2id"] == {label: number for number, label in enumerate(labels)}


def test_an_unknown_task_is_an_error():
    with pytest.raises(ValueError, match="There is no task 'cooking': choose one of classification"):
        load_task("cooking", LABELS)


def test_labels_are_class_numbers_or_shares_of_votes(task):
    rows = [{"label": 1, "soft_label": [0.25, 0.5, 0.25]}, {"label": 2, "soft_label": None}]
    assert task.encode_labels(rows)["labels"].tolist() == [1, 2]
    assert task.encode_labels([{"text": "hello"}]) == {}
    soft = load_task("classification", LABELS, soft_labels=True)
    expected = torch.tensor([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(soft.encode_labels(rows)["labels"], expected)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": 3}, "Row 'u1' has the label 3; the model knows 0 to 2"),
        ({"label": 1, "soft_label": [0.5, 0.5]}, r"Row 'u1' has the soft_label \[0.5, 0.5\]; it needs one share"),
        ({"label": 1, "soft_label": [0.5, 0.5, 0.5]}, "with the sum 1"),
        ({"label": 1, "soft_label": [float("nan"), 0.5, 0.5]}, "with the sum 1"),
    ],
)
def test_a_label_that_does_not_fit_is_an_error(row, message):
    task = load_task("classification", LABELS, soft_labels="soft_label" in row)
    with pytest.raises(ValueError, match=message):
        task.encode_labels([{"id": "u1", **row}])


def test_metrics_choose_a_checkpoint_whatever_the_logits_are(task):
    labels = np.array([0, 1, 2, 2])
    metrics = task.compute_metrics(EvalPrediction(np.eye(3)[[0, 1, 2, 0]], labels))
    assert metrics.keys() == task.metrics.keys() - {"loss"}
    assert (metrics["wa"], metrics["ua"]) == (0.75, pytest.approx(2.5 / 3))
    diverged = task.compute_metrics(EvalPrediction(np.full((4, 3), np.nan), labels))
    assert diverged["wa"] == 0.25


def test_the_card_has_class_scores_and_a_confusion_matrix(task):
    test = Scores(recall=[1.0, None, 0.5], support=[2, 0, 4], confusion_matrix=[[2, 0, 0], [0, 0, 0], [1, 1, 2]])
    results = RunResults(labels=LABELS, modalities=["text"], metrics={"test": test})
    classes, confusion = task.detail_tables(results)
    assert classes.rows == {
        "angry": {"recall": "100.0 %", "support": "2"},
        "happy": {"support": "0"},
        "calm": {"recall": "50.0 %", "support": "4"},
    }
    assert confusion.rows["calm"] == {"angry": "1", "happy": "1", "calm": "2"}
    assert task.detail_tables(RunResults(labels=LABELS, modalities=["text"])) == []
    assert "(angry, happy or calm)" in task.purpose()
