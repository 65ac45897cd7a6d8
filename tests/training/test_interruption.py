"""Runs that are killed, stopped, or cannot save."""

import json
import os
import random
import resource
import shutil
import signal
from contextlib import redirect_stderr

import pytest
import torch
import torch.multiprocessing as mp
import yaml
from emofusion.training import interruption
from emofusion.training.arguments import EmotionTrainingArguments
from emofusion.training.checkpoints import BestCheckpointFinder, check_weights, find_checkpoint, find_damage
from emofusion.training.interruption import check_room
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import train
from emofusion.training.trainer import EmotionTrainer
from safetensors.torch import save_file
from testing_fresh import call_fresh
from testing_training import FUSION, tiny_recipe
from transformers import TrainerState

STEPS = 8  # in two epochs, measured and saved after every second


def run_recipe(folder, corpus_root, **others):
    """Train with every source of randomness: dropout, modality dropout, augmentation, length-grouped batches."""
    path = folder.with_suffix(".yaml")
    settings = {
        "model_config": FUSION | {"modality_dropout": 0.5, "classifier_dropout": 0.3},
        "max_seconds": 0.5,
        "per_device_train_batch_size": 18,
        "group_by_length": True,
        "augmentation": {"noise": {"snr_db": [5, 20]}},
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 2,
        "save_total_limit": 2,
    }
    path.write_text(yaml.safe_dump(tiny_recipe(corpus_root, folder, **settings | others)))
    return train(parse_recipe([str(path)]))


def interrupted(folder, corpus_root, step: int, number: int) -> None:
    """Train in a process that gets a signal in the middle of a step."""
    done, make_step = [], EmotionTrainer.training_step

    def training_step(self, *args, **kwargs):
        loss = make_step(self, *args, **kwargs)
        done.append(loss)
        if len(done) == step:
            os.kill(os.getpid(), number)
        return loss

    EmotionTrainer.training_step = training_step
    torch.set_num_threads(1)
    folder.mkdir()
    with (folder / "errors.txt").open("w") as errors, redirect_stderr(errors):
        run_recipe(folder, corpus_root, save_total_limit=1)


