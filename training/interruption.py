"""What happens to a run that is interrupted, and to one that cannot save (ours)."""

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

from .adapters.lora import saved_weights
from .arguments import EmotionTrainingArguments

# What writers of files raise on a full disk: Python's, torch's and safetensors'.
UNWRITTEN = (OSError, RuntimeError, SafetensorError)


def train_interruptibly(trainer: Trainer, resume_from_checkpoint: str | None = None) -> None:
    """Train; SIGTERM saves a checkpoint after the step that is being made, and ends the process with one sentence.

    A second SIGTERM ends it at once. Of several processes, all stop after the same step as soon as one is told to.

    Args:
        trainer: ready to train.
        resume_from_checkpoint: as `find_checkpoint` gives it.

    Raises:
        OSError: if a checkpoint could not be saved; what there is of it is removed, and those before it are left.
        SystemExit: after SIGTERM, with 0.
    """
    stop = StopOnSignal()
    trainer.add_callback(stop)
    try:
        with stop.listening(), _no_half_checkpoint(trainer):
            trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    finally:
        trainer.remove_callback(stop)
    if stop.asked:
        if trainer.is_world_process_zero():
            state, saved = trainer.state, list_checkpoints(trainer.args.output_dir)
            kept = f"{saved[-1]} is saved, and" if saved else "nothing was saved;"
            sys.stderr.write(
                f"\nStopped by SIGTERM after step {state.global_step} of {state.max_steps}: {kept} the same command with "
                "--resume_from_checkpoint true goes on.\n"
            )
        raise SystemExit(0)


class StopOnSignal(TrainerCallback):
    """Ends the training of all processes, with a checkpoint, after SIGTERM."""

    def __init__(self):
        self.asked = False
        self._group = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Heed SIGTERM while the context is open; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGTERM)

        def ask(number, frame):
            self.asked = True
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def on_train_begin(self, args, state, control, **kwargs):
        """Open a channel on which processes agree without waiting for their accelerators."""
        if args.world_size > 1:
            self._group = dist.new_group(backend="gloo")

    def on_step_end(self, args, state, control, **kwargs):
        """Stop here, if any process was asked to; not where the training ends anyway."""
        if self._group is not None:
            asked = torch.tensor(self.asked, dtype=torch.int32)
            dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._group)
            self.asked = bool(asked)
        if self.asked and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args, state, control, **kwargs):
        """An epoch that is stopped in its middle is not one to be measured: the resumed run will end it."""
        if self.asked and not float(state.epoch).is_integer():
            control.should_evaluate = control.should_save = control.should_log = False


def find_checkpoint(training_args: EmotionTrainingArguments) -> str | None:
    """The folder of the checkpoint that `resume_from_checkpoint` wants.

    If that is true, it is the last whole one in `output_dir`; there may be a later one, which the end of its run left
    unfinished. Where there are only such, the run starts anew.

    Raises:
        ValueError: if there is no checkpoint, or the one that is named is not whole.
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
        warnings.warn(f"{folder} is passed over: {damage}.", stacklevel=2)
    return None


def list_checkpoints(output_dir: str | Path) -> list[Path]:
    """Folders of checkpoints, the last one last."""
    folders = [
        folder
        for folder in Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*")
        if folder.name.rpartition("-")[2].isdecimal() and folder.is_dir()
    ]
    return sorted(folders, key=lambda folder: int(folder.name.rpartition("-")[2]))


def find_damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, for an error; None if it is whole. Weights are not read, only their size."""
    if not checkpoint.is_dir():
        return "there is no such folder"
    try:  # it is written last
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return f"it was not written to its end ({TRAINER_STATE_NAME} is missing or cut off)"
    for file in sorted(checkpoint.iterdir()):
        cut = (file.suffix == ".safetensors" and not _has_all_tensors(file)) or (
            file.suffix in (".pt", ".pth") and not zipfile.is_zipfile(file)
        )
        if cut:
            return f"its {file.name} is cut off"
    return None


def _has_all_tensors(file: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        except ValueError:
            return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return file.stat().st_size == 8 + length + max(ends, default=0)


def check_output_dir(training_args: EmotionTrainingArguments) -> None:
    """Make the folder of a run, and try whether it can be written to.

    Raises:
        OSError: if not.
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
            f"output_dir {folder} cannot be written to ({error.strerror}): give another, or make room."
        ) from error


def check_room(model: PreTrainedModel, training_args: EmotionTrainingArguments) -> None:
    """Ask whether the disk has room for the checkpoints that a run holds at a time, and for its model.

    A checkpoint is the weights, and two numbers for each that is trained, as Adam has them.

    Raises:
        OSError: if not.
    """
    if not training_args.should_save:
        return
    weights = sum(weight.nbytes for weight in saved_weights(model).values())
    learned = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    held = 0
    if training_args.save_strategy != "no":  # those that are kept, the best, and the one that is being written
        held = 3 if training_args.save_total_limit is None else training_args.save_total_limit + 2
    needed = held * (weights + 2 * learned) + weights
    there = sum(
        file.stat().st_size for folder in list_checkpoints(training_args.output_dir) for file in folder.rglob("*")
    )
    free = shutil.disk_usage(training_args.output_dir).free
    if free + there < needed:
        raise OSError(
            f"output_dir {training_args.output_dir} has {free / 1e9:.1f} GB of room, and its checkpoints need about "
            f"{(needed - there) / 1e9:.1f} GB: make room, give another, or set save_total_limit."
        )


@contextmanager
def _no_half_checkpoint(trainer: Trainer) -> Iterator[None]:
    """Where saving a checkpoint fails, remove what there is of it, and say which one is left."""
    try:
        yield
    except Exception as error:
        folder = Path(trainer.args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{trainer.state.global_step}")
        if not folder.is_dir() or not find_damage(folder):
            raise
        if trainer.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, UNWRITTEN):
            raise
        whole = [str(other) for other in list_checkpoints(trainer.args.output_dir) if other != folder]
        left = f"{whole[-1]} is left: resume from it" if whole else "there is none before it: start again"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"{folder} could not be saved ({reason}); {left} when there is room.") from error
