import json
import multiprocessing
import os
from dataclasses import fields
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from emofusion.configuration.modalities import MODALITIES, host_lengths
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.early_stopping import EarlyStopping
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.text_classifier import TextClassifierTrainer
from emofusion.training.trainer import EmotionTrainer
from safetensors.torch import load_file
from sklearn.utils.class_weight import compute_class_weight
from testing_training import AUDIO, FUSION, SMALL_STEPS, TEXT
from transformers import set_seed

STILL = {
    **FUSION,
    "audio_config": {
        **AUDIO,
        **dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout"), 0.0),
        "layerdrop": 0.0,
    },
    "text_config": {**TEXT, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "classifier_dropout"), 0.0),
}
CHECKPOINTING = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if name in {field.name for field in fields(EmotionTrainingArguments)}
)


@pytest.fixture
def make_trainer(corpus, tmp_path):
    """A function that makes a trainer of a tiny fusion model without dropout, for two steps of four rows."""

    def make(rows=None, **arguments):
        settings = {
            "output_dir": str(tmp_path / "run"),
            "max_steps": 2,
            **SMALL_STEPS,
        }
        set_seed(0)
        labels = corpus["train"].features["label"].names
        model_args = ModelArguments(model_config=STILL)
        model = build_model(model_args, labels)
        processor = build_processor(model_args, DataArguments(max_seconds=0.3), model, corpus["train"]["text"])
        return EmotionTrainer(
            model=model,
            args=EmotionTrainingArguments(**settings | arguments),
            data_collator=EmotionCollator(processor, labels),
            train_dataset=corpus["train"] if rows is None else corpus["train"].select(rows),
            eval_dataset=corpus["validation"].select(range(8)),
            processing_class=processor,
        )

    return make


def curve(trainer, name="loss"):
    trainer.train()
    return curve_of(trainer, name)


def curve_of(trainer, name="loss"):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def group_of(trainer):
    """Return the group of each parameter by its name; every parameter must be in exactly one."""
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    groups = [(names[id(p)], group) for group in trainer.optimizer.param_groups for p in group["params"]]
    assert len(groups) == len(dict(groups))
    return dict(groups)


