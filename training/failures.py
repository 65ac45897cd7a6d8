"""Failures of the machine in a run, explained with cause and remedy in place of the message of a library (ours)."""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError

from ..configuration.plain_text import reason_of

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Of torch and safetensors, which report a failed write without an errno of Python's.
FULL_TEXT = re.compile(
    r"No space left|quota exceeded|File too large|os error (28|122|27)\b|PytorchStreamWriter|unexpected pos"
)
KILLED = re.compile(
    r"DataLoader worker \(pid\S* [\d, ]+\) (?:exited unexpectedly|is killed by signal: (?P<signal>[^.]+))"
)
IN_WORKER = re.compile(r"Caught (?P<name>\w+) in DataLoader worker process \d+\.\n")
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)
SIZE = re.compile(r"[Tt]ried to allocate ([\d.]+ \w+)")
SMALLER = (
    "give a smaller per_device_train_batch_size with more gradient_accumulation_steps, max_seconds, bf16, or "
    "activation_checkpointing"
)


class MachineError(OSError):
    """A failure of the machine that was explained."""


@contextmanager
def explained(advise: Callable[[], str] = lambda: "start again") -> Iterator[None]:
    """Replace an error that is raised inside the context by its explanation, if it has one.

    Args:
        advise: Returns how to go on after the remedy, as "resume from ...".
    """
    try:
        yield
    except Exception as error:
        if (failure := explain(error, advise)) is None:
            raise
        raise failure from error


def explain(error: Exception, advise: Callable[[], str]) -> Exception | None:
    """Return an error that names the cause of a failure; None if the failure needs no explanation.

    Args:
        error: The failure.
        advise: As in `explained`.
    """
    text = str(error)
    if isinstance(error, MachineError):
        return None
    if (caught := IN_WORKER.match(text)) and (inner := _unwrap(error, caught["name"])) is not None:
        return inner
    if isinstance(error, RuntimeError) and KILLED.search(text):
        # The signal is in the message of this error, of its cause, or nowhere: torch sees one or the other first.
        signals = [found["signal"] for cause in _chain(error) if (found := KILLED.search(str(cause)))]
        return MachineError(f"{_explain_killed(next(filter(None, signals), None))}; then {advise()}.")
    if is_disk_full(error):
        return MachineError(f"The disk is full ({reason_of(error)}); make room and {advise()}.")
    if isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(text)):
        where = "main memory" if "CPU" in text else "GPU"
        size = f" (it tried to allocate {found[1]})" if (found := SIZE.search(text)) else ""
        return MachineError(f"The {where} has too little memory for this run{size}; {SMALLER}, and {advise()}.")
    if isinstance(error, MemoryError):
        return MachineError(f"The main memory has too little room for this run; {SMALLER}, and {advise()}.")
    return None


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written for lack of room, or because it would be too large."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return isinstance(error, RuntimeError | SafetensorError) and FULL_TEXT.search(str(error)) is not None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explain_killed(signal: str | None) -> str:
    if signal is None:
        return (
            "A process of the data loader ended unexpectedly, as happens when memory runs out; give fewer "
            "dataloader_num_workers, or 0, which shows an error that the process had"
        )
    if "Bus error" in signal:
        return (
            "A process of the data loader was killed (bus error), because shared memory ran out; make /dev/shm larger or set "
            "dataloader_num_workers to 0"
        )
    return (
        f"A process of the data loader was killed by a signal ({signal.strip()}), as happens when memory runs out; give fewer "
        "dataloader_num_workers or smaller batches"
    )


def _unwrap(error: Exception, name: str) -> Exception | None:
    """Return an error of a data loader's process without the traceback in its message; None for a defect of ours."""
    message = str(error).rpartition(f"\n{name}: ")[2].strip()
    if isinstance(error, MemoryError):
        return MachineError("A process of the data loader ran out of memory; give fewer dataloader_num_workers.")
    kind = next((kind for kind in (ValueError, TypeError, ImportError, OSError) if isinstance(error, kind)), None)
    return None if kind is None or not message else kind(message)
