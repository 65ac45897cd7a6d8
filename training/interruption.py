"""Interruptions of a run: SIGTERM, resuming from checkpoints, and disks without room (ours)."""

import json
import shutil
import signal
import sys
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from transformers import PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..corpora.atomic_write import format_size
from .adapters.lora import saved_weights
from .arguments import EmotionTrainingArguments

# Errors of Python, torch and safetensors when a file cannot be written.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)


def train_interruptibly(trainer: Trainer, resume_from_checkpoint: str | None = None) -> None:
    """Train; on SIGTERM, save a checkpoint after the current step and end the process with one sentence.

    A second SIGTERM ends the process at once. If one of several processes gets the signal, all stop after the same step.

    Args:
        trainer: A trainer that is ready to train.
        resume_from_checkpoint: The checkpoint, from `find_checkpoint`.

    Raises:
        OSError: If a checkpoint could not be saved. Its files are removed; earlier checkpoints are kept.
        SystemExit: After SIGTERM, with code 0.
    """
    stop = StopOnSignal()
    trainer.add_callback(stop)
    try:
        with stop.listening(), _without_partial_checkpoint(trainer):
            trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    finally:
        trainer.remove_callback(stop)
    if stop.requested:
        if trainer.is_world_process_zero():
            state, saved = trainer.state, list_checkpoints(trainer.args.output_dir)
            advice = "no checkpoint is saved; start again with the same command."
            if saved:
                advice = f"{saved[-1]} is saved; resume with the same command and --resume_from_checkpoint true."
            sys.stderr.write(f"\nStopped by SIGTERM after step {state.global_step} of {state.max_steps}: {advice}\n")
        raise SystemExit(0)


class StopOnSignal(TrainerCallback):
    """Ends the training of all processes with a checkpoint after SIGTERM."""

    def __init__(self):
        self.requested = False
        self._group = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle SIGTERM inside the context; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGTERM)

        def request(number, frame):
            self.requested = True
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        signal.signal(signal.SIGTERM, request)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def on_train_begin(self, args, state, control, **kwargs):
        """Open a process group on CPUs, so that the processes need not wait for their accelerators to agree."""
        if args.world_size > 1:
            self._group = dist.new_group(backend="gloo")

    def on_step_end(self, args, state, control, **kwargs):
        """Stop if any process got the signal, unless this is the last step."""
        if self._group is not None:
            requested = torch.tensor(self.requested, dtype=torch.int32)
            dist.all_reduce(requested, dist.ReduceOp.MAX, group=self._group)
            self.requested = bool(requested)
        if self.requested and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args, state, control, **kwargs):
        """Do not validate after a partial epoch; the resumed run will complete it."""
        if self.requested and not float(state.epoch).is_integer():
            control.should_evaluate = control.should_save = control.should_log = False


def find_checkpoint(training_args: EmotionTrainingArguments) -> str | None:
    """Return the folder of the checkpoint that `resume_from_checkpoint` selects, None to start from the beginning.

    "true" selects the last complete checkpoint in `output_dir`. Incomplete ones, which a killed run may leave, are skipped
    with a warning; if all are incomplete, the run starts from the beginning.

    Raises:
        ValueError: If there is no checkpoint, or the named one is not complete.
    """
    choice = training_args.resume_from_checkpoint
    choice = {"true": True, "false": None}.get(str(choice).lower(), choice)
    if not choice:
        return None
    if choice is not True:
        if damage := find_damage(Path(choice)):
            raise ValueError(f"The checkpoint {choice} cannot be resumed from: {damage}.")
        return choice
    checkpoints = list_checkpoints(training_args.output_dir)
    if not checkpoints:
        raise ValueError(f"There is no checkpoint in {training_args.output_dir} to resume from.")
    for folder in reversed(checkpoints):
        if not (damage := find_damage(folder)):
            return str(folder)
        warnings.warn(f"{folder} is skipped: {damage}.", stacklevel=2)
    return None


def list_checkpoints(output_dir: str | Path) -> list[Path]:
    """Return the folders of the checkpoints in a folder, ordered by step."""
    folders = [
        folder
        for folder in Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*")
        if folder.name.rpartition("-")[2].isdecimal() and folder.is_dir()
    ]
    return sorted(folders, key=lambda folder: int(folder.name.rpartition("-")[2]))


def find_damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, as part of a sentence; None if it is complete.

    Of the weights only the size is checked.
    """
    if not checkpoint.is_dir():
        return "there is no such folder"
    try:  # the state is written last
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return f"it is incomplete ({TRAINER_STATE_NAME} is missing or truncated)"
    for file in sorted(checkpoint.iterdir()):
        truncated = (file.suffix == ".safetensors" and not _has_all_tensors(file)) or (
            file.suffix in (".pt", ".pth") and not zipfile.is_zipfile(file)
        )
        if truncated:
            return f"its {file.name} is truncated"
    return None


def _has_all_tensors(file: Path) -> bool:
    """Whether a safetensors file has the length that its header states."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        except ValueError:
            return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return file.stat().st_size == 8 + length + max(ends, default=0)


def check_output_dir(training_args: EmotionTrainingArguments) -> None:
    """Create the output folder of a run and check that it can be written to.

    Raises:
        OSError: If it cannot.
    """
    if not training_args.should_save:
        return
    folder = Path(training_args.output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise OSError(
            f"output_dir {folder} cannot be written to ({error.strerror}); give another, or make room."
        ) from error


def check_room(model: PreTrainedModel, training_args: EmotionTrainingArguments) -> None:
    """Check that the disk has room for the model and for all checkpoints that a run keeps at a time.

    A checkpoint holds the weights and, as for Adam, two numbers per trained weight.

    Raises:
        OSError: If it has not.
    """
    if not training_args.should_save:
        return
    weights = sum(weight.nbytes for weight in saved_weights(model).values())
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    held = 0
    if training_args.save_strategy != "no":  # the kept ones, the best, and the one that is being written
        held = 3 if training_args.save_total_limit is None else training_args.save_total_limit + 2
    needed = held * (weights + 2 * trained) + weights
    existing = sum(
        file.stat().st_size for folder in list_checkpoints(training_args.output_dir) for file in folder.rglob("*")
    )
    free = shutil.disk_usage(training_args.output_dir).free
    if free + existing < needed:
        raise OSError(
            f"output_dir {training_args.output_dir} has {format_size(free)} of room, and its checkpoints need about "
            f"{format_size(needed - existing)}; make room, give another, or set save_total_limit."
        )


@contextmanager
def _without_partial_checkpoint(trainer: Trainer) -> Iterator[None]:
    """If saving a checkpoint fails, remove its files and name the last complete checkpoint in the error."""
    try:
        yield
    except Exception as error:
        folder = Path(trainer.args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{trainer.state.global_step}")
        if not folder.is_dir() or not find_damage(folder):
            raise
        if trainer.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, WRITE_ERRORS):
            raise
        complete = [str(other) for other in list_checkpoints(trainer.args.output_dir) if other != folder]
        advice = f"make room and resume from {complete[-1]}" if complete else "make room and start again"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"{folder} could not be saved ({reason}); {advice}.") from error
