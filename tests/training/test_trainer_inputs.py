"""`EmotionTrainer` with the arguments of a plain `Trainer`, and a plain `Trainer` with our collator."""

import pytest
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.trainer import EmotionTrainer
from testing_training import TEXT
from transformers import Trainer, TrainingArguments

STEP = {"max_steps": 1, "disable_tqdm": True, "use_cpu": True, "save_strategy": "no"}


@pytest.fixture(scope="module")
def parts(corpus):
    """A text model, its processor, the collator, and eight rows with a column that nothing reads."""
    labels = corpus["train"].features["label"].names
    model_args = ModelArguments(
        variant="unimodal", model_config={"modality": "text", "text_config": TEXT, "hidden_size": 8}
    )
    model = build_model(model_args, labels)
    processor = build_processor(model_args, DataArguments(), model, corpus["train"]["text"])
    return model, processor, EmotionCollator(processor, labels), corpus["train"].select(range(8))


def test_plain_arguments_get_our_defaults(parts, tmp_path):
    model, _, collator, rows = parts
    args = TrainingArguments(str(tmp_path / "run"), learning_rate=1e-3, eval_strategy="steps", eval_steps=1, **STEP)
    assert args.remove_unused_columns
    trainer = EmotionTrainer(model, args, collator, rows, rows)
    trainer.train()
    assert isinstance(trainer.args, EmotionTrainingArguments)
    assert (trainer.args.learning_rate, trainer.args.class_weights, trainer.args.eval_steps) == (1e-3, None, 1)
    assert "eval_ua" in next(entry for entry in trainer.state.log_history if "eval_loss" in entry)
    trainer.save_model(str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "processor_config.json").is_file()  # that of the collator


def test_the_processor_is_enough_for_a_collator(parts, tmp_path):
    model, processor, _, rows = parts
    args = EmotionTrainingArguments(
        str(tmp_path), remove_unused_columns=True, eval_strategy="no", load_best_model_at_end=False, **STEP
    )
    trainer = EmotionTrainer(model, args, train_dataset=list(rows), processing_class=processor)
    assert trainer.data_collator.task.labels == list(model.config.id2label.values())
    trainer.train()


def test_rows_without_labels_can_be_predicted_but_not_learned(parts, tmp_path):
    model, _, collator, rows = parts
    rows = rows.remove_columns("label")
    trainer = EmotionTrainer(model, TrainingArguments(str(tmp_path), **STEP), collator, rows)
    assert trainer.predict(rows).predictions.shape == (8, model.config.num_labels)
    with pytest.raises(ValueError, match=r"^The rows have no labels, which a loss needs; add a column 'label'"):
        trainer.train()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data_collator": None}, ValueError, "data_collator is missing; give EmotionCollator"),
        ({"model": None}, ValueError, "model is missing"),
        ({"args": {"max_steps": 1}}, TypeError, "args is a dict"),
    ],
)
def test_a_missing_argument_is_named(parts, tmp_path, change, error, message):
    model, _, collator, rows = parts
    arguments = {"model": model, "args": TrainingArguments(str(tmp_path), **STEP), "data_collator": collator}
    with pytest.raises(error, match=message):
        EmotionTrainer(**arguments | change, train_dataset=rows)


def test_labels_of_collator_are_those_of_the_model(parts, tmp_path):
    model, processor, _, rows = parts
    labels = list(model.config.id2label.values())
    for wrong in (labels[::-1], labels[:-1]):
        with pytest.raises(ValueError, match=r"^The collator has the labels .*, and the model .*; give the collator"):
            EmotionTrainer(model, TrainingArguments(str(tmp_path), **STEP), EmotionCollator(processor, wrong), rows)


def test_balanced_weights_need_rows_with_labels(parts, tmp_path):
    model, _, collator, rows = parts
    args = EmotionTrainingArguments(str(tmp_path), class_weights="balanced", eval_strategy="no", **STEP)
    for wrong in (None, list(rows)):
        with pytest.raises(ValueError, match="class_weights is 'balanced', but train_dataset"):
            EmotionTrainer(model, args, collator, wrong, rows)


def test_a_plain_trainer_needs_its_columns(parts, tmp_path):
    model, _, collator, rows = parts
    Trainer(model, TrainingArguments(str(tmp_path), remove_unused_columns=False, **STEP), collator, rows).train()
    with pytest.raises(ValueError, match=r"no column 'text', .*remove_unused_columns=False"):
        Trainer(model, TrainingArguments(str(tmp_path), **STEP), collator, rows).train()
