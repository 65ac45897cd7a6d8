"""`emofusion predict --rttm`, `--channels` and `--timeline`: the speakers of a recording, and a picture over time."""

import argparse
from collections.abc import Callable
from typing import Any

from ..configuration.plain_text import show_name
from .commands import Parser

OPTIONS = ("rttm", "channels", "timeline")
# Seconds of a window and between windows of a picture, if none are given (ours).
WINDOW, HOP = 4.0, 2.0


def add_timeline_options(parser: Parser) -> None:
    """Add the options.

    Args:
        parser: The parser of `emofusion predict`.
    """
    group = parser.add_argument_group("speakers and time of one recording")
    group.add_argument("--rttm", metavar="FILE", help="turns of the speakers, in RTTM")
    group.add_argument(
        "--skip-overlap", action="store_true", help="with --rttm, leave out what several speakers say at once"
    )
    group.add_argument("--channels", action="store_true", help="each channel of the recording is a speaker")
    group.add_argument("--timeline", metavar="PNG", help="picture to write: emotion over time, under the waveform")
    group.add_argument(
        "--smooth",
        metavar="S",
        type=_seconds,
        help="standard deviation of the smoothing of --timeline in seconds (default: 1, more from 200 s on)",
    )


def wants_timeline(parser: Parser, arguments: argparse.Namespace) -> bool:
    """Return whether an option of this file is given; end with a sentence if it has no use.

    Args:
        parser: The parser of `emofusion predict`.
        arguments: The arguments.

    Raises:
        UsageError: If options do not fit each other.
    """
    given = [f"--{name}" for name in OPTIONS if getattr(arguments, name)]
    if arguments.skip_overlap and not arguments.rttm:
        parser.error("--skip-overlap needs the turns of --rttm")
    if arguments.smooth is not None and not arguments.timeline:
        parser.error("--smooth is for the picture of --timeline")
    if given and arguments.out:
        parser.error(f"{given[0]} is for one recording, and --out is for a table of many: leave one of them out")
    if given and not arguments.audio:
        parser.error(f"{given[0]} needs a recording: AUDIO")
    if arguments.timeline and not arguments.timeline.lower().endswith(".png"):
        parser.error(f"--timeline writes a PNG: give it a name that ends in .png, not {arguments.timeline}")
    return bool(given)


def recognise_over_time(
    arguments: argparse.Namespace, inputs: dict[str, Any], load: Callable[[], Any]
) -> list[dict[str, Any]]:
    """Return the rows of a recording, and draw its timeline if that is wanted.

    Args:
        arguments: The arguments.
        inputs: The utterance.
        load: A function that returns the pipeline.

    Raises:
        ValueError: If the recording, the turns or the model cannot be used.
    """
    from ..corpora.atomic_write import check_file
    from ..inference.rttm import read_rttm
    from ..inference.speakers import recognise_speakers
    from ..inference.timeline_picture import draw_timeline
    from ..processing.download import fetch
    from ..processing.utterance_reader import Limit

    if arguments.timeline:
        check_file(arguments.timeline)
    turns = read_rttm(arguments.rttm, inputs["audio"]) if arguments.rttm else None
    if turns == []:
        raise ValueError(f"{arguments.rttm} has no turns.")
    name, private = inputs["audio"], arguments.allow_private_urls
    inputs = {**inputs, "audio": fetch(name, allow_private_urls=private)}
    recognise = load()
    windows = {"window_seconds": arguments.window_seconds, "hop_seconds": arguments.hop_seconds}
    if arguments.timeline and not any(windows.values()):
        window = min(WINDOW, Limit.from_processor(recognise.processor).seconds)
        windows = {"window_seconds": window, "hop_seconds": window * HOP / WINDOW}
    options = {"allow_private_urls": private, "batch_size": arguments.batch_size, **windows}
    if arguments.channels or turns is not None:
        rows = recognise_speakers(recognise, inputs, turns, arguments.channels, arguments.skip_overlap, **options)
    else:
        rows = recognise(inputs, **options)
    if arguments.timeline:
        draw_timeline(arguments.timeline, rows, _measure(inputs["audio"], rows), arguments.smooth, str(name))
    return rows


def format_rows(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line for each row: its times, its speaker, and the most probable class, or the dimensions.

    Args:
        rows: Rows of the pipeline.
    """
    from ..inference.time_axis import format_time

    width = max((len(show_name(row["speaker"])) for row in rows if "speaker" in row), default=0)
    lines = []
    for row in rows:
        start, end = (format_time(row[edge], step=0.1) for edge in ("start", "end"))
        speaker = f"{show_name(row.get('speaker', '')):<{width}}  " if width else ""
        lines.append(f"{start} - {end}  {speaker}{_describe(row)}")
    return lines


def _describe(row: dict[str, Any]) -> str:
    if row.get("silent"):
        return "(silence)"
    if "error" in row:
        return row["error"]
    classes = [entry for entry in row["scores"] if not entry.get("scale")]
    parts = [f"{show_name(entry['label'])} {100 * entry['score']:.1f} %" for entry in classes[:1]]
    rated = [*([] if classes else row["scores"]), *row.get("dimensions", ())]
    return "  ".join([*parts, *(f"{show_name(entry['label'])} {entry['score']:.2f}" for entry in rated)])


def _measure(audio: Any, rows: list[dict[str, Any]]) -> Any:
    """Return the envelope of a recording, or of each of its channels if the rows have them."""
    from ..inference.envelope import measure_envelope
    from ..inference.speakers import select_channel

    channels = sorted({row["channel"] for row in rows if "channel" in row})
    if not channels:
        return measure_envelope(audio)
    return {f"channel {number}": measure_envelope(select_channel(audio, number)) for number in channels}


def _seconds(text: str) -> float:
    """Read a number of seconds from 0."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0, not {text}")
    return value
