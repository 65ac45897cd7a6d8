"""Measuring: times of repeated calls, memory of a process, and tables."""

import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Timing:
    """Seconds of the repeats of one call.

    Args:
        wall: Wall time of each repeat.
        processor: Processor time of each repeat, of all threads together.
    """

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def least(self) -> float:
        """The shortest repeat, in milliseconds: other load on the machine only ever adds to it."""
        return 1e3 * min(self.wall)

    @property
    def least_processor(self) -> float:
        """The least processor time of a repeat, in milliseconds."""
        return 1e3 * min(self.processor)

    @property
    def spread(self) -> float:
        """How much longer than the shortest repeat the median is, in percent."""
        return 100 * (statistics.median(self.wall) / min(self.wall) - 1)


def with_progress(items: Collection, title: str) -> Iterable:
    """Return the items, with a bar on a terminal that says how many of them are measured."""
    from tqdm.auto import tqdm

    return tqdm(items, title, unit=" measurements", disable=None, leave=False)


def time_in_turn(
    calls: Mapping[str, Callable[[], object]], repeats: int, finish: Callable[[], object] | None = None
) -> dict[str, Timing]:
    """Time calls in turn, so that other load on the machine affects all of them alike.

    Args:
        calls: Calls by name. Each is called once before it is timed, to load modules and fill caches.
        repeats: Number of rounds; every round times every call once.
        finish: A function that waits until a call has taken effect, as on a device; its time counts.
    """
    timings = {name: Timing() for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            if finish is not None:
                finish()
            begin, processor = time.perf_counter(), time.process_time()
            call()
            if finish is not None:
                finish()
            timings[name].wall.append(time.perf_counter() - begin)
            timings[name].processor.append(time.process_time() - processor)
    return timings


def compare(calls: Mapping[str, Callable[[], object]], repeats: int) -> list[dict]:
    """Time calls in turn.

    Args:
        calls: See `time_in_turn`.
        repeats: See `time_in_turn`.

    Returns:
        Rows of a table: median, minimum and maximum in milliseconds, the ratio of the median to that of the first call, and
        the least processor time.
    """
    timings = time_in_turn(calls, repeats)
    first = statistics.median(next(iter(timings.values())).wall)
    return [
        timing(name, measured.wall, first) | {"CPU ms": measured.least_processor} for name, measured in timings.items()
    ]


def timing(what: str, seconds: list[float], first: float) -> dict:
    """Return a row of a table.

    Args:
        what: Name of the row.
        seconds: Seconds of each repeat.
        first: Seconds to which the ratio is.
    """
    median = statistics.median(seconds)
    span = {"median ms": 1e3 * median, "least": 1e3 * min(seconds), "most": 1e3 * max(seconds)}
    return {"what": what, **span, "ratio": median / first}


def ratios(first: Timing, second: Timing) -> dict:
    """Return how many times as fast the second call is: by the least wall time, and by the least processor time."""
    return {
        "ratio": first.least / second.least,
        "CPU ratio": first.least_processor / second.least_processor,
        "spread %": max(first.spread, second.spread),
    }


def table(title: str, rows: list[dict], note: str = "") -> dict:
    """Return a table. Rows map names of columns to values; missing values stay empty."""
    return {"title": title, "rows": rows, "note": note}


def format_table(content: Mapping) -> str:
    """Return a table as Markdown with aligned columns, under its title."""
    rows = content["rows"]
    if not rows:
        return f"### {content['title']}\n\n{content['note']}"
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([_format(row.get(column)) for column in columns] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    texts = [all(isinstance(row.get(column, ""), str) for row in rows) for column in columns]
    heading, *lines = (
        "| "
        + " | ".join(_align(cell, width, text) for cell, width, text in zip(line, widths, texts, strict=True))
        + " |"
        for line in cells
    )
    rule = "".join(
        f"|{'-' * (width + 2)}" if text else f"|{'-' * (width + 1)}:"
        for width, text in zip(widths, texts, strict=True)
    )
    note = f"\n\n{content['note']}" if content["note"] else ""
    return "\n".join([f"### {content['title']}\n", heading, f"{rule}|", *lines]) + note


def _align(cell: str, width: int, is_text: bool) -> str:
    return cell.ljust(width) if is_text else cell.rjust(width)


def _format(value: str | float | None) -> str:
    """Return a number with about three significant digits."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def peak_memory() -> float:
    """Return the peak memory of this process in MB (10^6 bytes)."""
    # `resource` includes the memory of the parent when it started this process; on Linux, /proc has that of this one alone.
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def finisher(device: str) -> Callable[[], object] | None:
    """Return the function that waits until a device has done its work; None for the CPU, which never lags behind."""
    if device == "cpu":
        return None
    import torch

    return torch.cuda.synchronize


def conditions(device: str = "cpu") -> str:
    """Return a sentence with what a measurement on a device depends on, right after it."""
    import torch

    if device != "cpu":
        return f"{torch.cuda.get_device_name()}."
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"Threads: {torch.get_num_threads()}{load}."


def describe_machine() -> dict:
    """Return hardware, versions and load (of the last minute; 0 is an idle machine), on which the numbers depend."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    import torch
    import transformers

    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads of torch": torch.get_num_threads(),
        "load": load,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.is_file() else None
    return named[1] if named else platform.processor() or platform.machine()
