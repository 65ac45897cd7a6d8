"""Which cases run, in which environment, and how an outcome is shown."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .running import Outcome
    from .target import Target

REPEAT = "PYTHONPATH=tests .venv/bin/python -m fuzz"

# Variables of the folders in which libraries keep what can be made again.
CACHES = ("HF_HOME", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR")


def set_environment(folder: Path) -> None:
    """Keep all libraries off the network and out of the user's caches; to be called before they are imported."""
    for name in CACHES:
        (folder / "caches" / name).mkdir(parents=True)
    os.environ.update(
        {name: str(folder / "caches" / name) for name in CACHES},
        HF_HUB_OFFLINE="1",
        CUDA_VISIBLE_DEVICES="",
        OMP_NUM_THREADS="1",
        TOKENIZERS_PARALLELISM="false",
        TQDM_MONITOR_INTERVAL="0",
    )
    warnings.simplefilter("ignore")


def plan_cases(targets: "Iterable[Target]", chosen: Iterable[str], cases: int) -> dict[str, list[int]]:
    """Return the numbers of the cases of each target.

    Args:
        targets: All targets.
        chosen: Names of targets, or of cases as TARGET:NUMBER; all targets if empty.
        cases: How many cases there are in all, if no single ones are chosen.
    """
    weights = {target.name: target.weight for target in targets}
    planned: dict[str, list[int]] = {}
    for name, _, number in (entry.partition(":") for entry in chosen):
        if name not in weights:
            raise SystemExit(f"There is no target {name!r}; the targets are {', '.join(weights)}.")
        planned.setdefault(name, []).extend([int(number)] if number else [])
    planned = planned or {name: [] for name in weights}
    open_ones = [name for name, numbers in planned.items() if not numbers]
    total = sum(weights[name] for name in open_ones)
    for name in open_ones:
        planned[name] = list(range(max(1, round(cases * weights[name] / total))))
    return planned


def describe(outcome: "Outcome", seed: int, trace: bool = False) -> str:
    """Return an outcome as one line with the command that repeats it; with `trace`, where its error comes from."""
    text = " ".join(outcome.text.split())
    line = f"{outcome.verdict.upper()}: {outcome.what} -> {text[:400]}"
    line = f"{line.encode('ascii', 'backslashreplace').decode()}  [{REPEAT} --seed {seed} {outcome.target}:{outcome.number}]"
    return f"{line}\n{outcome.trace}" if trace and outcome.trace else line