def test_each_component_has_its_learning_rate_and_weight_decay_groups(make_trainer):
    plain = make_trainer(weight_decay=0.1)
    plain.create_optimizer()
    decay = {name: group["weight_decay"] for name, group in group_of(plain).items()}
    assert set(decay.values()) == {0.0, 0.1}

    trainer = make_trainer(weight_decay=0.1, learning_rates={"audio_encoder": 1e-5, "text_encoder": 2e-5})
    trainer.create_optimizer()
    groups = group_of(trainer)
    assert set(groups) == {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
    assert {name: group["weight_decay"] for name, group in groups.items()} == decay
    for name, group in groups.items():
        rate = 1e-5 if "audio_encoder." in name else 2e-5 if "text_encoder." in name else 1e-2
        assert group["lr"] == rate, name


def test_the_schedule_scales_every_rate(make_trainer):
    trainer = make_trainer(
        learning_rates={"audio_encoder": 1e-5}, warmup_steps=4, lr_scheduler_type="constant_with_warmup"
    )
    trainer.create_optimizer_and_scheduler(num_training_steps=10)
    for _ in range(2):
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    for name, group in group_of(trainer).items():
        assert group["lr"] == pytest.approx(0.5 * (1e-5 if "audio_encoder." in name else 1e-2))


def test_a_rate_of_zero_leaves_a_component_unchanged(make_trainer):
    trainer = make_trainer(learning_rates={"text_encoder": 0.0})
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        # No row lacks a modality, so these embeddings get no gradient.
        if "masked_spec_embed" not in name and ".missing_modality_embeddings." not in name:
            assert torch.equal(parameter, before[name]) == ("text_encoder." in name or not parameter.requires_grad), (
                name
            )


@pytest.mark.parametrize("component", ["video_encoder", "encoder_of_audio"])
def test_an_unknown_component_is_named(make_trainer, component):
    with pytest.raises(ValueError, match=f"learning_rates names '{component}'"):
        make_trainer(learning_rates={component: 1e-5}).create_optimizer()


def test_a_frozen_component_has_nothing_to_train(make_trainer):
    trainer = make_trainer(learning_rates={"text_encoder": 1e-5})
    trainer.model.freeze_text_encoder()
    with pytest.raises(ValueError, match="nothing to train"):
        trainer.create_optimizer()


def test_balanced_class_weights_are_those_of_scikit_learn(make_trainer, corpus):
    labels = np.array(corpus["train"]["label"])
    rows = [row for label in range(4) for row in np.flatnonzero(labels == label)[: 2 * label + 1]]
    trainer = make_trainer(rows, class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels[rows])
    np.testing.assert_allclose(trainer.model.config.class_weights, expected)


def test_a_class_that_never_occurs_has_weight_zero(make_trainer, corpus):
    rows = [row for row, label in enumerate(corpus["train"]["label"]) if label != 2]
    assert make_trainer(rows, class_weights="balanced").model.config.class_weights[2] == 0.0


def test_listed_class_weights_weigh_the_loss(make_trainer):
    trainer = make_trainer(class_weights="[1, 2, 0.5, 3]")
    assert trainer.model.config.class_weights == [1.0, 2.0, 0.5, 3.0]
    assert curve(trainer)[0] != pytest.approx(curve(make_trainer())[0], rel=1e-6)


def test_class_weights_of_another_number_of_classes_are_refused(make_trainer):
    with pytest.raises(ValueError, match="class_weights has 2 numbers for 4 classes"):
        make_trainer(class_weights="[1, 2]")


@pytest.mark.parametrize("arguments", [{}, {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}])
def test_the_named_losses_in_the_log_are_the_parts_of_the_loss(make_trainer, arguments):
    trainer = make_trainer(**arguments)
    total = curve(trainer)
    part = [entry["loss_cross_entropy"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(total) == 2
    assert part == pytest.approx(total, abs=1e-5)


def test_named_losses_are_averaged_since_the_last_log(make_trainer):
    each = curve(make_trainer(max_steps=4), "loss_cross_entropy")
    mean = curve(make_trainer(max_steps=4, logging_steps=2), "loss_cross_entropy")
    assert mean == pytest.approx([sum(each[:2]) / 2, sum(each[2:]) / 2], abs=1e-6)


def test_gradient_accumulation_equals_a_larger_batch(make_trainer):
    whole = curve(make_trainer(max_steps=3))
    parts = curve(make_trainer(max_steps=3, per_device_train_batch_size=2, gradient_accumulation_steps=2))
    assert len(whole) == 3
    assert parts == pytest.approx(whole, abs=1e-5)


def test_bfloat16_trains(make_trainer):
    plain, half = curve(make_trainer(max_steps=1)), curve(make_trainer(max_steps=1, bf16=True))
    assert half == pytest.approx(plain, abs=0.05)


def test_activation_checkpointing_changes_nothing(make_trainer):
    checkpointed = make_trainer(**{CHECKPOINTING: True})
    assert curve(checkpointed) == pytest.approx(curve(make_trainer()), abs=1e-6)
    assert getattr(checkpointed.model, f"is_{CHECKPOINTING}")


@pytest.mark.parametrize("half", [False, True])
def test_evaluation_measures_the_four_scores_and_leaves_the_weights(make_trainer, half):
    trainer = make_trainer(bf16_full_eval=half)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    scores = trainer.evaluate()
    assert {"eval_loss", "eval_wa", "eval_ua", "eval_wf1", "eval_macro_f1"} <= set(scores)
    assert 0 <= scores["eval_ua"] <= 1
    torch.testing.assert_close(trainer.model.state_dict(), before, rtol=0, atol=0)


def test_every_checkpoint_is_a_complete_hub_folder(make_trainer, tmp_path):
    make_trainer(save_strategy="steps", save_steps=1).train()
    folders = sorted((tmp_path / "run").glob("checkpoint-*"))
    assert [folder.name for folder in folders] == ["checkpoint-2"]  # save_total_limit is 1
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert {"README.md", "config.json", "model.safetensors", "processor_config.json", "tokenizer.json"} <= names
        assert {"modeling_cross_attention.py", "configuration_cross_attention.py", "processing_emofusion.py"} <= names
        assert not [name for name in names if name.endswith(".bin") or name.startswith(".")]
        for file, auto_class in (
            ("config.json", "AutoModelForAudioClassification"),
            ("processor_config.json", "AutoProcessor"),
        ):
            module = json.loads((folder / file).read_text())["auto_map"][auto_class].partition(".")[0]
            assert f"{module}.py" in names


@pytest.mark.parametrize("looks_at_steps", [True, False], ids=["cpu", "gpu"])
@pytest.mark.parametrize(
    "others", [{"logging_steps": 3}, {"save_steps": 3}, {"eval_steps": 3}], ids=["log", "save", "evaluation"]
)
def test_a_loss_that_is_no_number_stops_the_training_before_it_is_saved(
    make_trainer, tmp_path, looks_at_steps, others
):
    steps = {"save_strategy": "no", "eval_strategy": "no", "load_best_model_at_end": False, "logging_steps": 100}
    steps |= {name.replace("_steps", "_strategy"): "steps" for name in others if name != "logging_steps"}
    trainer = make_trainer(learning_rate=1e30, max_steps=4, **steps | others)
    trainer._looks_at_steps = looks_at_steps
    with pytest.raises(ValueError, match=r"The loss of step 2 is not a number: .*learning_rate 1e\+30"):
        trainer.train()
    assert not list((tmp_path / "run").glob("checkpoint-*/model.safetensors"))


def test_a_run_that_early_stopping_has_ended_is_not_trained_on(make_trainer, tmp_path):
    steps = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "save_total_limit": 2,
    }
    ends = []
    for checkpoint in (None, tmp_path / "run" / "checkpoint-2"):  # in the middle of an epoch
        trainer = make_trainer(range(12), max_steps=6, load_best_model_at_end=True, **steps)
        trainer.compute_metrics = Mock(side_effect=[{"ua": ua} for ua in (0.5, 0.4, 0.9, 0.9, 0.9, 0.9)])
        trainer.add_callback(EarlyStopping(1))
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        ends.append((trainer.state.global_step, curve_of(trainer, "eval_ua"), trainer.model.state_dict()))
    assert ends[0][:2] == ends[1][:2] == (2, [0.5, 0.4])
    torch.testing.assert_close(ends[0][2], ends[1][2], rtol=0, atol=0)
    best = load_file(tmp_path / "run" / "checkpoint-1" / "model.safetensors")
    torch.testing.assert_close(best["classifier.bias"], ends[1][2]["classifier.bias"], rtol=0, atol=0)


def test_weights_that_a_gradient_spoils_are_not_saved(make_trainer, tmp_path):
    trainer = make_trainer(max_steps=1, save_strategy="steps", save_steps=1)
    trainer.model.classifier.bias.register_hook(lambda gradient: gradient * float("nan"))
    message = r"The model is not saved after step 1: the weights overflowed; lower the learning rate .*\.$"
    with pytest.raises(ValueError, match=message):
        trainer.train()
    assert not list((tmp_path / "run").glob("checkpoint-*"))
    with pytest.raises(ValueError, match=message):
        TextClassifierTrainer.save_bundle(trainer, tmp_path / "plain")
    assert not (tmp_path / "plain").exists()


def test_a_loss_is_looked_at_without_any_log(make_trainer):
    trainer = make_trainer(
        learning_rate=1e30,
        max_steps=2,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        load_best_model_at_end=False,
    )
    trainer._looks_at_steps = False
    with pytest.raises(ValueError, match="The loss of step 2 is not a number"):
        trainer.train()


def test_workers_stay_in_a_training_and_change_nothing(make_trainer, tmp_path):
    log, states = tmp_path / "log", []

    class Spy(EmotionCollator):
        def __call__(self, rows):
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
            return super().__call__(rows)

    for number in (0, 1):
        settings = {
            "num_train_epochs": 3,
            "eval_strategy": "epoch",
            "save_strategy": "no",
            "dataloader_num_workers": number,
        }
        trainer = make_trainer(range(8), max_steps=-1, load_best_model_at_end=False, **settings)
        for name in ("data_collator", "train_data_collator"):
            setattr(trainer, name, Spy(trainer.processor, trainer.task))
        log.unlink(missing_ok=True)
        trainer.train()
        states.append((curve_of(trainer), torch.get_rng_state().tolist()))
    workers = set(log.read_text().split())
    assert len(workers) == 2  # one of each split
    assert str(os.getpid()) not in workers
    assert not multiprocessing.active_children()
    assert states[0] == states[1]
    evaluated = [trainer.evaluate(rows)["eval_loss"] for rows in (trainer.eval_dataset, trainer.train_dataset, None)]
    assert evaluated[0] == pytest.approx(evaluated[2])
    assert evaluated[0] != pytest.approx(evaluated[1])


def test_lengths_reach_the_model_in_training_and_evaluation(make_trainer):
    trainer, seen = (
        make_trainer(include_num_input_tokens_seen="all", eval_steps=1, eval_strategy="steps", save_steps=1),
        [],
    )

    def look(module, args, inputs):
        seen.append((module.training, inputs["lengths"] == host_lengths(inputs), {*inputs["lengths"]} & {*MODALITIES}))

    trainer.model.register_forward_pre_hook(look, with_kwargs=True)
    trainer.train()
    assert {training for training, *_ in seen} == {True, False}
    assert [(equal, names) for _, equal, names in seen] == [(True, {"audio", "text"})] * len(seen)
