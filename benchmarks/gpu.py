"""Correctness, speed, memory and a short training on a GPU, in less than six minutes.

The tables are those of the sections `speed`, `training_step` and `overhead`, with 32 clips in a batch. What does not fit into
the time is left out, the least important systems first.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import recipes
from ..configuration.modalities import SAMPLING_RATE
from ..configuration.plain_text import reason_of
from . import overhead, speed, training_step
from .correctness import measure_correctness
from .measuring import table
from .setting import GPU, Setting, as_setting

TIME = 280.0  # seconds after which no other system is begun
# The most important first.
COMPARED = ("cross_attention", "speech", "multi_level", "wavfusion", "multi_level, frames", "text", "late_fusion")
ROWS_OF_CORRECTNESS = 4
TONES = {"low": 220.0, "high": 880.0}  # Hz, of the two classes of the synthetic corpus
UTTERANCES = {"train": 96, "validation": 32, "test": 32}


def measure(quick: bool, systems: Sequence[str] = ()) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    import torch

    if not torch.cuda.is_available():
        return [table("GPU", [], "Not measured: no GPU.")]
    return measure_on(Setting(**asdict(GPU) | {"small": quick}), tuple(systems) or COMPARED)


def measure_on(setting: Setting, systems: tuple[str, ...]) -> list[dict]:
    """Return the tables of a device.

    Args:
        setting: The setting.
        systems: The systems, the most important first.
    """
    begin, failures = time.perf_counter(), []
    few = as_setting(asdict(setting) | {"lengths": setting.lengths[:ROWS_OF_CORRECTNESS]})
    tables = attempt("correctness", failures, measure_correctness, few) or []
    tables.append(table("A training with the command", [train(setting)]))
    fields, forward, steps, shares = asdict(setting), [], [], []
    for system in systems:
        if time.perf_counter() - begin > TIME:
            failures.append(f"{system} (no time left after {TIME:.0f} s)")
            continue
        forward += [attempt(system, failures, speed.measure_system, system, fields)]
        steps += attempt(system, failures, training_step.measure_system, system, setting) or []
        shares += [attempt(system, failures, overhead.measure_system, system, fields)]
    tables += speed.make_tables([rows for rows in forward if rows], setting)
    tables.append(training_step.make_table(steps, setting))
    tables += overhead.make_tables([rows for rows in shares if rows], setting)
    tables[-1]["note"] += f" Not measured: {'; '.join(failures)}." if failures else ""
    return tables


def attempt(what: str, failures: list[str], function: Callable, *arguments):
    """Return the result of a measurement; if it fails, add a line to the failures, so that the others are not lost."""
    import gc

    import torch

    gc.collect()  # models of the measurement before
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        return function(*arguments)
    except Exception as error:
        failures.append(f"{what} ({reason_of(error)})")
        return None


def train(setting: Setting) -> dict:
    """Train a small model on two classes of tones with the script for `accelerate launch`; return the row."""
    root = Path(recipes.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        write_tones(Path(folder, "tones"))
        options = {
            "corpus": "folder",
            "corpus_root": f"{folder}/tones",
            "output_dir": f"{folder}/run",
            "bf16": "true",
            "num_train_epochs": "3",
            "use_cpu": str(setting.device == "cpu").lower(),
        }
        command = [
            sys.executable,
            "-P",
            str(root.parent / "scripts" / "train.py"),
            str(root / "spoken" / "cross_attention.yaml"),
        ]
        command += [part for name, value in options.items() for part in (f"--{name}", value)]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        row = {"what": "cross_attention, bf16, 3 epochs", "s": time.perf_counter() - begin}
        if done.returncode:
            return row | {"result": done.stderr.strip().splitlines()[-1][:200]}
        results = json.loads(Path(folder, "run", "results.json").read_text())
    return row | {
        "result": "finished",
        "seconds of the run": results["seconds"],
        "test UA": results["metrics"]["test"]["ua"],
    }


def write_tones(folder: Path) -> None:
    """Write a corpus of tones in noise, whose pitch is the class, with `metadata.csv`."""
    import soundfile

    folder.mkdir()
    random, rows = np.random.default_rng(0), []
    for split, count in UTTERANCES.items():
        for number in range(count):
            label = list(TONES)[number % len(TONES)]
            times = np.arange(round(random.uniform(0.5, 2.0) * SAMPLING_RATE)) / SAMPLING_RATE
            tone = 0.3 * np.sin(2 * np.pi * TONES[label] * times) + random.normal(0, 0.03, len(times))
            soundfile.write(folder / f"{split}{number}.wav", tone, SAMPLING_RATE)
            rows.append([f"{split}{number}.wav", label, split, f"{split} {number % 4}", "a word or two"])
    with open(folder / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file_name", "label", "split", "speaker", "text"], *rows])
