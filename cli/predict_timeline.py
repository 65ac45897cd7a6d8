"""`emofusion predict --rttm`, `--channels` and `--timeline`: the speakers of a recording, and a picture over time."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from .commands import Parser

OPTIONS = ("rttm", "channels", "timeline")


def add_timeline_options(parser: Parser) -> None:
    """Add the options.

    Args:
        parser: The parser of `emofusion predict`.
    """
    group = parser.add_argument_group("speakers and time")
    group.add_argument(
        "--rttm", metavar="FILE", help="turns of the speakers, in RTTM; with --out also a folder of such files"
    )
    group.add_argument(
        "--skip-overlap", action="store_true", help="with --rttm, leave out what several speakers say at once"
    )
    group.add_argument("--channels", action="store_true", help="each channel of the recording is a speaker")
    group.add_argument(
        "--timeline",
        metavar="PNG",
        help="picture to write: emotion over time, under the waveform; with --out a folder, for a picture of each recording",
    )
    group.add_argument(
        "--smooth",
        metavar="SECONDS",
        type=_seconds,
        help="standard deviation of the smoothing of --timeline in seconds (default: 1, more from 200 s on)",
    )


def wants_timeline(parser: Parser, arguments: argparse.Namespace) -> bool:
    """Return whether an option of this file is given for one recording; end with a sentence if it has no use.

    Args:
        parser: The parser of `emofusion predict`.
        arguments: The arguments.

    Raises:
        UsageError: If options do not fit each other.
    """
    given = [f"--{name}" for name in OPTIONS if getattr(arguments, name)]
    if arguments.rttm and arguments.vad:
        parser.error("--rttm gives segments and --vad finds them: choose one of them")
    if arguments.skip_overlap and not arguments.rttm:
        parser.error("--skip-overlap needs the turns of --rttm")
    if arguments.smooth is not None and not arguments.timeline:
        parser.error("--smooth is for the picture of --timeline")
    if given and not arguments.audio:
        parser.error(f"{given[0]} needs a recording: AUDIO")
    is_picture = (arguments.timeline or "").lower().endswith(".png")
    if arguments.timeline and not arguments.out and not is_picture:
        parser.error(f"--timeline writes a PNG: give it a name that ends in .png, not {arguments.timeline}")
    if arguments.out and is_picture:
        parser.error(
            f"--timeline writes a picture for each recording of --out: give it a folder, not {arguments.timeline}"
        )
    return bool(given) and not arguments.out


def recognise_over_time(
    arguments: argparse.Namespace, inputs: dict[str, Any], load: Callable[[], Any], options: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of a recording with the options that cut it, and draw its timeline if that is wanted.

    Args:
        arguments: The arguments.
        inputs: The utterance.
        load: A function that returns the pipeline.
        options: Options of the pipeline.

    Raises:
        ValueError: If the recording, the turns or the model cannot be used.
    """
    from ..corpora.atomic_write import check_file
    from ..inference.recording_pictures import measure_waveforms
    from ..inference.rttm import read_rttm
    from ..inference.speakers import recognise_speakers
    from ..inference.timeline import choose_windows
    from ..inference.timeline_picture import draw_timeline
    from ..processing.download import fetch
    from ..processing.utterance_reader import Limit
    from ..processing.window_options import AUTO

    if arguments.timeline:
        check_file(arguments.timeline)
    turns = read_rttm(arguments.rttm, inputs["audio"]) if arguments.rttm else None
    if turns == []:
        raise ValueError(f"{arguments.rttm} has no turns.")
    name, private = inputs["audio"], {"allow_private_urls": arguments.allow_private_urls}
    inputs = {**inputs, "audio": fetch(name, **private)}
    recognise = load()
    if arguments.timeline and not arguments.vad and arguments.window_seconds is None:
        window, hop = AUTO, None  # a text is that of the whole recording
        if inputs["text"] is None:
            window, hop = choose_windows(Limit.from_processor(recognise.processor).seconds, arguments.hop_seconds)
        options = {**options, "window_seconds": window, "hop_seconds": hop}
    if arguments.channels or turns is not None:
        rows = recognise_speakers(
            recognise, inputs, turns, arguments.channels, arguments.skip_overlap, **options, **private
        )
    else:
        rows = recognise(inputs, **options, **private)
    if arguments.timeline and rows:
        draw_timeline(arguments.timeline, rows, measure_waveforms(inputs["audio"], rows), arguments.smooth, str(name))
    return rows, dict(options)


def _seconds(text: str) -> float:
    """Read a number of seconds from 0."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0, not {text}")
    return value
