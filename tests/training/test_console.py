"""Console output of a run, and trackers."""

import re
import sqlite3
from contextlib import closing

import pytest
from emofusion.training import console, progress
from emofusion.training.console import Console, describe_folder, format_scores, predict_command, show_run
from emofusion.training.lifecycle import load_rows
from emofusion.training.progress import MOST_LINES, Bar, Log, format_log
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import build_trainer, train
from testing_fresh import run_fresh
from testing_training import tiny_recipe
from tqdm import tqdm
from transformers import TrainerState
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

    end = format_scores(results, "run")
    assert len(end.strip().splitlines()) <= 9
    assert "Few data: in the test split, angry" in end
    assert "Recall: angry" in end
    assert "confusion_matrix.png" in describe_folder(results, "run")
    assert predict_command(results, "run") == "emofusion predict run RECORDING --text TRANSCRIPT"


def test_the_output_of_trainer_is_replaced_except_its_bar(arguments):
    for quiet in (False, True):
        given = arguments(disable_tqdm=quiet)
        kinds = [type(callback) for callback in build_trainer(*load_rows(given), given).callback_handler.callbacks]
        assert not {ProgressCallback, PrinterCallback} & set(kinds)
        assert (Bar in kinds) == (not quiet)
        assert Log in kinds


def test_without_terminal_a_trainer_prints_lines_and_no_bars(arguments, capfd):
    given = arguments(disable_tqdm=False, num_train_epochs=1)
    build_trainer(*load_rows(given), given).train()
    printed = capfd.readouterr()
    assert printed.err == ""
    assert [line.split()[0] for line in printed.out.splitlines()] == ["step", "step", "epoch"]


def test_bars_are_named_after_the_split(arguments, monkeypatch):
    opened = []

    def open_bar(**options):
        opened.append(options["desc"])
        return tqdm(**options | {"disable": True})

    monkeypatch.setattr(progress, "tqdm", open_bar)
    open_bar.write = print
    train(arguments(disable_tqdm=False, num_train_epochs=1))
    names = ["validation", "validation", "test"]
    assert opened == ["Training", *(f"Predicting the {name} split" for name in names)]


def test_long_runs_print_few_steps(capsys):
    log, state = Log(), TrainerState(max_steps=1000, is_world_process_zero=True)
    for state.global_step in range(1, 1001):
        log.on_log(None, state, None, logs={"loss": 1.0, "epoch": 1.0})
    steps = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert steps[0] == "1/1000"
    assert steps[-1] == "1000/1000"
    assert len(steps) <= MOST_LINES + 2


def test_only_the_main_process_prints(arguments, capsys):
    given = arguments()
    trainer = build_trainer(*load_rows(given), given)
    trainer.state.is_world_process_zero = False
    Console(trainer.run_metadata.results).on_train_begin(trainer.args, trainer.state, trainer.control)
    Log().on_log(trainer.args, trainer.state, trainer.control, logs={"loss": 1.0})
    assert capsys.readouterr().out == ""


def test_a_line_has_the_named_losses_if_there_are_several():
    assert format_log({"loss": 1.5, "loss_a": 1.5, "epoch": 1.0}, 3, 9) == "step 3/9  epoch 1.00  loss 1.5"
    assert "loss 3 (a 1, b 2)" in format_log({"loss": 3.0, "loss_a": 1.0, "loss_b": 2.0}, 3, 9)
    assert format_log({"train_runtime": 3.0}, 3, 9) == ""


def test_a_line_has_the_scores_of_a_speaker_network():
    logs = {"eval_loss": 1.0, "eval_accuracy": 0.5, "eval_eer": 0.25, "eval_min_dcf": 0.125, "epoch": 1.0}
    assert format_log(logs, 3, 9) == "epoch 1.00  validation: loss 1  accuracy 50.0  EER 25.0  minDCF 0.125"


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
    environment = {"TRACKIO_DIR": str(tmp_path / "tracked"), "HF_HUB_OFFLINE": "1"}
    code = (
        "import sys; from emofusion.training.run import train; from emofusion.training.recipe import parse_recipe;"
        "train(parse_recipe(sys.argv[1:]))"
    )
    done = run_fresh(code, tmp_path / "recipe.yaml", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    with closing(sqlite3.connect(tmp_path / "tracked" / "tiny.db")) as database:
        assert database.execute("SELECT DISTINCT run_name FROM metrics").fetchall() == [("run",)]


@pytest.mark.parametrize("tracker", ["tensorboard", "trackio"])
def test_a_missing_tracker_is_named_before_the_run(arguments, monkeypatch, tracker):
    monkeypatch.setattr("emofusion.training.argument_checks.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf"{tracker}.*pip install 'emofusion\[tracking\]'"):
        arguments(report_to=tracker)
