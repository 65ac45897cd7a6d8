"""Interruptions of a run: SIGTERM, failures of the machine, and disks without room (ours)."""

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from transformers import PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..configuration.plain_text import format_size, reason_of
from .adapters.lora import saved_weights
from .arguments import EmotionTrainingArguments
from .checkpoints import find_damage, list_checkpoints
from .failures import MachineError, explain, is_disk_full


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
            if (
                args.save_total_limit == 1
            ):  # at the end of a training, Trainer would delete all checkpoints but the best
                args.save_total_limit = 2

    def on_epoch_end(self, args, state, control, **kwargs):
        """Do not validate after a partial epoch; the resumed run will complete it."""
        if self.requested and not float(state.epoch).is_integer():
            control.should_evaluate = control.should_save = control.should_log = False


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


def advise_resuming(output_dir: str | Path) -> str:
    """Return how to go on with a run after a failure, as the end of a sentence."""
    for folder in reversed(list_checkpoints(output_dir)):
        if not find_damage(folder):
            return f"resume from {folder}"
    return "start again"


@contextmanager
def _without_partial_checkpoint(trainer: Trainer) -> Iterator[None]:
    """After a failure, remove a checkpoint that is not complete, and tell the cause and how to go on."""
    try:
        yield
    except Exception as error:
        output_dir = trainer.args.output_dir
        folder = Path(output_dir, f"{PREFIX_CHECKPOINT_DIR}-{trainer.state.global_step}")
        partial = folder.is_dir() and find_damage(folder)
        if partial and trainer.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)
        reason = reason_of(error)
        if partial and is_disk_full(error):
            advice = advise_resuming(output_dir)
            raise MachineError(f"{folder} could not be saved ({reason}); make room and {advice}.") from error
        if (failure := explain(error, lambda: advise_resuming(output_dir))) is not None:
            raise failure from error
        if partial and isinstance(error, OSError | SafetensorError):
            raise MachineError(f"{folder} could not be saved ({reason}); {advise_resuming(output_dir)}.") from error
        raise
