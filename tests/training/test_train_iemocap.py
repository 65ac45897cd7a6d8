"""Training on a miniature IEMOCAP release; the full-size recipes need the licensed corpus."""

from pathlib import Path

import emofusion
import pytest
import yaml
from datasets import DatasetDict
from emofusion.corpora import describe_corpus, registry
from emofusion.evaluation.results import RunResults
from emofusion.training.recipe import LATE_FUSION, TRAINING, Recipe, parse_recipe
from emofusion.training.run import train
from testing_common import WAVFUSION, WITH_TEXT, WITH_VIDEO
from testing_iemocap import build_iemocap
from testing_training import FUSION, tiny_recipe

RECIPES = sorted((Path(emofusion.__file__).parent / "recipes" / "iemocap").glob("*.yaml"))


pytestmark = pytest.mark.filterwarnings("ignore:IEMOCAP has:UserWarning")


def train_one_step(tmp_path, **others):
    root, path = build_iemocap(tmp_path), tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe(root, tmp_path / "run", corpus="iemocap", max_steps=1, **others)))
    return train(parse_recipe([str(path)]))


@pytest.mark.parametrize("classes", [4, 6])
def test_a_recipe_trains_on_a_release(tmp_path, classes):
    results = train_one_step(tmp_path, corpus_options={"classes": classes})
    assert len(results.labels) == classes
    assert results.corpus.speaker_independent is True
    assert {split: data.speakers for split, data in results.data.items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    assert RunResults.read(tmp_path / "run") == results
    page = (tmp_path / "run" / "README.md").read_text()
    assert "Leave-one-session-out, fold 1 of 5" in page
    assert "This is a demonstration" not in page


def test_turns_without_segments_are_counted(tmp_path):
    levels = ["phone", "syllable", "word"]
    config = FUSION | {"granularities": levels}
    results = train_one_step(tmp_path, corpus_options={"fold": 3}, variant="multi_level", model_config=config)
    assert results.data["train"].unaligned == dict.fromkeys(levels, 0)
    assert results.data["test"].unaligned == {"phone": 0, "syllable": 2, "word": 2}


def test_a_video_model_trains_on_a_release_with_video(tmp_path, monkeypatch):
    load = registry.load_corpus

    def load_with_videos(*args, **kwargs):
        """Load the release, whose videos are all in one split, and give the others one of them."""
        corpus = load(*args, **kwargs)
        clip = next(video for rows in corpus.values() for video in rows["video"] if video and video["path"])
        return DatasetDict(
            {
                split: rows.map(lambda row: {"video": row["video"] or clip}, features=rows.features)
                for split, rows in corpus.items()
            }
        )

    monkeypatch.setattr(registry, "load_corpus", load_with_videos)
    config = WAVFUSION | WITH_TEXT | WITH_VIDEO
    results = train_one_step(tmp_path, corpus_options={"fold": 3}, variant="wavfusion", model_config=config)
    assert "video" in results.modalities


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_use_options_that_the_corpus_has(path):
    groups = LATE_FUSION if path.stem.startswith("late_fusion") else TRAINING
    options = Recipe.read(path, groups).data.corpus_options
    assert describe_corpus("iemocap", **options)["title"]
