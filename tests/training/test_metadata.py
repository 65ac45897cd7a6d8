"""Metadata that every `EmotionTrainer` collects, and the card that it writes."""

import re

import pytest
from datasets import Dataset, DatasetDict
from emofusion import MultiLevelFusionForSequenceClassification
from emofusion.evaluation.metadata import CorpusMetadata
from emofusion.evaluation.results import RunResults
from emofusion.evaluation.task import load_task
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.collator import EmotionCollator
from emofusion.training.metadata import count_rows
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from emofusion.training.recipe import Recipe
from emofusion.training.trainer import EmotionTrainer
from huggingface_hub import ModelCard
from testing_cards import check_page
from testing_training import FUSION, SMALL_STEPS


def test_a_folder_is_not_taken_for_a_name_of_the_hub(corpus, tmp_path, monkeypatch):
    (tmp_path / "runs" / "speech").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    model = MultiLevelFusionForSequenceClassification.from_encoders_pretrained(**FUSION, num_labels=4)
    given = ModelArguments(
        audio_model_name_or_path="runs/speech", text_model_name_or_path="google-bert/bert-base-uncased"
    )
    training_args = EmotionTrainingArguments(
        output_dir="out",
        use_cpu=True,
        max_steps=3,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
    )
    recipe = Recipe(model=given, data=DataArguments(), training=training_args)
    labels = corpus["train"].features["label"].names
    trainer = EmotionTrainer(model=model, args=training_args, data_collator=EmotionCollator(None, labels))
    trainer.run_metadata.add_recipe(recipe, corpus, CorpusMetadata())
    results = trainer.run_metadata.results
    assert results.base_models == {
        "model": None,
        "audio": str(tmp_path / "runs" / "speech"),
        "text": "google-bert/bert-base-uncased",
        "vision": None,
    }
    assert (results.training["max_steps"], results.training["num_train_epochs"]) == (3, None)


def test_utterances_without_segments_are_counted(corpus):
    nothing = {"start": [], "end": [], "symbol": []}
    silence = {"start": [0.0], "end": [0.1], "symbol": ["SIL"]}
    rows = corpus["test"].select(range(5)).to_list()
    rows[0]["alignment"] = None
    rows[1]["alignment"]["word"] = None
    rows[2]["alignment"]["word"] = nothing
    rows[3]["alignment"] |= {"word": silence, "phone": silence}
    unaligned = DatasetDict(corpus | {"test": Dataset.from_list(rows, features=corpus["test"].features)})
    task = load_task("classification", corpus["train"].features["label"].names)

    def count(**fields):
        levels = MultiLevelFusionForSequenceClassification.from_encoders_pretrained(
            **FUSION, **fields
        ).config.span_levels
        return [count_rows(unaligned[split], task, levels).unaligned for split in ("train", "test")]

    assert count(granularities=["frame", "word", "phone"]) == [{"word": 0, "phone": 0}, {"word": 4, "phone": 2}]
    assert count(granularities=["frame"]) == [{}, {}]


def test_only_columns_that_exist_are_counted():
    task = load_task("classification", ["low", "high"])
    counts = count_rows(Dataset.from_dict({"label": [1, 0, 1]}), task, ["word"])
    assert counts.utterances == 3
    assert counts.classes == {"low": 1, "high": 2}
    assert (counts.speakers, counts.seconds, counts.unaligned) == (None, None, {})


@pytest.fixture
def make_trainer(corpus, tmp_path):
    """A function that makes a trainer from model, arguments, collator, datasets and processor, as in docs/build.md."""
    splits = {"train_dataset": corpus["train"], "eval_dataset": corpus["validation"].select(range(8))}

    def make(datasets=splits, **arguments):
        labels = corpus["train"].features["label"].names
        model_args = ModelArguments(model_config=FUSION)
        model = build_model(model_args, labels)
        processor = build_processor(model_args, DataArguments(max_seconds=0.3), model, corpus["train"]["text"])
        return EmotionTrainer(
            model=model,
            args=EmotionTrainingArguments(str(tmp_path / "mine"), **SMALL_STEPS | arguments),
            data_collator=EmotionCollator(processor, labels),
            processing_class=processor,
            **datasets,
        )

    return make


