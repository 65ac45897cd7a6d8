"""Console output of a run, and trackers."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from emofusion.training import console
from emofusion.training.console import Bar, Console, format_end, format_log, format_seconds, show_run
from emofusion.training.lifecycle import load_rows
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import build_trainer, train
from testing_training import tiny_recipe
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from yaml import safe_dump


@pytest.fixture
def arguments(corpus_root, corpus, tmp_path):
    """A function that makes the recipe of a tiny run."""

    def make(**others):
        (tmp_path / "run").mkdir(exist_ok=True)
        path = tmp_path / "recipe.yaml"
        path.write_text(safe_dump(tiny_recipe(corpus_root, tmp_path / "run", **others)))
        return parse_recipe([str(path)])

    return make


def test_a_run_prints_a_plan_a_log_and_its_results(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(console, "TIMED", 1)
    given = arguments(num_train_epochs=4, gradient_accumulation_steps=2, per_device_train_batch_size=18)
    results = train(given, show_run)
    out = capsys.readouterr().out
    start = out.split("\nstep 1/")[0]
    assert len(start.strip().splitlines()) <= 25
    assert max(map(len, start.replace(str(tmp_path), "").splitlines())) <= 80
    fields = dict(line.split(maxsplit=1) for line in start.splitlines() if len(line.split()) > 1)
    total, trained, frozen = (int(word.replace(",", "")) for word in re.findall(r"[\d,]+\d|\d", fields["parameters"]))
    assert total == trained + frozen == results.parameters.total
    assert trained == results.parameters.trainable
    assert fields["train"].split() == ["validation", "test"]
    assert fields["utterances"].split() == ["72", "16", "16"]
    assert fields["speakers"].split() == ["18", "4", "4"]
    assert fields["sad"].split() == ["18", "4", "4"]
    assert fields["batch"] == "36 utterances per step (18 x 2 accumulated), on cpu"
    assert fields["steps"] == "8 in 4 epochs; seed 42"
    assert fields["keeps"] == "the checkpoint with the highest validation UA"

    assert "{" not in out
    lines = out.removeprefix(start).splitlines()
    assert sum(line.startswith("step ") for line in lines) == 8
    assert sum("validation: loss" in line for line in lines) == 4
    (estimate,) = (line for line in lines if line.startswith("about "))
    assert re.fullmatch(r"about [\d.]+ s for the remaining 4 steps, plus validation", estimate)

    end = format_end(results, "run")
    assert len(end.splitlines()) <= 25
    for part in (
        "confusion_matrix.png",
        "Recall: angry",
        "emofusion predict run RECORDING",
        "emofusion push run OWNER/NAME",
    ):
        assert part in end


def test_the_output_of_trainer_is_replaced_except_its_bar(arguments):
    for quiet, kept in ((False, Bar), (True, None)):
        given = arguments(disable_tqdm=quiet)
        trainer = build_trainer(*load_rows(given), given)
        show_run(trainer)
        kinds = [type(callback) for callback in trainer.callback_handler.callbacks]
        assert not {ProgressCallback, PrinterCallback} & set(kinds)
        assert (Bar in kinds) == (kept is Bar)
        assert Console in kinds


def test_only_the_main_process_prints(arguments, capsys):
    given = arguments()
    trainer = build_trainer(*load_rows(given), given)
    trainer.state.is_world_process_zero = False
    console_ = Console(trainer.run_metadata.results)
    console_.on_train_begin(trainer.args, trainer.state, trainer.control)
    console_.on_log(trainer.args, trainer.state, trainer.control, logs={"loss": 1.0})
    assert capsys.readouterr().out == ""


def test_a_line_has_the_named_losses_if_there_are_several():
    assert format_log({"loss": 1.5, "loss_a": 1.5, "epoch": 1.0}, 3, 9) == "step 3/9  epoch 1.00  loss 1.5"
    assert "loss 3 (a 1, b 2)" in format_log({"loss": 3.0, "loss_a": 1.0, "loss_b": 2.0}, 3, 9)
    assert format_log({"train_runtime": 3.0}, 3, 9) == ""


@pytest.mark.parametrize(
    ("seconds", "expected"), [(8.23, "8.2 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_in_words(seconds, expected):
    assert format_seconds(seconds) == expected


def test_nothing_is_tracked_unless_a_tracker_is_named(arguments):
    assert arguments().training.report_to == []


def test_tensorboard_writes_into_the_folder_of_the_run(arguments, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(arguments(report_to="tensorboard", num_train_epochs=1))
    (events,) = (tmp_path / "run" / "runs").rglob("events.out.tfevents.*")
    tracked = EventAccumulator(str(events.parent))
    tracked.Reload()
    assert {"train/loss", "eval/ua"} <= set(tracked.Tags()["scalars"])


def test_trackio_tracks_locally_in_one_run(arguments, tmp_path):
    pytest.importorskip("trackio")
    arguments(report_to="trackio", project="tiny", num_train_epochs=1)
    environment = os.environ | {
        "TRACKIO_DIR": str(tmp_path / "tracked"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    code = (
        "import sys; from emofusion.training.run import train; from emofusion.training.recipe import parse_recipe;"
        "train(parse_recipe(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "recipe.yaml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    with closing(sqlite3.connect(tmp_path / "tracked" / "tiny.db")) as database:
        assert database.execute("SELECT DISTINCT run_name FROM metrics").fetchall() == [("run",)]


@pytest.mark.parametrize("tracker", ["tensorboard", "trackio"])
def test_a_missing_tracker_is_named_before_the_run(arguments, monkeypatch, tracker):
    monkeypatch.setattr("emofusion.training.arguments.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf"{tracker}.*pip install 'emofusion\[tracking\]'"):
        arguments(report_to=tracker)
