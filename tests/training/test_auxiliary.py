"""Auxiliary classes: found in the training split, learned, logged, and kept in checkpoints."""

import pytest
from emofusion.evaluation.prediction_records import UNKNOWN
from emofusion.evaluation.results import RunResults
from emofusion.training.arguments import DataArguments
from emofusion.training.auxiliary import add_auxiliary, encode_auxiliary
from emofusion.training.recipe import Recipe
from emofusion.training.run import train
from testing_training import tiny_recipe
from transformers import AutoModelForAudioClassification


def test_classes_are_those_of_the_training_split(corpus):
    fields = add_auxiliary({"loss_weights": {"cross_entropy": 2.0}}, {"gender": 0.2, "speaker": 0.1}, corpus["train"])
    assert fields["auxiliary_labels"]["gender"] == ["female", "male"]
    assert fields["auxiliary_labels"]["speaker"] == sorted(set(corpus["train"]["speaker"]))
    assert fields["loss_weights"] == {"cross_entropy": 2.0, "auxiliary_gender": 0.2, "auxiliary_speaker": 0.1}
    assert add_auxiliary({"hidden_size": 8}, {}, corpus["train"]) == {"hidden_size": 8}


def test_unknown_values_have_no_class():
    rows = [{"gender": "male", "turn": 2}, {"gender": None, "turn": 5}, {}]
    labels = encode_auxiliary(rows, {"gender": ["None", "male"], "turn": ["1", "2"]})
    assert {name: values.tolist() for name, values in labels.items()} == {
        "gender": [1, UNKNOWN, UNKNOWN],
        "turn": [1, UNKNOWN, UNKNOWN],
    }


@pytest.mark.parametrize(
    ("auxiliary", "message"),
    [
        ({"label": 1}, "auxiliary names 'label'; name columns of categories"),
        ({"a.b": 1}, "auxiliary names 'a.b'; name columns"),
        ({"gender": 0}, "auxiliary.gender is 0; it must be the weight of its loss"),
        ({"gender": True}, "auxiliary.gender is True; it must be"),
        ({"gender": float("inf")}, "auxiliary.gender is inf; it must be"),
        ({"age": 1}, "auxiliary names the column 'age', which the corpus does not have; it has .*gender"),
        ({"scripted": 1}, "auxiliary names scripted, which has .* value in the training split"),
        ({"asr_text": 1}, "auxiliary names 'asr_text'; name columns"),
        ({"context": 1}, "auxiliary names context, whose values, such as .*, are no categories; leave it out"),
    ],
)
def test_bad_columns_and_weights_are_refused(corpus, auxiliary, message):
    rows = corpus["train"].add_column("context", [[{"text": "Hello."}]] * len(corpus["train"]))
    with pytest.raises(ValueError, match=message):
        add_auxiliary({}, DataArguments(auxiliary=auxiliary).auxiliary, rows)


def test_run_learns_logs_and_keeps_heads(corpus_root, tmp_path):
    recipe = tiny_recipe(
        corpus_root, tmp_path / "first", auxiliary={"gender": 0.2, "speaker": 0.1}, mixup={"embedding": 0.2}
    )
    results = train(Recipe.read(**recipe))
    log = list(results_log(tmp_path / "first"))
    assert all(
        {"loss_cross_entropy", "loss_auxiliary_gender", "loss_auxiliary_speaker"} <= set(e) for e in log if "loss" in e
    )
    validated = [entry for entry in log if "eval_ua" in entry]
    assert all(0 <= entry["eval_auxiliary_gender_accuracy"] <= 1 for entry in validated)
    # Speakers of the validation split are none of the training split.
    assert not any("eval_auxiliary_speaker_accuracy" in entry for entry in validated)
    settings = RunResults.read(tmp_path / "first").training
    assert settings["auxiliary"] == "gender, speaker"
    assert settings["mixup"] == "embedding, alpha 0.2"
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "first")
    assert model.config.auxiliary_labels["gender"] == ["female", "male"]

    again = tiny_recipe(
        corpus_root, tmp_path / "second", auxiliary={"gender": 0.2}, model_name_or_path=str(tmp_path / "first")
    )
    again.pop("model_config")
    train(Recipe.read(**again, max_steps=1))
    second = AutoModelForAudioClassification.from_pretrained(tmp_path / "second")
    assert list(second.config.auxiliary_labels) == ["gender"]
    assert results.metrics["test"].ua is not None


def results_log(folder):
    import json

    return json.loads((folder / "training_log.json").read_text())
