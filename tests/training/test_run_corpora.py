"""One training step on each corpus that users bring."""

import pytest
import yaml
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from testing_cmu_mosei import make_cmu_mosei
from testing_folder import make_folder, make_rows
from testing_meld import make_raw, make_reencoded
from testing_msp_podcast import make_msp_podcast
from testing_training import tiny_recipe

VISION = {"model_type": "convnext", "hidden_sizes": [4, 8], "depths": [1, 1], "num_stages": 2, "image_size": 16}


def run_one_step(tmp_path, root, **others):
    recipe = tiny_recipe(root, tmp_path / "run", max_steps=1, eval_strategy="no", save_strategy="no", **others)
    recipe |= {"load_best_model_at_end": False, "per_device_train_batch_size": 2}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return train(parse_recipe([str(tmp_path / "recipe.yaml")]))


@pytest.mark.parametrize("layout", [make_raw, make_reencoded])
def test_a_model_trains_on_meld(tmp_path, layout):
    results = run_one_step(tmp_path, layout(tmp_path / "meld"), corpus="meld", corpus_options={"max_seconds": 3.0})
    assert len(results.labels) == 7
    assert results.corpus.speaker_independent is False
    assert results.data["test"].utterances == 2
    assert "affective-meld" in (tmp_path / "run" / "README.md").read_text("utf-8")


def test_a_video_model_trains_on_meld(tmp_path):
    config = {"modality": "video", "hidden_size": 8, "vision_config": VISION}
    root, how = make_raw(tmp_path / "meld"), {"variant": "unimodal", "model_config": config}
    results = run_one_step(tmp_path, root, corpus="meld", corpus_options={}, **how)
    assert results.modalities == ["video"]


def test_a_model_trains_on_a_folder(tmp_path):
    options = {"labels": ["sad", "glad"]}
    results = run_one_step(tmp_path, make_folder(tmp_path / "own"), corpus="folder", corpus_options=options)
    assert results.labels == ["sad", "glad"]
    assert results.corpus.speaker_independent is True
    assert {split: data.utterances for split, data in results.data.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }


@pytest.mark.filterwarnings("ignore:.*(usable rows; problems|no text|transcript|contents)")
@pytest.mark.parametrize(
    ("options", "how", "train"),
    [
        (
            {"keep_others": "train"},
            {"soft_labels": True, "class_weights": "balanced", "metric_for_best_model": "macro_f1"},
            10,
        ),
        ({"keep_others": True}, {"task": "multi_task", "dimensions": ["valence"]}, 10),
    ],
)
def test_a_model_trains_on_msp_podcast(tmp_path, options, how, train):
    root = make_msp_podcast(tmp_path / "msp")
    results = run_one_step(tmp_path, root, corpus="msp_podcast", corpus_options=options, **how)
    assert results.data["train"].utterances == train
    assert results.data["test"].utterances == 8
    if "task" in how:
        assert list(results.corpus.dimension_scale) == [1, 7]


@pytest.mark.filterwarnings("ignore:.*usable rows; problems")
def test_a_model_predicts_the_sentiment_of_cmu_mosei(tmp_path):
    options, how = {"labels": "sentiment"}, {"task": "dimensions", "dimensions": ["valence"]}
    root = make_cmu_mosei(tmp_path / "mosei")
    results = run_one_step(tmp_path, root, corpus="cmu_mosei", corpus_options=options, **how)
    assert list(results.corpus.dimension_scale) == [-3, 3]
    assert results.data["train"].utterances == 3


def test_a_model_predicts_dimensions_of_a_folder_without_labels(tmp_path):
    rows = [row | {"label": "", "arousal": number / 11} for number, row in enumerate(make_rows())]
    how = {"corpus_options": {"dimension_scale": [0, 1]}, "task": "dimensions", "dimensions": ["arousal"]}
    results = run_one_step(tmp_path, make_folder(tmp_path / "own", rows), corpus="folder", **how)
    assert list(results.corpus.dimension_scale) == [0, 1]
