"""Time and memory of scanning, preparing and opening a synthetic IEMOCAP, of the real size and ten times larger.

Every step runs in a new process. Times exclude the import of libraries; memory includes it. The files were just written, so
they are read from the page cache of the system, not from a disk.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..corpora.iemocap.corpus import IEMOCAP
from ..corpora.preparation.prepared_folder import open_prepared
from ..corpora.registry import prepare_corpus
from .iemocap_tree import DIALOGUES, build_tree
from .measuring import peak_memory, table, timing
from .subprocess_run import run_in_subprocess

TURNS = 10039
HEADER = 44  # bytes of a wav before its samples


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    if quick:
        return [measure_corpus(60, 10, 1, run_here)]
    return [measure_corpus(TURNS, DIALOGUES, 5), measure_corpus(10 * TURNS, 10 * DIALOGUES, 1)]


def run_here(step: Callable, **arguments: str) -> tuple:
    """Return the result of a step in this process, and the peak memory of the process so far in MB."""
    return step(**arguments), peak_memory()


def measure_corpus(turns: int, dialogues: int, repeats: int, run: Callable = run_in_subprocess) -> dict:
    """Return the table of one corpus: each step, compared with the floor, which only lists and reads the files.

    Args:
        turns: Number of turns.
        dialogues: Number of dialogues.
        repeats: How often each step runs.
        run: A function that runs a step, and returns its result and the peak memory of the process.
    """
    with tempfile.TemporaryDirectory() as folder:
        root, place = Path(folder, "corpus"), {"root": f"{folder}/corpus", "out": f"{folder}/prepared"}
        files = build_tree(root, turns, dialogues)
        steps = [
            ("floor: list, read texts and headers", read_all, {"root": place["root"]}, repeats),
            ("scan", scan, {"root": place["root"]}, repeats),
            ("prepare", prepare_anew, place, repeats),
            ("prepare again, unchanged", prepare_anew, place | {"again": True}, repeats),
            ("open", open_and_read, {"folder": place["out"]}, repeats),
        ]
        rows, floor = [], None
        for what, step, arguments, times in steps:
            results, peaks = zip(*(run(step, **arguments) for _ in range(times)), strict=True)
            seconds = [result["seconds"] for result in results]
            floor = floor or statistics.median(seconds)
            cpu = 1e3 * statistics.median(result["cpu"] for result in results)
            others = {"CPU ms": cpu, "rows": results[-1]["rows"], "peak MB": max(peaks)}
            rows.append(timing(what, seconds, floor) | others)
        _, idle = run(import_only)
    note = f"Ratio: to the floor. CPU: processor time of the process. A process that only imports the same modules takes {idle:.0f} MB."
    return table(f"{turns:,} turns in {dialogues:,} dialogues, {files:,} files", rows, note)


def read_all(root: str) -> dict:
    """Measure the floor: list and read the files, parse nothing."""

    def read() -> None:
        folders = [root]
        while folders:
            for entry in os.scandir(folders.pop()):
                if entry.is_dir():
                    folders.append(entry.path)
                elif not entry.name.endswith(".avi"):
                    with open(entry.path, "rb", buffering=0) as file:
                        file.read(HEADER if entry.name.endswith(".wav") else -1)

    return timed(read)


def import_only() -> None:
    """Do nothing: measures the memory of the imports."""


def scan(root: str) -> dict:
    """Scan all rows, without keeping them."""
    return timed(lambda: sum(1 for _ in IEMOCAP.scan(root, IEMOCAP.parse(classes="all")).rows))


def prepare_anew(root: str, out: str, again: bool = False) -> dict:
    """Prepare without decoding; with `again`, the folder is already prepared."""
    if not again:
        shutil.rmtree(out, ignore_errors=True)
    return timed(lambda: prepare_corpus("iemocap", root, out, classes="all").metadata["rows"])


def open_and_read(folder: str) -> dict:
    """Open a prepared corpus and read its last row."""

    def read() -> int:
        rows = open_prepared(folder).splits["train"]
        assert rows[-1]["id"]
        return len(rows)

    return timed(read)


def timed(call: Callable[[], int | None]) -> dict:
    """Return wall-clock and processor seconds of a call, and the number of rows that it returns."""
    begin, cpu = time.perf_counter(), time.process_time()
    rows = call()
    return {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu, "rows": rows}
