"""Failures of the machine are explained by their cause."""

import errno
import os
import signal

import pytest
import torch
from emofusion.training.failures import MachineError, explain, explained
from safetensors import SafetensorError
from torch.utils.data import DataLoader, Dataset

OOM = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 GiB is free."
)
CPU_OOM = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
)
KILLED = "DataLoader worker (pid 71) is killed by signal: {}. "


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (RuntimeError(KILLED.format("Killed")), ("killed by a signal (Killed)", "dataloader_num_workers")),
        (RuntimeError(KILLED.format("Bus error. It is possible")), ("bus error", "/dev/shm")),
        (RuntimeError("DataLoader worker (pid(s) 71, 72) exited unexpectedly"), ("ended unexpectedly", "or 0")),
        (torch.OutOfMemoryError(OOM), ("The GPU has too little memory", "2.00 GiB", "per_device_train_batch_size")),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors"), ("The GPU has too little memory",)),
        (RuntimeError(CPU_OOM), ("The main memory has too little memory", "per_device_train_batch_size")),
        (MemoryError(), ("main memory",)),
        (OSError(errno.ENOSPC, "No space left on device"), ("The disk is full", "make room")),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ("The disk is full", "quota")),
        (SafetensorError("I/O error: No space left on device (os error 28)"), ("The disk is full",)),
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/1"), ("The disk is full",)),
    ],
)
def test_the_cause_of_a_failure_is_named(error, parts):
    with pytest.raises(MachineError, match=r"^[A-Z].*resume from x\.$") as caught, explained(lambda: "resume from x"):
        raise error
    message = str(caught.value)
    assert "\n" not in message
    assert all(any(part in message for part in choice.split("|")) for choice in parts)
    assert caught.value.__cause__ is error
    assert explain(caught.value, str) is None


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("x"), PermissionError(13, "Permission denied")])
def test_other_errors_are_left_alone(error):
    with pytest.raises(type(error)) as caught, explained():
        raise error
    assert caught.value is error


class Rows(Dataset):
    """One row, which cannot be read."""

    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 1

    def __getitem__(self, index):
        self.fail()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse():
    raise ValueError("Row 'a' is damaged.\nSecond line.")


@pytest.mark.parametrize(
    ("fail", "error", "message"),
    [
        (kill, MachineError, r"killed by a signal \(Killed\)|ended unexpectedly"),
        (refuse, ValueError, r"^Row 'a' is damaged\.\nSecond line\.$"),
    ],
)
def test_failures_of_data_loader_processes_are_distinguished(fail, error, message):
    with pytest.raises(error, match=message) as caught, explained():
        next(iter(DataLoader(Rows(fail), num_workers=1)))
    assert "Traceback" not in str(caught.value)
