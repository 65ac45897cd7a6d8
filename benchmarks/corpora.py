"""A synthetic IEMOCAP, as large as the real one and ten times as large: scanned, prepared, opened; time and memory.

Every figure is that of a new process, without the import of libraries; memory is with it. The files were just written, so
they are read from the system's cache, not from a disk.
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
from .measuring import table, timing
from .subprocess_run import in_child

TURNS = 10039
HEADER = 44  # bytes of a wav before its samples


def measure(quick: bool) -> list[dict]:
    """See `benchmarks`."""
    if quick:
        return [measure_corpus(60, 10, 1)]
    return [measure_corpus(TURNS, DIALOGUES, 5), measure_corpus(10 * TURNS, 10 * DIALOGUES, 1)]


def measure_corpus(turns: int, dialogues: int, repeats: int) -> dict:
    """Each step that a user waits for, beside what no implementation can do without."""
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
            results, peaks = zip(*(in_child(step, **arguments) for _ in range(times)), strict=True)
            seconds = [result["seconds"] for result in results]
            floor = floor or statistics.median(seconds)
            cpu = 1e3 * statistics.median(result["cpu"] for result in results)
            facts = {"CPU ms": cpu, "rows": results[-1]["rows"], "peak MB": max(peaks)}
            rows.append(timing(what, seconds, floor) | facts)
        _, idle = in_child(import_only)
    note = f"Ratio: to the floor. CPU: of both cores, whatever else the machine did. A process that imports the same and does nothing holds {idle:.0f} MB."
    return table(f"{turns:,} turns in {dialogues:,} dialogues, {files:,} files", rows, note)


def read_all(root: str) -> dict:
    """The floor: bytes only, nothing understood."""

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
    """What a process holds that does nothing."""


def scan(root: str) -> dict:
    """All rows, one after the other, none kept."""
    return timed(lambda: sum(1 for _ in IEMOCAP.scan(root, IEMOCAP.parse(classes="all")).rows))


def prepare_anew(root: str, out: str, again: bool = False) -> dict:
    """Paths only, and headers believed; `again` finds what is there."""
    if not again:
        shutil.rmtree(out, ignore_errors=True)
    return timed(lambda: prepare_corpus("iemocap", root, out, classes="all").metadata["rows"])


def open_and_read(folder: str) -> dict:
    """A prepared corpus and its last row."""

    def read() -> int:
        rows = open_prepared(folder).splits["train"]
        assert rows[-1]["id"]
        return len(rows)

    return timed(read)


def timed(call: Callable[[], int | None]) -> dict:
    """Seconds of a call by the clock, and of the processor; and the rows that it counts."""
    begin, cpu = time.perf_counter(), time.process_time()
    rows = call()
    return {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu, "rows": rows}
