"""Settings of training rows and of the loss: soft labels, augmentation, label smoothing, focal loss."""

import json
import re

import numpy as np
import pytest
import torch
import yaml
from emofusion.modeling.loss_classification import classification_loss
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator, build_training_collator
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from emofusion.training.trainer import EmotionTrainer
from safetensors.torch import load_file
from testing_training import FUSION, SMALL_STEPS, tiny_recipe
from transformers import set_seed

AUGMENTATION = {"speed": {"rate": [0.9, 1.1]}, "noise": {"snr_db": [5, 20]}}


def rated(corpus, rows=8, without=()):
    """Return rows where two thirds of the raters chose the label and one third the next one."""

    def rate(row, number):
        shares = [0.0] * 4
        shares[row["label"]], shares[(row["label"] + 1) % 4] = 2 / 3, 1 / 3
        return {"soft_label": None if number in without else shares}

    rows = corpus["train"].select(range(rows))
    return rows.map(rate, with_indices=True, features=rows.features)


@pytest.fixture
def make_trainer(corpus, tmp_path):
    """A function that makes a trainer for two epochs of two steps of four rows."""

    def make(rows=None, data=None, model_config=None, folder="run", **arguments):
        settings = {
            "output_dir": str(tmp_path / folder),
            "num_train_epochs": 2,
            **SMALL_STEPS,
        }
        set_seed(0)
        labels = corpus["train"].features["label"].names
        rows = corpus["train"].select(range(8)) if rows is None else rows
        data_args = DataArguments(max_seconds=0.3, **(data or {}))
        model_args = ModelArguments(model_config={**FUSION, **(model_config or {})})
        model = build_model(model_args, labels)
        processor = build_processor(model_args, data_args, model, corpus["train"]["text"])
        args = EmotionTrainingArguments(**settings | arguments)
        collator = EmotionCollator(processor, labels)
        return EmotionTrainer(
            model=model,
            args=args,
            data_collator=collator,
            train_data_collator=build_training_collator(collator, data_args, rows, args.seed),
            train_dataset=rows,
            eval_dataset=corpus["validation"].select(range(8)),
            processing_class=processor,
        )

    return make


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_soft_labels_are_used_in_training_only(make_trainer, corpus):
    trainer = make_trainer(rated(corpus, without=(2, 5)), {"soft_labels": True})
    batch = trainer.train_data_collator([trainer.train_dataset[row] for row in range(8)])
    assert batch["labels"].dtype == torch.float32
    hard = trainer.train_dataset["label"]
    for row, shares in enumerate(batch["labels"].tolist()):
        expected = [0.0] * 4
        expected[hard[row]] = 1.0 if row in (2, 5) else 2 / 3
        if row not in (2, 5):
            expected[(hard[row] + 1) % 4] = 1 / 3
        assert shares == pytest.approx(expected)
    seen = torch.cat([batch["labels"] for batch in trainer.get_train_dataloader()])
    assert sorted(seen.tolist()) == sorted(batch["labels"].tolist())
    for loader in (trainer.get_eval_dataloader(), trainer.get_test_dataloader(trainer.train_dataset)):
        assert all(batch["labels"].dtype == torch.int64 for batch in loader)


def test_a_model_learns_from_soft_labels_and_is_measured_on_labels(make_trainer, corpus):
    trainer = make_trainer(rated(corpus), {"soft_labels": True}, num_train_epochs=30, class_weights="balanced")
    trainer.train()
    curve = losses(trainer)
    # no distribution costs less than its entropy
    assert -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) * 0.9 < np.mean(curve[-8:]) < np.mean(curve[:8]) - 0.2
    prediction = trainer.predict(trainer.train_dataset)
    assert prediction.label_ids.tolist() == trainer.train_dataset["label"][:]
    assert 0 <= trainer.evaluate()["eval_ua"] <= 1


