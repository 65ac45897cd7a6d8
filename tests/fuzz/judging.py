"""Put answers and errors into their classes."""

import builtins
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import emofusion

from .target import Verdict

ROOT = Path(emofusion.__file__).resolve().parent
EXPECTED = (ValueError, TypeError, OSError, ImportError)
# What the door says of an error that nobody foresaw.
DEFECT = re.compile(r"defect|bug in emofusion|unexpected error", re.IGNORECASE)
PROGRAM = re.compile(r"emofusion( [a-z-]+)?: ")
# Where the door has saved the traceback of a defect.
SAVED = re.compile(r"traceback in (\S+\.txt)")
NO_MEMORY = re.compile(r"can't allocate|cannot allocate|unable to allocate|out of memory|MemoryError|bad_alloc", re.I)
# What `pipeline` of transformers makes of an error in a loader: a text of many lines that ends with the error.
WRAPPED = re.compile(r"^Could not load model .*^(\w[\w.]*): ([^\n]*)\s*\Z", re.DOTALL | re.MULTILINE)
# How a sentence of ours begins that ends with the reason that a library gave: with a file, an argument or a noun.
NAMED = re.compile(r"(/|\.|[\w.-]+(\[[^\]]*\])?:|[\w./-]+\.\w{2,}\b|An? |The |There ).*: ")
SHOWN = 1200  # characters of an error in a report


def judge_answer(answer: Any, problem: str | None) -> tuple[Verdict, str]:
    """Return the class of an answer, and the answer or what is wrong with it."""
    if isinstance(answer, Ended):
        return answer.judge(problem)
    return (Verdict.SILENT, problem) if problem else (Verdict.RIGHT, repr(answer)[:200])


def judge_error(error: BaseException, lenient: bool = False, by_library: bool = False) -> tuple[Verdict, str]:
    """Return the class of an exception, and how it reads.

    Args:
        error: The exception.
        lenient: Whether Python's own `TypeError` is a sentence.
        by_library: Whether the entry point is that of a library, whose own errors are not ours to mend.
    """
    text, message, kind = f"{type(error).__name__}: {error}", str(error), type(error)
    if wrapped := WRAPPED.match(message):
        message, text = wrapped[2], f"{wrapped[1]}: {wrapped[2]}"
        kind = getattr(builtins, wrapped[1], type(None))
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return Verdict.MEMORY, text[:SHOWN]
    if by_library and is_of_library(error):
        return Verdict.SENTENCE, text[:SHOWN]
    if not issubclass(kind, EXPECTED):
        return Verdict.TRACEBACK, text[:SHOWN]
    if lenient and kind is TypeError and "\n" not in text:
        return Verdict.SENTENCE, text
    is_plain = getattr(builtins, kind.__name__, None) is kind and not issubclass(kind, UnicodeError)
    if not (is_plain or kind.__module__.startswith("emofusion")) or not is_sentence(message):
        return Verdict.FOREIGN, text[:SHOWN]
    return Verdict.SENTENCE, text


def is_of_library(error: BaseException) -> bool:
    """Return whether a library failed before it called any code of ours, as `AutoProcessor` may on a broken file."""
    paths = [os.path.realpath(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    paths = [os.path.relpath(path, ROOT) for path in paths if "site-packages" not in path]
    return bool(paths) and all(path.startswith(("tests", os.pardir)) for path in paths)


def is_sentence(message: str) -> bool:
    """Return whether a message is one line that reads as a sentence of ours."""
    if "\n" in message.strip() or "[Errno" in message or "Traceback" in message:
        return False
    return message.rstrip().endswith((".", "?", "!", ".)", "`", "--help")) or bool(NAMED.match(message))


class Ended(dict):
    """How a command ended: its `status`, what it wrote to `out` and `err`, and the `trace` of a defect."""

    def judge(self, problem: str | None) -> tuple[Verdict, str]:
        """Return the class, and what was printed."""
        status, error = self["status"], self["err"].strip()
        if status == 0:
            return (Verdict.SILENT, problem) if problem else (Verdict.RIGHT, repr(self["out"][-200:]))
        text = f"status {status}: {error[-SHOWN:]}"
        if NO_MEMORY.search(error):
            return Verdict.MEMORY, text
        if DEFECT.search(error) or "Traceback (most" in error:
            return Verdict.TRACEBACK, text
        message = PROGRAM.match(error)
        good = status in (1, 2) and message is not None and is_sentence(error[message.end() :])
        return (Verdict.SENTENCE if good else Verdict.FOREIGN), text


def run_command(argv: list[str]) -> Ended:
    """Run `emofusion` in this process, whose streams are files, as the runner makes them."""
    from emofusion.cli.main import main

    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    sys.stdout.flush()
    sys.stderr.flush()
    ended = Ended(status=status, **{name: _read(number) for number, name in ((1, "out"), (2, "err"))})
    if (saved := SAVED.search(ended["err"])) and Path(saved[1]).is_file():
        ended["trace"] = Path(saved[1]).read_text()
    return ended


def _read(number: int) -> str:
    return os.pread(number, 2**20, 0).decode("utf-8", "replace")
