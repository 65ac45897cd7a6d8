import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from emofusion.cli import demo
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.evaluation.results import RunResults
from testing_commands import run_script

SYSTEMS = ("speech", "text", "cross_attention")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def demonstrate(call, place, corpus_root, *more):
    """Run the demonstration in miniature; return what it printed."""
    options = (
        "--num_train_epochs",
        "1",
        "--disable_tqdm",
        "true",
        "--use_cpu",
        "true",
        "--dataloader_num_workers",
        "0",
    )
    corpus = ("--corpus_root", corpus_root, "--corpus_options.utterances", BLOCK)
    return call("demo", "--output_dir", place / "made", *options, *corpus, *more)


def run_in_fresh_process(command, check):
    """In place of `subprocess.run`: run `python -P SCRIPT ...` in a process that costs less."""
    assert (*command[:2], check) == (sys.executable, "-P", True)
    done = run_script(*command[2:], cwd=Path.cwd())
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)


def test_three_systems_are_trained_compared_and_used_without_emofusion(call, place, corpus_root, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run_in_fresh_process))
    printed = demonstrate(call, place, corpus_root)
    made = place / "made"
    table = json.loads((made / "results.json").read_text())
    assert tuple(table) == SYSTEMS
    lines = {line.split()[0]: line.split() for line in printed.splitlines() if line.startswith(SYSTEMS)}
    for system, row in table.items():
        assert f"{100 * row['ua']:.1f}" in lines[system]
        assert row["folder"] == str(made / system)
        assert row["ua"] == RunResults.read(made / system).metrics["test"].ua
        assert (made / system / "README.md").is_file()
    for name in ("confusion_matrix.png", "learning_curve.png"):
        assert (made / name).is_file()
        assert f"\n  {name} " in printed
    assert f"emofusion predict {made / 'cross_attention'} RECORDING.wav" in printed

    assert "process without emofusion" in printed
    assert "\n  probabilities angry " in printed

    monkeypatch.setattr(demo, "use_without_emofusion", lambda *arguments: None)
    (made / ".text.made_by.json").unlink()
    again = demonstrate(call, place, corpus_root, "--resume_from_checkpoint", "true")
    for system in SYSTEMS:
        assert (f"{system}: trained before by the same code" in again) == (system != "text")
    assert "esum" in again.partition("Training text.")[2]


def test_a_wrong_option_is_reported_before_anything_is_done(complaint, tmp_path):
    message = complaint("demo", "--output_dir", tmp_path / "made", "--banana", "3", status=2)
    assert message == "Unknown option --banana; --help lists all options."
    assert list(tmp_path.iterdir()) == []