def test_a_model_saved_by_any_trainer_has_a_card(make_trainer, tmp_path):
    trainer = make_trainer(max_steps=1)
    trainer.save_model()
    page = check_page(tmp_path / "mine" / "README.md").content
    for known in ("CrossAttentionFusionForSequenceClassification", "angry", "speech and text", "| train | 72 |"):
        assert known in page
    for unknown in ("WA", "test", "Spoken", "recipe", "checkpoint"):
        assert unknown not in page.split("## Limits")[0], unknown


def test_settings_are_on_the_card_once_a_training_has_begun(make_trainer, corpus, tmp_path):
    trainer = make_trainer(max_steps=1)
    trainer.predict(corpus["test"].select(range(4)))
    trainer.save_model()
    page = check_page(tmp_path / "mine" / "README.md").content
    assert "learning_rate" not in page
    assert "## Model\n" in page
    trainer.train()
    trainer.save_model()
    page = check_page(tmp_path / "mine" / "README.md").content
    assert "| `learning_rate` | 0.01 |" in page
    assert "## Training\n" in page


@pytest.mark.parametrize("kind", ["list", "without validation", "several validation splits"])
def test_rows_of_every_kind_of_dataset_are_counted(make_trainer, corpus, tmp_path, kind):
    rows, validation = corpus["train"].select(range(6)), corpus["validation"].select(range(4))
    datasets, lines = {
        "list": (
            {"train_dataset": rows.to_list(), "eval_dataset": validation.to_list()},
            ["train | 6", "validation | 4"],
        ),
        "without validation": ({"train_dataset": rows}, ["train | 6"]),
        "several validation splits": (
            {"train_dataset": rows, "eval_dataset": {"one": validation, "other": validation}},
            ["train | 6"],
        ),
    }[kind]
    trainer = make_trainer(datasets, max_steps=1)
    trainer.train()
    scores = trainer.evaluate() if "eval_dataset" in datasets else {}
    trainer.save_model()
    page = check_page(tmp_path / "mine" / "README.md").content
    assert [line.strip("| ") for line in re.findall(r"^\| (?:train|validation) \| \d+ ", page, re.MULTILINE)] == lines
    assert ("## Scores" in page) == ("eval_ua" in scores)


def test_weights_do_not_keep_the_results_of_another_run(make_trainer, tmp_path):
    trainer = make_trainer(max_steps=1)
    RunResults(labels=["angry"], modalities=["text"]).write(tmp_path / "mine")
    trainer.save_model()
    assert not (tmp_path / "mine" / "results.json").exists()


def test_the_card_has_the_validation_scores_of_the_saved_weights(make_trainer, corpus, tmp_path):
    trainer = make_trainer(max_steps=2)
    scores = trainer.evaluate()
    trainer.save_model()
    page = ModelCard.load(tmp_path / "mine" / "README.md").content
    assert f"| validation | {100 * scores['eval_wa']:.1f} % | {100 * scores['eval_ua']:.1f} %" in page
    assert "eval_results" not in page
    assert "model-index" not in page
    trainer.train()
    assert trainer.run_metadata.results.metrics == {}
    trainer.evaluate(corpus["test"].select(range(4)))
    assert trainer.run_metadata.results.metrics == {}


def test_after_training_the_scores_are_those_of_the_best_checkpoint(make_trainer, tmp_path):
    each = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    trainer = make_trainer(max_steps=3, load_best_model_at_end=True, save_total_limit=3, **each)
    scores = iter((0.123, 0.789, 0.456))
    trainer.compute_metrics = lambda prediction: {"ua": next(scores)}
    trainer.train()
    assert trainer.run_metadata.results.metrics["validation"].ua == 0.789
    assert "45.6 %" in (tmp_path / "mine" / "checkpoint-3" / "README.md").read_text()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_any_trainer_can_push_its_model(hub, make_trainer, tmp_path):
    make_trainer(max_steps=1, hub_model_id="someone/mine").push_to_hub()
    _, commit, pinned = hub.repos["model", "someone/mine"].branches["main"]
    assert {"model.safetensors", "config.json", "modeling_cross_attention.py"} <= commit.files.keys()
    assert pinned.files["README.md"].startswith(b"---")
    assert "results.json" not in commit.files
