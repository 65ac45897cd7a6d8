"""`emofusion predict --out`: a table of the scores of many recordings."""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from glob import has_magic
from typing import Any

from ..configuration.plain_text import format_seconds, is_url, one_line
from ..inference.recording import MANIFESTS
from .commands import IncompleteError, Parser, positive_int
from .model_options import say

# Options for one recording, which a table has as columns of a manifest.
OF_ONE = ("text", "video", "context", "speaker")
# Options that are for tables alone.
OF_TABLES = ("root", "num_workers", "engine", "workers")
# Options of `ScoringOptions`.
OPTIONS = (
    *("window_seconds", "hop_seconds", "vad", "word_times", "transcriber", "batch_size", "num_workers"),
    *("channels", "rttm", "skip_overlap"),
)


def add_table_options(parser: Parser) -> None:
    """Add the options of a table.

    Args:
        parser: The parser of `emofusion predict`.
    """
    group = parser.add_argument_group("table of many recordings")
    group.add_argument(
        "--out", metavar="FILE", help="table to write: .csv, .jsonl or .parquet; the same command continues it"
    )
    group.add_argument("--root", metavar="FOLDER", help="folder of the files that manifests name (default: their own)")
    group.add_argument(
        "--batch-size",
        metavar="N",
        type=positive_int,
        default=8,
        help="most utterances or windows in a batch of the model (default: 8)",
    )
    group.add_argument(
        "--num-workers", metavar="N", type=positive_int, default=0, help="processes that decode (default: threads)"
    )
    group.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: a job of Ray Data")
    group.add_argument("--workers", metavar="N", type=positive_int, default=2, help="workers of Ray (default: 2)")


def check_without_table(parser: Parser, arguments: argparse.Namespace) -> None:
    """End with a sentence if more than one recording, or an option of a table, is given without `--out`.

    Args:
        parser: The parser of `emofusion predict`.
        arguments: The arguments.

    Raises:
        UsageError: If that is so.
    """
    if len(arguments.audio) > 1:
        parser.error(f"{len(arguments.audio)} recordings are given: name a table for the scores with --out")
    for path in arguments.audio:
        is_one = os.path.isfile(path) or is_url(path) or not has_magic(path)
        if os.path.isdir(path) or path.lower().endswith(MANIFESTS) or not is_one:
            parser.error(
                f"argument AUDIO: {one_line(path)} is not one recording: name a table for its scores with --out"
            )
    for name in OF_TABLES:
        if getattr(arguments, name) != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} is for a table of many recordings: give --out too")


def score_table(parser: Parser, arguments: argparse.Namespace, load: Callable[..., Any]) -> None:
    """Write the table, and print what it has.

    Args:
        parser: The parser of `emofusion predict`.
        arguments: The arguments.
        load: See `emofusion.inference.scoring.Load`.

    Raises:
        IncompleteError: If rows are errors.
        UsageError: If the arguments are wrong.
    """
    for name in OF_ONE:
        if getattr(arguments, name) is not None:
            parser.error(f"--{name} is for one recording: with --out, give a manifest with a column for it")
    if arguments.allow_private_urls:
        parser.error("--allow-private-urls is for one recording: a table takes files, no URLs")
    if not arguments.audio:
        parser.error("--out needs recordings: files, folders, globs or manifests")
    from ..inference.scoring_options import ScoringOptions
    from ..inference.table_run import score_to_table

    if arguments.engine == "ray":
        load = partial(load, report=_say_for_workers)
    options = {name: getattr(arguments, name) for name in OPTIONS}
    options = ScoringOptions(**options, for_pictures=arguments.timeline is not None)
    began = time.perf_counter()
    summary = score_to_table(
        load,
        arguments.folder,
        arguments.audio,
        arguments.out,
        options,
        root=arguments.root,
        engine=arguments.engine,
        workers=arguments.workers,
        device=arguments.device,
        timelines=arguments.timeline,
        smoothing=arguments.smooth,
    )
    if summary is not None:
        print("\n".join(_describe(summary, arguments, format_seconds(time.perf_counter() - began))))
        if summary.errors:
            raise IncompleteError(
                f"{summary.errors} of {summary.rows} rows of {arguments.out} are errors, see its column error; the same command "
                "tries them again."
            )


def _say_for_workers(sentence: str) -> None:
    say(f"{sentence} The workers of Ray run in the same dtype, on a GPU each if the cluster has any.")


def _describe(summary: Any, arguments: argparse.Namespace, duration: str) -> list[str]:
    """Return what is printed at the end."""
    lines = [
        f"Scored {_count(summary.scored, 'recording')} in {duration}; {arguments.out} has {_count(summary.rows, 'row')}, "
        f"{format_seconds(summary.seconds)} of audio."
    ]
    if again := summary.recordings - summary.scored:
        lines.append(f"Scored before: {_count(again, 'recording')}.")
    if summary.cut:
        lines.append(
            f"Longer than the {summary.limit:g} s that this model takes: {_count(summary.cut, 'recording')} with a text, "
            f"scored by the first {summary.limit:g} s. Give rows for parts of it, with start and end, or leave the text out."
        )
    if summary.speechless:
        lines.append(
            f"Without speech: {_count(summary.speechless, 'recording')}{' or channels' if arguments.channels else ''}, in the table without "
            "scores."
        )
    if summary.duplicates:
        lines.append(f"Named again, without another row: {_count(summary.duplicates, 'recording')}.")
    if summary.others:
        lines.append(f"Left out, because the name is not that of a recording: {_count(summary.others, 'file')}.")
    if summary.pictures:
        lines.append(f"Drawn in {arguments.timeline}: {_count(summary.pictures, 'timeline')}.")
    if summary.has_no_turns:
        lines.append(
            "This model reads earlier turns, and no recording has any but its earlier windows: give a manifest with the column "
            "dialogue."
        )
    return lines


def _count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 row, 2 rows."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
