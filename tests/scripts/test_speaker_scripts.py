import json
import runpy
import sys
from pathlib import Path

import emofusion
import numpy as np
import pytest
import soundfile
from emofusion.corpora.demo import speakers as spoken_speakers
from emofusion.training import run as training_run
from emofusion.training.speaker import pretrain as training_speaker

SCRIPTS = Path(emofusion.__file__).parent / "scripts"


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a script in this process; returns what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_pretraining_prints_what_was_measured(call, tmp_path):
    random = np.random.default_rng(0)
    for number in range(8):
        file = tmp_path / "voices" / f"id{number // 2}" / f"video{number % 2}" / "1.wav"
        file.parent.mkdir(parents=True)
        soundfile.write(file, 0.1 * random.normal(size=4000), 16000)
    trials = tmp_path / "trials.txt"
    trials.write_text("1 id2/video0/1.wav id2/video1/1.wav\n0 id2/video0/1.wav id3/video1/1.wav\n")
    (tmp_path / "recipe.yaml").write_text(
        "model_config: {num_mel_bins: 16, hidden_sizes: [4], depths: [1], embedding_size: 8}\n"
        "crop_seconds: [0.1, 0.2]\nnum_train_epochs: 1\nuse_cpu: true\ndisable_tqdm: true\n"
        f"corpus_root: {tmp_path / 'voices'}\n"
    )
    printed = call(
        "pretrain_speaker.py", tmp_path / "recipe.yaml", "--output_dir", tmp_path / "network", "--test_trials", trials
    )
    results = json.loads((tmp_path / "network" / "results.json").read_text())
    assert results["data"]["speakers"] == 2
    assert f"test: EER {100 * results['metrics']['test']['eer']:.1f} %" in printed
    assert "validation: accuracy" in printed
    assert f"--model_name_or_path {tmp_path / 'network'}" in printed


@pytest.mark.parametrize("arguments", [[], ["--corpus_root", "nowhere"], ["--seedd", "1"], ["nowhere.yaml"]])
def test_pretraining_stops_with_one_sentence(call, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        call("pretrain_speaker.py", *arguments)
    assert caught.value.code.startswith("pretrain_speaker.py: ")
    assert "\n" not in caught.value.code
    assert not arguments or arguments[0] in caught.value.code or arguments[-1] in caught.value.code


def test_the_comparison_runs_every_system_with_every_seed(call, monkeypatch, tmp_path):
    """The trainings are stood in for: here it is what they are asked, and what is made of their results."""
    runs = []

    def pretrain(recipe):
        folder = Path(recipe.training.output_dir)
        folder.mkdir(parents=True)
        (folder / "results.json").write_text('{"metrics": {"test": {"eer": 0.05, "min_dcf": 0.3}}}')

    def train(recipe):
        runs.append(recipe)
        # two of three excited ones are heard as such, and of the subdued ones all or (seed 1) half
        calm = [0, 0, 2, 2] if recipe.training.seed == 0 else [2, 0, 2, 0]
        confusion = [[2, 2, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], calm]
        labels = ["angry", "happy", "sad", "calm"]
        return {"labels": labels, "seconds": 1, "metrics": {"test": {"confusion_matrix": confusion}}}

    monkeypatch.setattr(spoken_speakers, "make_speakers", lambda root: root)
    monkeypatch.setattr(training_speaker, "pretrain_speaker", pretrain)
    monkeypatch.setattr(training_run, "train", train)
    printed = call("compare_transfer.py", "--output_dir", tmp_path / "out", "--seeds", 2, "--samples", 12, 24)

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
        model_args, data_args, training_args = recipe.model, recipe.data, recipe.training
        transfers, augments = index // 2 % 4 in (1, 3), index // 2 % 4 in (2, 3)
        assert (training_args.seed, data_args.max_train_samples) == (index % 2, 12 if index < 8 else 24)
        assert model_args.model_name_or_path == (network if transfers else None)
        assert model_args.model_config["apply_spec_augment"] is augments
        assert training_args.head_epochs + training_args.num_train_epochs == 16
        assert bool(training_args.head_epochs) == transfers
    assert len({recipe.training.output_dir for recipe in runs}) == 16
