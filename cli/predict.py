"""`emofusion predict`: recognise the emotion of a recording."""

from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..configuration.folder_checks import read_object
from ..configuration.plain_text import one_line, show_name
from ..inference.model_names import ADAPTER_CONFIG, CONFIG
from .commands import Parser, positive
from .lean_start import load_leanly
from .loading import AUTO, check_model, load_pipeline
from .model_options import add_model_options, say
from .predict_table import add_table_options, check_without_table, score_table
from .predict_timeline import add_timeline_options, recognise_over_time, wants_timeline
from .utterance_options import add_utterance_options, read_utterance
from .window_table import describe_windows, format_rows, mean_entries

# Seconds of a recording from which on the choice of a faster dtype saves more time than it takes: about 4 to 11 s for base-size
# encoders on a CPU with AMX.
PAYS_OFF = 20
SILENCE = "Nothing is heard in the recording (its amplitude is below -80 dB): the scores say nothing about a voice"


def run(argv: list[str]) -> None:
    """Print the answer of a model, and whether nothing is heard in the recording; with `--out` write a table of many."""
    parser = Parser("predict")
    add_model_options(parser, choice=f"; for a single recording only from {PAYS_OFF} s on")
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        nargs="*",
        help="path or URL of a recording: wav, mp3, mp4, ...; with --out any number of "
        "files, folders, globs and manifests (csv, jsonl, parquet)",
    )
    add_utterance_options(parser)
    parser.add_argument(
        "--window-seconds",
        type=positive,
        metavar="SECONDS",
        help="cut the recording into windows of this length; by default a recording that is too long for the model is cut "
        "into the longest that it takes",
    )
    parser.add_argument(
        "--hop-seconds", type=positive, metavar="SECONDS", help="distance between windows; by default their length"
    )
    parser.add_argument("--vad", action="store_true", help="cut the recording into segments with speech")
    parser.add_argument(
        "--word-times",
        action="store_true",
        help="let --transcriber time its words, and divide its text over the windows",
    )
    add_table_options(parser)
    add_timeline_options(parser)
    arguments = parser.parse_args(argv)
    over_time = wants_timeline(parser, arguments)
    options = _window_options(parser, arguments)
    load = partial(load_pipeline, arguments.folder, arguments.revision, arguments.transcriber, report=say)
    if arguments.out:
        score_table(parser, arguments, partial(load, dtype=arguments.dtype))
        return
    check_without_table(parser, arguments)
    inputs = read_utterance(arguments, next(iter(arguments.audio), None))
    dtype = None if arguments.dtype == AUTO and not pays_off(inputs) else arguments.dtype
    load = partial(load, device=arguments.device, dtype=dtype)
    if over_time:
        _print_windows(inputs["audio"], *recognise_over_time(arguments, inputs, load, options), arguments.timeline)
        return
    check_model(arguments.folder)
    recognise = load_leanly(load) if is_plain(arguments.folder, arguments.transcriber) else load()
    answer = recognise(inputs, allow_private_urls=arguments.allow_private_urls, **options)
    if arguments.vad or (options.get("window_seconds") and (len(answer) > 1 or arguments.window_seconds)):
        _print_windows(inputs["audio"] or arguments.video, answer, options)
        return
    answer = answer[0] if options.get("window_seconds") else answer
    entries = answer["scores"] + answer.get("dimensions", []) if isinstance(answer, dict) else answer
    print("\n".join(format_entries(entries)))
    if entries[0].get("silent") or (isinstance(answer, dict) and answer.get("silent")):
        others = " and ".join(name for name in ("text", "video") if inputs[name])
        print(f"{SILENCE}{f', they rest on the {others}' if others else ''}.")


def _window_options(parser: Parser, arguments: Namespace) -> dict[str, Any]:
    """Return the options of the pipeline that cut the recording, which by default is cut if it is too long.

    A text is that of the whole recording, which is then one utterance.
    """
    options = {"window_seconds": arguments.window_seconds, "hop_seconds": arguments.hop_seconds, "vad": arguments.vad}
    options = {name: value for name, value in options.items() if value}
    if not options and arguments.text is None and (arguments.audio or arguments.video):
        options = {"window_seconds": "auto"}
    if arguments.word_times and not arguments.transcriber:
        parser.error("argument --word-times needs --transcriber")
    words = {"transcriber_kwargs": {"return_timestamps": "word"}} if arguments.word_times else {}
    return options | words | ({"batch_size": arguments.batch_size} if options else {})


def _print_windows(name: str, rows: list[dict[str, Any]], options: dict[str, Any], picture: str | None = None) -> None:
    """Print how a recording was cut, its rows, and their mean for each speaker."""
    if not rows:
        without = f": {one_line(picture)} is not written" if picture else ""
        print(f"No speech is found in {one_line(name)}{without}.")
        return
    print(f"{describe_windows(name, rows, options)}\n")
    print("\n".join(format_rows(rows)))
    for speaker in dict.fromkeys(row.get("speaker") for row in rows):
        own = [row for row in rows if row.get("speaker") == speaker]
        of_speaker = "" if speaker is None else f" of {one_line(speaker)}"
        kinds = {bool(row.get("silent")) for row in own}
        print(f"\nMean over time{of_speaker}{', without silent windows' if len(kinds) == 2 else ''}:")
        print("\n".join(format_entries(mean_entries(own))))
    if all(row.get("silent") for row in rows):
        print(f"{SILENCE}.")


def format_entries(entries: list[dict[str, Any]]) -> list[str]:
    """Return a line for each class with its probability, and for each dimension with its value and scale.

    Args:
        entries: Entries of the pipeline.
    """
    names, lines = [show_name(entry["label"]) for entry in entries], []
    for name, entry in zip(names, entries, strict=True):
        share, number = entry["score"], f"{100 * entry['score']:5.1f} %"
        if scale := entry.get("scale"):
            lowest, highest = scale
            share = min(max((share - lowest) / (highest - lowest), 0.0), 1.0)
            number = f"{entry['score']:5.2f} of {lowest:g} to {highest:g}"
        lines.append(f"{name:<{max(map(len, names))}}  {number}  {'#' * round(40 * share)}".rstrip())
    return lines


def pays_off(inputs: Mapping[str, Any]) -> bool:
    """Return whether a recording is so long that the choice of a faster dtype saves time.

    Args:
        inputs: The utterance; a recording at a URL is taken for a short one.
    """
    from ..processing.input_errors import EXPECTED
    from ..processing.media import audio_seconds

    try:
        seconds = audio_seconds(inputs["audio"] or inputs["video"])
    except EXPECTED:  # the pipeline says what is wrong with it
        return False
    return seconds is None or seconds >= PAYS_OFF


def is_plain(folder: str, transcriber: str | None) -> bool:
    """Return whether base libraries suffice.

    Adapters, also those in a repository on the Hub, quantised weights and recognisers may need others.

    Args:
        folder: See `load_pipeline`.
        transcriber: See `load_pipeline`.
    """
    config = Path(folder, CONFIG)
    if transcriber or not config.is_file() or Path(folder, ADAPTER_CONFIG).is_file():
        return False
    return "quantization_config" not in read_object(config)
