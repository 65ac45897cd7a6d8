"""What is fuzzed: a target, an input that was spoiled, and the classes of what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any


class Verdict(StrEnum):
    """What became of an input. Only the first two are good."""

    RIGHT = "right answer"
    SENTENCE = "one-sentence error"
    FOREIGN = "foreign or multi-line error"
    TRACEBACK = "traceback"
    HANG = "hang"
    MEMORY = "out of memory"
    SILENT = "a different answer silently"


GOOD = (Verdict.RIGHT, Verdict.SENTENCE)


@dataclass(frozen=True)
class Spoiled:
    """A spoiled input.

    Args:
        what: What was done to it, for the report.
        value: What the target is called with.
        keeps: Whether the answer must be that for the intact input, if there is one at all.
    """

    what: str
    value: Any
    keeps: bool = False


def accept(answer: Any, intact: Any, spoiled: Spoiled) -> str | None:
    """Accept every answer that is the intact one where it must be."""
    return "another answer than for the intact input" if spoiled.keeps and answer != intact else None


@dataclass(frozen=True)
class Target:
    """One entry point.

    Args:
        name: Its name in reports and on the command line of the fuzzer.
        room: The folder of the repository that a fault is reported to.
        build: Writes what valid inputs need into an empty folder, once for all cases, and returns a valid input.
        spoil: Returns a spoiled input, with files in an empty folder if it needs any. It must not change the valid one.
        call: Calls the entry point, and returns its answer as plain values.
        check: Returns what is wrong with an answer, None if it is right; given the answer, that for the intact input,
            and the spoiled input.
        weight: Share of the cases, relative to other targets.
        lenient: Whether Python's own words for an argument of a wrong type will do; for functions that programmers call.
        by_library: Whether a library is called that calls us, whose own errors are not ours to mend.
    """

    name: str
    room: str
    build: Callable[[Path], Any]
    spoil: Callable[[Random, Any, Path], Spoiled]
    call: Callable[[Any], Any]
    check: Callable[[Any, Any, Spoiled], str | None] = accept
    weight: float = 1.0
    lenient: bool = False
    by_library: bool = False
