import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import emofusion
import pytest
from emofusion.corpora.demo import speakers as demo_speakers
from emofusion.training import run as training_run
from emofusion.training.speaker import pretrain as speaker_pretrain

SCRIPT = Path(emofusion.__file__).parent / "scripts" / "compare_transfer.py"


def test_every_system_is_trained_with_every_seed(monkeypatch, capsys, tmp_path):
    """Training is replaced: this tests what the runs are given, and the table of their results."""
    runs = []

    def pretrain(recipe):
        folder = Path(recipe.training.output_dir)
        folder.mkdir(parents=True)
        results = {
            "format": 1,
            "task": "speaker_recognition",
            "metrics": {"test": {"eer": 0.05, "min_dcf": 0.3}},
            "p_target": 0.01,
            "data": {"speakers": 2, "training": 1, "validation": 1},
        }
        (folder / "results.json").write_text(json.dumps(results))

    def train(recipe):
        runs.append(recipe)
        # Two of three excited utterances are recognized and, of the subdued ones, all or (seed 1) half.
        calm = [0, 0, 2, 2] if recipe.training.seed == 0 else [2, 0, 2, 0]
        scores = SimpleNamespace(confusion_matrix=[[2, 2, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], calm])
        return SimpleNamespace(labels=["angry", "happy", "sad", "calm"], seconds=1, metrics={"test": scores})

    monkeypatch.setattr(demo_speakers, "make_speakers", lambda root: root)
    monkeypatch.setattr(speaker_pretrain, "pretrain_speaker", pretrain)
    monkeypatch.setattr(training_run, "train", train)
    arguments = ("--output_dir", tmp_path / "out", "--seeds", 2, "--samples", 12, 24)
    monkeypatch.setattr(sys, "argv", ["compare_transfer.py", *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out

    high, low = (2 / 3 + 1) / 2, (2 / 3 + 1 / 2) / 2
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results["arousal_ua"]) == ["scratch", "transfer", "augmentation", "transfer + augmentation"]
    for system, figures in results["arousal_ua"].items():
        assert figures == {size: pytest.approx([high, low]) for size in ("12", "24")}
        cell = f"{50 * (high + low):.1f} ± {100 * (high - low) / 2**0.5:.1f}"
        assert f"| {system} | {cell} | {cell} |" in printed
    assert "EER 5.0 %" in printed
    network = str(tmp_path / "out" / "speaker_network")
    for index, recipe in enumerate(runs):
        model, training = recipe.model, recipe.training
        transfers, augments = index // 2 % 4 in (1, 3), index // 2 % 4 in (2, 3)
        assert (training.seed, recipe.data.max_train_samples) == (index % 2, 12 if index < 8 else 24)
        assert model.model_name_or_path == (network if transfers else None)
        assert model.model_config["apply_spec_augment"] is augments
        assert training.head_epochs + training.num_train_epochs == 16
        assert bool(training.head_epochs) == transfers
    assert len({recipe.training.output_dir for recipe in runs}) == 16
