"""Time from the start of Python until `import emofusion`, and until the help of each command is printed."""

import statistics
import subprocess
import sys
import time

from .measuring import table

REPEATS = 5
PACKAGE = __package__.partition(".")[0]


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    commands = {"python": ["-c", ""], f"import {PACKAGE}": ["-c", f"import {PACKAGE}"]}
    commands |= {f"{PACKAGE} --help": ["-m", PACKAGE, "--help"]}
    if not quick:
        overview = subprocess.run([sys.executable, "-P", "-m", PACKAGE, "--help"], stdout=subprocess.PIPE, text=True)
        names = [line.split()[0] for line in overview.stdout.splitlines() if line.startswith("  ")]
        commands |= {f"{PACKAGE} {name} --help": ["-m", PACKAGE, name, "--help"] for name in names}
    rows = time_commands(commands, 1 if quick else REPEATS)
    return [table("Start of a process", rows, "Wall time, after one run that fills the caches of the file system.")]


def time_commands(commands: dict[str, list[str]], repeats: int) -> list[dict]:
    """Time Python processes in turn, so that other load on the machine affects all of them alike.

    Args:
        commands: Arguments of Python by the name of the row.
        repeats: Number of rounds after the first, which is not timed.
    """
    times = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, arguments in commands.items():
            begin = time.perf_counter()
            # Without -P, Python would first look for libraries in the working folder.
            subprocess.run([sys.executable, "-P", *arguments], stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - begin)
    return [
        {"what": name, "median s": statistics.median(timed), "least": min(timed), "most": max(timed)}
        for name, (_, *timed) in times.items()
    ]