@pytest.mark.parametrize(
    "shares", [[0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [1.5, -0.5, 0.0, 0.0], [float("nan"), 0.0, 0.0, 1.0], []]
)
def test_bad_shares_name_their_row(make_trainer, corpus, shares):
    trainer = make_trainer(rated(corpus), {"soft_labels": True})
    row = {**trainer.train_dataset[0], "soft_label": shares}
    with pytest.raises(ValueError, match=f"^Row '{re.escape(row['id'])}' has the soft_label .*with the sum 1\\.$"):
        trainer.train_data_collator([row])


def test_a_corpus_without_soft_labels_is_refused(make_trainer):
    with pytest.raises(ValueError, match=r"^soft_labels is on, but no utterance .* spoken has .*; leave it out\.$"):
        make_trainer(data={"soft_labels": True})


def test_recordings_are_augmented_in_training_only(make_trainer):
    plain, changed = make_trainer(), make_trainer(data={"augmentation": AUGMENTATION})
    rows = [plain.train_dataset[row] for row in range(4)]
    before, after = plain.train_data_collator(rows), changed.train_data_collator(rows)
    assert torch.equal(before["input_ids"], after["input_ids"])
    assert not torch.equal(before["input_values"], after["input_values"])
    for name in ("get_eval_dataloader", "get_test_dataloader"):
        loaders = [getattr(trainer, name)(trainer.train_dataset) for trainer in (plain, changed)]
        for one, two in zip(*loaders, strict=True):
            assert torch.equal(one["input_values"], two["input_values"])


def test_augmentation_differs_per_epoch_and_is_the_same_after_a_resume(make_trainer, tmp_path):
    def train_and_listen(trainer, **others):
        heard, collate = [], trainer.train_data_collator

        def listen(rows):
            batch = collate(rows)
            loudness = batch["input_values"].abs().sum(dim=-1).tolist()
            heard.append(dict(zip([row["id"] for row in rows], loudness, strict=True)))
            return batch

        trainer.train_data_collator = listen
        trainer.train(**others)
        return heard, losses(trainer), trainer.model.state_dict()

    options = {
        "data": {"augmentation": AUGMENTATION},
        "save_strategy": "steps",
        "save_steps": 1,
        "save_total_limit": 9,
    }
    heard, whole, weights = train_and_listen(make_trainer(**options))
    first, second = heard[0] | heard[1], heard[2] | heard[3]
    assert len(first) == len(second) == 8
    assert all(abs(first[name] - second[name]) > 1e-3 for name in first)
    for step in (1, 2, 3):  # in the first epoch, between both, in the second
        checkpoint = str(tmp_path / "run" / f"checkpoint-{step}")
        again, curve, resumed = train_and_listen(
            make_trainer(folder=f"again-{step}", **options), resume_from_checkpoint=checkpoint
        )
        assert again == heard[step:]
        assert curve == whole
        assert all(torch.equal(resumed[name], weights[name]) for name in weights)


def test_the_model_smooths_labels(make_trainer):
    trainer = make_trainer(label_smoothing_factor=0.1, class_weights="[1, 2, 0.5, 3]")
    assert trainer.model.config.label_smoothing == 0.1
    batch = trainer.data_collator([trainer.train_dataset[row] for row in range(4)])
    output = trainer.model.eval()(**batch)
    expected = classification_loss(output.logits, batch["labels"], [1.0, 2.0, 0.5, 3.0], 0.1)
    torch.testing.assert_close(trainer.compute_loss(trainer.model, dict(batch)), expected)
    trainer.train()
    named = [entry["loss_cross_entropy"] for entry in trainer.state.log_history if "loss" in entry]
    assert named == pytest.approx(losses(trainer), abs=1e-5)


def test_contradicting_label_smoothing_is_refused(make_trainer):
    make_trainer(label_smoothing_factor=0.1, model_config={"label_smoothing": 0.1})
    with pytest.raises(
        ValueError, match=r"^label_smoothing_factor is 0.1, and model_config.label_smoothing 0.2; .*\.$"
    ):
        make_trainer(label_smoothing_factor=0.1, model_config={"label_smoothing": 0.2})
    with pytest.raises(ValueError, match=r"^label_smoothing_factor is 1; it must be at least 0 and below 1\.$"):
        make_trainer(label_smoothing_factor=1.0)


def test_a_recipe_sets_them_and_the_card_shows_them(corpus_root, corpus, tmp_path):
    folder, path = tmp_path / "all", tmp_path / "all.yaml"
    recipe = tiny_recipe(
        corpus_root,
        folder,
        model_config={**FUSION, "focal_gamma": 2, "modality_dropout": 0.25},
        label_smoothing_factor=0.1,
        class_weights="balanced",
        augmentation={**AUGMENTATION, "gain": {"db": [-6, 6], "p": 0.5}},
        num_train_epochs=1,
    )
    path.write_text(yaml.safe_dump(recipe))
    with pytest.warns(UserWarning, match=r"augmentation\.gain"):
        results = train(parse_recipe([str(path), "--augmentation.noise.p", "0.5"]))
    expected = {
        "class_weights": "balanced",
        "label_smoothing": 0.1,
        "focal_gamma": 2,
        "modality_dropout": 0.25,
        "augmentation": "speed (rate [0.9, 1.1]); noise (snr_db [5, 20], p 0.5); gain (db [-6, 6], p 0.5)",
    }
    assert expected.items() <= results.training.items()
    assert results.training["soft_labels"] is None
    page, config = (folder / "README.md").read_text(), json.loads((folder / "config.json").read_text())
    for name, value in expected.items():
        assert re.search(rf"`{name}` +\| +{re.escape(str(value))}", page), name
    assert "soft_labels" not in page
    assert (config["label_smoothing"], config["focal_gamma"]) == (0.1, 2)
    assert all(torch.isfinite(weight).all() for weight in load_file(folder / "model.safetensors").values())