def run_interrupted(settings: list[tuple]) -> list[int]:
    """Start the trainings from a process that has imported everything; return their exit codes."""
    processes = [mp.get_context("fork").Process(target=interrupted, args=arguments) for arguments in settings]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, corpus, corpus_root):
    """A complete run, and the folders of two interrupted ones with step and exit status."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for name, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGTERM)):
        step = random.randrange(3, STEPS)
        arguments = (folder / name, corpus_root, step, number)
        found[name] = arguments
    codes = call_fresh(run_interrupted, list(found.values()))
    found = {name: (step, code) for (name, (_, _, step, _)), code in zip(found.items(), codes, strict=True)}
    return folder, found | {"whole": run_recipe(folder / "whole", corpus_root)}


@pytest.mark.parametrize("name", ["killed", "stopped"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(name, runs, tmp_path, corpus_root):
    folder, found = runs
    step, _ = found[name]
    assert not (folder / name / "results.json").exists()
    again = run_recipe(folder / name, corpus_root, resume_from_checkpoint="true")
    assert again.metrics == found["whole"].metrics, f"{name} in step {step}"
    weights = [(folder / run / "model.safetensors").read_bytes() for run in (name, "whole")]
    assert weights[0] == weights[1], f"{name} in step {step}"
    last = [torch.load(folder / run / f"checkpoint-{STEPS}" / "optimizer.pt") for run in (name, "whole")]
    for one, other in zip(last[0]["state"].values(), last[1]["state"].values(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [json.loads((folder / run / "training_log.json").read_text()) for run in (name, "whole")]
    curves = [
        [
            {key: value for key, value in entry.items() if "_per_second" not in key and "runtime" not in key}
            for entry in log[:-1]
        ]
        for log in logs
    ]
    assert curves[0] == curves[1], f"{name} in step {step}"


def test_sigterm_saves_and_ends_the_process_with_one_sentence(runs):
    folder, found = runs
    step, status = found["stopped"]
    assert status == 0
    sentence = (folder / "stopped" / "errors.txt").read_text().strip().splitlines()[-1]
    checkpoint = folder / "stopped" / f"checkpoint-{step}"
    assert sentence == (
        f"Stopped by SIGTERM after step {step} of {STEPS}: {checkpoint} is saved; resume with the same command "
        "and --resume_from_checkpoint true."
    )
    assert found["killed"][1] == -signal.SIGKILL


def resumed(output_dir, choice="true"):
    return find_checkpoint(
        EmotionTrainingArguments(output_dir=str(output_dir), resume_from_checkpoint=str(choice), use_cpu=True)
    )


def cut(file):
    file.write_bytes(file.read_bytes()[:-10])


@pytest.fixture
def checkpoints(runs, tmp_path):
    """A folder with the last two checkpoints of a run."""
    for step in (STEPS - 2, STEPS):
        shutil.copytree(runs[0] / "whole" / f"checkpoint-{STEPS}", tmp_path / f"checkpoint-{step}")
    return tmp_path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "trainer_state.json").unlink(), "it is incomplete"),
        (lambda folder: cut(folder / "trainer_state.json"), "it is incomplete"),
        (lambda folder: cut(folder / "model.safetensors"), r"its model\.safetensors is truncated"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), r"its model\.safetensors is truncated"),
        (lambda folder: cut(folder / "optimizer.pt"), r"its optimizer\.pt is truncated"),
    ],
)
def test_a_run_resumes_from_its_last_complete_checkpoint(damage, message, checkpoints):
    before, last = (checkpoints / f"checkpoint-{step}" for step in (STEPS - 2, STEPS))
    assert resumed(checkpoints) == str(last)
    damage(last)
    with pytest.warns(UserWarning, match=f"{last} is skipped: .*{message}"):
        assert resumed(checkpoints) == str(before)
    with pytest.raises(ValueError, match=f"{last} cannot be resumed from: .*{message}"):
        resumed(checkpoints, last)
    damage(before)
    with pytest.warns(UserWarning, match="is skipped"):
        assert resumed(checkpoints) is None


def test_a_checkpoint_without_its_optimizer_is_resumed_with_a_warning(checkpoints):
    last = checkpoints / f"checkpoint-{STEPS}"
    (last / "optimizer.pt").unlink()
    for choice in ("true", last):
        with pytest.warns(UserWarning, match=r"has no optimizer\.pt, so the optimizer and the schedule start anew"):
            assert resumed(checkpoints, choice) == str(last)


def test_a_checkpoint_with_a_pickle_instead_of_weights_is_not_opened(checkpoints):
    last = checkpoints / f"checkpoint-{STEPS}"
    (last / "model.safetensors").rename(last / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"cannot be resumed from: it has no weights \(model\.safetensors"):
        resumed(checkpoints, last)


def test_weights_of_another_model_are_not_resumed_from(tmp_path):
    model = torch.nn.Linear(2, 3)
    for weights, problem in (
        ({"weight": torch.zeros(3, 2)}, r"lacks 1 weight \(bias\)"),
        ({"weight": torch.zeros(2, 2), "bias": torch.zeros(3)}, r"has in another shape 1 weight \(weight\)"),
        (model.state_dict() | {"x": torch.zeros(1)}, r"has unknown 1 weight \(x\)"),
    ):
        save_file(weights, tmp_path / "model.safetensors")
        with pytest.raises(ValueError, match=f"do not fit the model: it {problem}; resume with the recipe"):
            check_weights(tmp_path, model)


def test_the_best_checkpoint_is_one_in_the_folder_of_the_run(checkpoints):
    args, state = EmotionTrainingArguments(str(checkpoints), use_cpu=True), TrainerState()
    state.best_model_checkpoint, state.best_metric = f"/before/the/move/checkpoint-{STEPS}", 0.5
    BestCheckpointFinder().on_train_begin(args, state, None)
    assert (state.best_model_checkpoint, state.best_metric) == (str(checkpoints / f"checkpoint-{STEPS}"), 0.5)
    state.best_model_checkpoint = "/elsewhere/checkpoint-3"
    with pytest.warns(UserWarning, match="The best checkpoint so far, .*checkpoint-3, is not there"):
        BestCheckpointFinder().on_train_begin(args, state, None)
    assert (state.best_model_checkpoint, state.best_metric) == (None, None)


def test_a_missing_checkpoint_is_an_error(tmp_path):
    assert resumed(tmp_path, "false") is None
    with pytest.raises(ValueError, match="no checkpoint"):
        resumed(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        resumed(tmp_path, tmp_path / "checkpoint-1")


def test_weights_of_any_shape_are_complete(tmp_path):
    save_file({"a": torch.zeros(3), "b": torch.zeros(0)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "trainer_state.json").write_text("{}")
    assert find_damage(tmp_path) is None


def test_a_failed_save_keeps_the_previous_checkpoint(tmp_path, corpus_root, corpus, monkeypatch):
    save, soft_and_hard = EmotionTrainer.save_model, resource.getrlimit(resource.RLIMIT_FSIZE)

    def save_model(self, output_dir=None, _internal_call=False):
        if self.state.global_step == 4:  # as on a full disk, in the midst of the weights
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, soft_and_hard[1]))
        try:
            save(self, output_dir, _internal_call)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, soft_and_hard)

    monkeypatch.setattr(EmotionTrainer, "save_model", save_model)
    folder = tmp_path / "run"
    with pytest.raises(OSError, match=r"checkpoint-4 could not be saved .*resume from .*checkpoint-2") as caught:
        run_recipe(folder, corpus_root, save_total_limit=1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-2"]
    assert find_damage(folder / "checkpoint-2") is None


def test_an_output_dir_that_cannot_be_written_is_refused_first(tmp_path, corpus_root):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=f"output_dir: The folder {tmp_path}/file/run cannot be created"):
        train(
            parse_recipe(["--corpus", "no such", "--output_dir", str(tmp_path / "file" / "run"), "--use_cpu", "true"])
        )


@pytest.mark.parametrize(
    ("limit", "strategy", "held"), [(1, "epoch", 3), (None, "epoch", 3), (5, "steps", 7), (1, "no", 0)]
)
def test_a_run_checks_the_room_for_its_checkpoints(limit, strategy, held, tmp_path, monkeypatch):
    model = torch.nn.Sequential(torch.nn.Linear(10, 10, bias=False), torch.nn.Linear(10, 5, bias=False))
    model[1].requires_grad_(False)
    args = EmotionTrainingArguments(
        output_dir=str(tmp_path),
        save_total_limit=limit,
        save_strategy=strategy,
        eval_strategy=strategy,
        eval_steps=1,
        save_steps=1,
        load_best_model_at_end=False,
        use_cpu=True,
    )
    weights = 600
    needed = weights + held * (weights + 800)
    room = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(interruption.shutil, "disk_usage", lambda folder: room._replace(free=needed))
    check_room(model, args)
    monkeypatch.setattr(interruption.shutil, "disk_usage", lambda folder: room._replace(free=needed - 1))
    with pytest.raises(OSError, match="make room"):
        check_room(model, args)
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "old").write_bytes(b"0")  # which will be deleted
    check_room(model, args)
