"""What a run tells of its data."""

from datasets import Dataset, DatasetDict
from emofusion import MultiLevelFusionForSequenceClassification
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.recipe import Recipe
from emofusion.training.report import collect_facts
from testing_training import FUSION


def test_a_folder_is_not_taken_for_a_name_of_the_hub(corpus, tmp_path, monkeypatch):
    (tmp_path / "runs" / "speech").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    model = MultiLevelFusionForSequenceClassification.from_encoders_pretrained(**FUSION)
    given = ModelArguments(
        audio_model_name_or_path="runs/speech", text_model_name_or_path="google-bert/bert-base-uncased"
    )
    training_args = EmotionTrainingArguments(output_dir="out", use_cpu=True, max_steps=3)
    recipe = Recipe(model=given, data=DataArguments(), training=training_args)
    facts = collect_facts(model, corpus, {}, recipe)
    assert facts["base_models"] == {
        "model": None,
        "audio": str(tmp_path / "runs" / "speech"),
        "text": "google-bert/bert-base-uncased",
        "vision": None,
    }
    assert (facts["training"]["max_steps"], facts["training"]["num_train_epochs"]) == (3, None)


def test_utterances_that_are_taken_in_frames_are_counted(corpus, tmp_path):
    nothing = {"start": [], "end": [], "symbol": []}
    silence = {"start": [0.0], "end": [0.1], "symbol": ["SIL"]}
    rows = corpus["test"].select(range(5)).to_list()
    rows[0]["alignment"] = None
    rows[1]["alignment"]["word"] = None
    rows[2]["alignment"]["word"] = nothing
    rows[3]["alignment"] |= {"word": silence, "phone": silence}
    unaligned = DatasetDict(corpus | {"test": Dataset.from_list(rows, features=corpus["test"].features)})
    training_args = EmotionTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    recipe = Recipe(model=ModelArguments(), data=DataArguments(), training=training_args)

    def count(**fields):
        model = MultiLevelFusionForSequenceClassification.from_encoders_pretrained(**FUSION, **fields)
        data = collect_facts(model, unaligned, {}, recipe)["data"]
        return [data[split]["unaligned"] for split in ("train", "test")]

    assert count(granularities=["frame", "word", "phone"]) == [{"word": 0, "phone": 0}, {"word": 4, "phone": 2}]
    assert count(granularities=["frame"]) == [{}, {}]
