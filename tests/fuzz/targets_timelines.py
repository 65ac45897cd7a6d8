"""Targets of timelines: RTTM files, and rows over time."""

from pathlib import Path
from random import Random
from typing import Any

from emofusion.inference.rttm import read_rttm
from emofusion.inference.speakers import plan_turns
from emofusion.inference.timeline import smooth

from .spoil_text import spoil_lines
from .target import Spoiled, Target

RTTM = """;; a comment
SPKR-INFO call 1 <NA> <NA> <NA> unknown agent <NA>
SPEAKER call 1 0.00 4.25 <NA> <NA> agent <NA> <NA>
SPEAKER call 2 3.50 2.50 <NA> <NA> customer <NA> <NA>
SPEAKER call 1 6.00 3.00 <NA> <NA> agent <NA> <NA>
SPEAKER other 1 0.00 1.00 <NA> <NA> agent <NA> <NA>
"""
SECONDS = 10.0


def build_rttm(folder: Path) -> Path:
    path = folder / "turns.rttm"
    path.write_text(RTTM)
    return path


def spoil_rttm(random: Random, path: Path, folder: Path) -> Spoiled:
    what, content = spoil_lines(random, path.read_text())
    spoiled = folder / path.name
    spoiled.write_bytes(content)
    return Spoiled(what, spoiled)


def follow_turns(path: Path) -> list[tuple[float, float, str | None]]:
    """Read turns, cut them into windows, and smooth made-up rows of them."""
    segments = plan_turns(read_rttm(path, "call.wav"), SECONDS, 2.0, 1.0, skip_overlap=True)
    rows = [{**segment, "scores": [{"label": "happy", "score": 0.5}]} for segment in segments]
    return [(one.start, one.end, one.speaker) for one in smooth(rows).stretches] if rows else []


def check_turns(answer: Any, intact: Any, spoiled: Spoiled) -> str | None:
    if any(not 0 <= start < end <= SECONDS for start, end, _ in answer):
        return f"spans outside of the recording: {answer}"
    return None


TARGETS = [Target("rttm", "inference", build_rttm, spoil_rttm, follow_turns, check_turns, weight=1)]
