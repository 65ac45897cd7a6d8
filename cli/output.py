"""Output of commands: text that every console can show, and progress bars on terminals only."""

import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..configuration.plain_text import format_seconds, one_line

# Read by tqdm, huggingface_hub (and so by transformers) and datasets when they are imported, which is later.
QUIET = ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")


def prepare_output() -> None:
    r"""Prepare the standard streams for the output of commands.

    Characters that the console cannot encode are written as escapes (`\u7206`), and lines appear in a
    file when they are printed. If the error stream is no terminal, the
    libraries show no progress bars; a variable of `QUIET` that the user has set is left as it is.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not if the stream is closed, or was replaced
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    if sys.stderr is None or not sys.stderr.isatty():
        for name in QUIET:
            os.environ.setdefault(name, "1")


def announce(doing: str, folder: str | os.PathLike | None = None, show: bool = True) -> float:
    """Print the sentence with which every run begins; return the time, for `conclude`.

    Args:
        doing: What is done, such as "Training cross_attention on spoken".
        folder: The folder for what is made, if it is known.
        show: Whether to print it; of several processes only the first does.
    """
    if show:
        print(f"{doing}." if folder is None else f"{doing}; the output folder is {folder}.", flush=True)
    return time.perf_counter()


def conclude(done: str, since: float, holds: str, commands: Sequence[str] = ()) -> None:
    """Print the sentences with which every run ends.

    Args:
        done: What was done, such as "Trained cross_attention on spoken".
        since: The time that `announce` returned.
        holds: A sentence about what was made, and where it is.
        commands: Commands to try next.
    """
    print(f"\n{done} in {format_seconds(time.perf_counter() - since)}.\n{holds}")
    if commands:
        print("\n".join(["Next:", *(f"  {command}" for command in commands)]))


def print_apart(line: str) -> None:
    """Print a line at once, between blank lines."""
    print(f"\n{line}\n", flush=True)


@contextmanager
def warnings_in_one_line(program: str) -> Iterator[None]:
    """Print warnings as `PROGRAM: Warning: ...` inside the context, without file, line number and code.

    Args:
        program: The command that warns.
    """
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *others: f"{program}: Warning: {one_line(message)}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
