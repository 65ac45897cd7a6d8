"""Plain classifiers of transformers as text systems: training, their folder, and their place in a late fusion."""

import json

import pytest
import torch
from emofusion.evaluation.results import RunResults
from emofusion.modeling.fusion_late_members import load_member
from emofusion.training.recipe import Recipe
from emofusion.training.run import train
from huggingface_hub import ModelCard
from testing_training import TEXT, tiny_recipe
from transformers import AutoModelForSequenceClassification, AutoTokenizer

PLAIN = {"variant": "text_classifier", "model_config": {"text_config": TEXT}, "max_seconds": None}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus_root):
    folder = tmp_path_factory.mktemp("runs") / "text"
    settings = tiny_recipe(
        corpus_root, folder, **PLAIN, gradient_accumulation_steps=2, learning_rates={"classifier": 0.1}
    )
    return folder, train(Recipe.read(**settings))


def test_a_plain_classifier_is_trained_into_a_plain_folder(trained):
    folder, results = trained
    assert RunResults.read(folder).to_dict() == results.to_dict()
    assert (results.system, results.model_class) == ("text_classifier", "BertForSequenceClassification")
    assert results.modalities == ["text"]
    assert not [*folder.glob("*.py"), *folder.glob("*.bin")]
    config = json.loads((folder / "config.json").read_text())
    assert "auto_map" not in config
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    assert list(model.config.id2label.values()) == results.labels
    with torch.no_grad():
        assert model(**tokenizer("What a morning.", return_tensors="pt")).logits.shape == (1, 4)
    card = ModelCard.load(folder / "README.md").text
    assert 'pipeline("text-classification"' in card
    assert "trust_remote_code" not in card
    assert "Ours: the choice of the checkpoint for BertForSequenceClassification of transformers" in card


def test_a_trained_classifier_is_a_member_of_a_late_fusion_and_a_start(trained, corpus_root, tmp_path):
    folder, _ = trained
    before = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    torch.testing.assert_close(load_member(str(folder)).state_dict(), before)
    start = {
        "variant": "text_classifier",
        "text_model_name_or_path": str(folder),
        "model_config": {},
        "max_seconds": None,
    }
    settings = tiny_recipe(corpus_root, tmp_path / "again", **start) | {"learning_rate": 0.0, "max_steps": 1}
    train(Recipe.read(**settings))
    torch.testing.assert_close(
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "again").state_dict(), before
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_weights": "balanced"}, "class_weights is given, but a text_classifier"),
        ({"lora": {"rank": 2}}, "lora is given, but a text_classifier"),
        ({"model_config": {}}, "needs text_model_name_or_path, or model_config.text_config"),
        ({"model_config": {"text_config": TEXT, "hidden": 3}}, "unknown field 'hidden'"),
        (
            {"model_config": {"text_config": {"model_type": "vit"}}},
            "is a vit, which transformers has no text classifier of",
        ),
        (
            {"model_config": {}, "text_model_name_or_path": "nowhere/at all"},
            "text_model_name_or_path names nowhere/at all",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(corpus_root, tmp_path, changes, message):
    settings = tiny_recipe(corpus_root, tmp_path / "text", **PLAIN) | changes
    with pytest.raises(ValueError, match=message) as caught:
        train(Recipe.read(**settings))
    assert "\n" not in str(caught.value)
