"""Class-balanced sampling, early stopping, and the other options that only change how a run goes."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from datasets import Dataset
from emofusion.training import arguments as training_arguments
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.balanced_sampler import BalancedSampler, find_sampler
from emofusion.training.early_stopping import EarlyStopping
from emofusion.training.recipe import Recipe
from emofusion.training.run import train
from testing_training import tiny_recipe
from torch.utils.data import BatchSampler
from transformers import TrainerControl, TrainerState

LABELS = np.repeat([0, 1, 2], [60, 30, 11])


def test_every_class_is_drawn_equally_often_in_another_order_each_epoch():
    sampler, epochs = BalancedSampler(LABELS, seed=1), []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        rows = list(sampler)
        assert len(rows) == len(sampler) == len(LABELS)
        assert sorted(Counter(LABELS[rows]).values()) == [33, 34, 34]
        times = Counter(rows)
        assert max(times[row] for row in np.flatnonzero(LABELS == 0)) == 1
        assert min(times[row] for row in np.flatnonzero(LABELS == 2)) >= 3
        epochs.append(rows)
    assert epochs[0] != epochs[1] != epochs[2]
    assert list(sampler) == epochs[2]


def test_every_corpus_and_inside_it_every_class_is_drawn_equally_often():
    corpora = np.repeat(["a", "b"], [90, 11])
    sampler = BalancedSampler(corpora, LABELS, seed=1)
    rows = list(sampler)
    assert len(rows) == len(LABELS)
    drawn = Counter(zip(corpora[rows].tolist(), LABELS[rows].tolist(), strict=True))
    assert sorted(Counter(corpora[rows]).values()) == [50, 51]
    assert {name: number in (25, 26) or number in (50, 51) for name, number in drawn.items()} == {
        ("a", 0): True,
        ("a", 1): True,
        ("b", 2): True,
    }


@pytest.mark.parametrize(
    ("sampler", "columns", "message"),
    [
        ("balanced", {"label": [0, None]}, "'balanced', but training utterances without a label"),
        ("balanced_corpora", {"label": [0, None], "corpus": ["a", "b"]}, "without a label"),
    ],
)
def test_rows_without_groups_are_refused(sampler, columns, message, tmp_path):
    args = EmotionTrainingArguments(str(tmp_path), use_cpu=True, sampler=sampler)
    with pytest.raises(ValueError, match=message):
        find_sampler(args, Dataset.from_dict(columns))


def test_corpora_are_balanced_without_classes_and_classes_without_corpora(tmp_path):
    args = EmotionTrainingArguments(str(tmp_path), use_cpu=True, sampler="balanced_corpora")
    for corpora in ({}, {"corpus": [None] * 4}):
        alone = Dataset.from_dict({"label": [0, 0, 0, 1], **corpora})
        assert sorted(Counter(row == 3 for row in find_sampler(args, alone)).values()) == [2, 2]
        assert find_sampler(args, alone, has_classes=False) is None
    rows = Dataset.from_dict({"label": [None] * 4, "corpus": ["a", "a", "a", "b"]})
    assert sorted(Counter(row == 3 for row in find_sampler(args, rows, has_classes=False)).values()) == [2, 2]


def test_processes_draw_the_same_epoch():
    batches = [[*BatchSamplerShard(BatchSampler(BalancedSampler(LABELS), 4, False), 2, part)] for part in range(2)]
    rows = [row for step in zip(*batches, strict=True) for batch in step for row in batch]
    assert rows[: len(LABELS)] == list(BalancedSampler(LABELS))


def test_training_stops_when_the_best_score_is_old(tmp_path):
    args = EmotionTrainingArguments(str(tmp_path), use_cpu=True, metric_for_best_model="ua")
    stopped = []
    for scores in ([0.5], [0.5, 0.4], [0.5, 0.4, 0.5], [0.5, 0.4, 0.6], [0.5, 0.4, 0.6, 0.5, 0.3]):
        control, log = TrainerControl(), [{"loss": 1.0}, *({"eval_ua": score} for score in scores)]
        EarlyStopping(2).on_evaluate(args, TrainerState(log_history=log), control)
        stopped.append(control.should_training_stop)
    assert stopped == [False, False, True, False, True]


def test_a_run_takes_the_options(corpus_root, tmp_path):
    options = {"sampler": "balanced", "early_stopping_patience": 1, "head_epochs": 1, "head_learning_rate": 1e-3}
    settings = tiny_recipe(corpus_root, tmp_path, **options, num_train_epochs=9) | {"learning_rate": 0.0}
    results = train(Recipe.read(**settings))
    assert results.training["sampler"] == "balanced"
    assert results.training["head_learning_rate"] == 1e-3
    # With a learning rate of 0 the second validation is no better than the first.
    epochs = [entry["epoch"] for entry in results_log(tmp_path) if "eval_ua" in entry]
    assert epochs == [1.0, 2.0]


def results_log(folder):
    return json.loads((folder / "training_log.json").read_text())


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_where_the_device_has_it(tmp_path, monkeypatch, supported):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: supported)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: not emulated)
    seen = []
    monkeypatch.setattr(training_arguments.TrainingArguments, "__post_init__", lambda self: seen.append(self.bf16))
    monkeypatch.setattr(EmotionTrainingArguments, "_check", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        EmotionTrainingArguments(str(tmp_path), bf16="auto")
    assert seen == [supported]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "other"}, "sampler is 'other'; choose one of random, balanced, balanced_corpora"),
        ({"sampler": "balanced", "group_by_length": True}, "choose one of them"),
        ({"sampler": "balanced_corpora", "max_batch_seconds": 9.0}, "choose one of them"),
        ({"sampler": "balanced", "class_weights": "balanced"}, "would favour rare classes twice"),
        ({"early_stopping_patience": 0}, "early_stopping_patience is 0; it must be positive"),
        (
            {"early_stopping_patience": 1, "eval_strategy": "no", "load_best_model_at_end": False},
            "eval_strategy is 'no'",
        ),
        ({"head_learning_rate": 1e-3}, "head_learning_rate is given without head_epochs; give both"),
        ({"bf16": "maybe"}, "bf16 is 'maybe'; choose one of True, False, auto"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        EmotionTrainingArguments(str(tmp_path), use_cpu=True, **options)
    assert "\n" not in str(caught.value)
