import pytest
import yaml
from emofusion.modeling.modeling_emofusion import EmoFusionModel
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from safetensors.torch import load_file
from testing_training import FUSION, tiny_recipe
from torch.testing import assert_close

FROZEN = {"freeze_feature_encoder": True, "freeze_audio_layers": -1, "freeze_text_layers": -1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus_root):
    """A run without a cache, and a function that starts one with a cache."""
    folder = tmp_path_factory.mktemp("runs")

    def run(name, **others):
        fields = FUSION | FROZEN
        recipe = tiny_recipe(corpus_root, folder / name, **{"model_config": fields, "head_epochs": 0.5, **others})
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        results = train(parse_recipe([str(path)]))
        return results.metrics, load_file(folder / name / "model.safetensors")

    return run, run("plain"), {"cache_prefix": True, "cache_dir": str(folder / "cache")}


@pytest.mark.parametrize(
    "others", [{}, {"group_by_length": True, "dataloader_num_workers": 1}], ids=["plain", "workers"]
)
def test_a_run_with_a_cache_learns_the_same(trained, others):
    run, (metrics, weights), caching = trained
    if others:
        metrics, weights = run("grouped", group_by_length=True)
    with_cache = run("cached", **caching, **others)
    assert_close(with_cache[1], weights, atol=1e-4, rtol=0)
    for split, scores in metrics.items():
        assert with_cache[0][split].nll == pytest.approx(scores.nll, abs=1e-4)
        assert with_cache[0][split].wa == scores.wa


def test_the_next_run_computes_no_prefix(trained, monkeypatch):
    run, _, caching = trained
    run("first", **caching, head_epochs=0)

    def refuse(self, **batch):
        raise AssertionError("computed")

    monkeypatch.setattr(EmoFusionModel, "encode", refuse)
    run("second", **caching, head_epochs=0, learning_rate=1e-3)
