"""`emofusion predict`: recognise the emotion of a recording."""

from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..configuration.folder_checks import check_folder, read_object
from ..configuration.plain_text import one_line, show_name
from .commands import Parser, positive
from .lean_start import load_leanly
from .predict_table import add_table_options, score_table
from .predict_timeline import add_timeline_options, recognise_over_time, wants_timeline
from .utterance_options import add_utterance_options, read_utterance
from .window_table import describe_windows, format_rows, mean_entries

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
BATCH_SIZE = 8  # windows; a CPU gains nothing from more (docs/pipeline.md)
SILENCE = "Nothing is heard in the recording (its amplitude is below -80 dB): the scores say nothing about a voice"


def run(argv: list[str]) -> None:
    """Print the answer of a model, and whether nothing is heard in the recording; with `--out` write a table of many."""
    parser = Parser("predict")
    parser.add_argument("folder", metavar="FOLDER", help="folder of a trained model, or its name on the Hub")
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        nargs="*",
        help="path or URL of a recording: wav, mp3, mp4, ...; with --out any number of "
        "files, folders, globs and manifests (csv, jsonl, parquet)",
    )
    add_utterance_options(parser)
    parser.add_argument(
        "--transcriber", metavar="MODEL", help="speech recogniser on the Hub that makes the transcript"
    )
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
    load = partial(load_pipeline, arguments.folder, arguments.revision, arguments.transcriber)
    if arguments.out:
        score_table(parser, arguments, partial(load, dtype="auto"))
        return
    if len(arguments.audio) > 1:
        parser.error(f"{len(arguments.audio)} recordings are given: name a table for the scores with --out")
    inputs = read_utterance(arguments, next(iter(arguments.audio), None))
    if over_time:
        _print_windows(inputs["audio"], *recognise_over_time(arguments, inputs, load, options), arguments.timeline)
        return
    answer = predict(
        *(arguments.folder, inputs, arguments.revision, arguments.transcriber, arguments.allow_private_urls, options)
    )
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
    return options | words | ({"batch_size": BATCH_SIZE} if options else {})


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


def predict(
    folder: str,
    inputs: dict[str, str | None],
    revision: str | None = None,
    transcriber: str | None = None,
    allow_private_urls: bool = False,
    options: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]] | dict[str, list[dict[str, Any]]]:
    """Return the answer of the pipeline: an entry with `label` and `score` for each class, highest first, or dimension.

    A model of both gives a dict, with the classes as `scores`, and the `dimensions`.

    Args:
        folder: Folder of a trained model, or its name on the Hub.
        inputs: Path of a recording (`"audio"`), its transcript (`"text"`), path of a video (`"video"`); None for each
            that is missing. `context` and `speaker` as in the pipeline. A fusion model needs one of its modalities; modalities that it does not take are ignored.
        revision: Branch, tag or commit of the Hub repository.
        transcriber: Hub name or folder of a speech recogniser that makes the transcript if none is given.
        allow_private_urls: Whether URLs may lead to this machine and to private networks.
        options: Further options of the call, such as `window_seconds`, with which the answer is a list of rows.

    Raises:
        RuntimeError: If the model fails.
        ValueError: If the folder does not exist or holds no model, or no input of a modality that it takes is given.
    """
    check_model(folder)
    load = partial(load_pipeline, folder, revision, transcriber)
    classify = load_leanly(load) if is_plain(folder, transcriber) else load()
    return classify(inputs, allow_private_urls=allow_private_urls, **options or {})


def load_pipeline(
    folder: str,
    revision: str | None = None,
    transcriber: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Any:
    """Return the pipeline of a model.

    Args:
        folder: See `predict`.
        revision: See `predict`.
        transcriber: See `predict`.
        device: The device of the model; None means a GPU if there is one.
        dtype: See `load_model`.

    Raises:
        ValueError: See `predict`.
    """
    check_model(folder)
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, processor = load_model(folder, revision or "main", dtype)
    return pipeline("emotion-recognition", model=model, processor=processor, transcriber=transcriber, device=device)


def check_model(folder: str) -> None:
    """Check that a folder holds a model; a name on the Hub is not checked.

    Args:
        folder: See `predict`.

    Raises:
        ValueError: If it holds none.
    """
    if Path(folder).exists() and not any(Path(folder, name).is_file() for name in (CONFIG, ADAPTER_CONFIG)):
        raise ValueError(f"{folder} holds no model: it has no config.json.")
    check_folder(folder)


def is_plain(folder: str, transcriber: str | None) -> bool:
    """Return whether base libraries suffice.

    Adapters, also those in a repository on the Hub, quantised weights and recognisers may need others.

    Args:
        folder: See `predict`.
        transcriber: See `predict`.
    """
    config = Path(folder, CONFIG)
    if transcriber or not config.is_file() or Path(folder, ADAPTER_CONFIG).is_file():
        return False
    return "quantization_config" not in read_object(config)


def load_model(folder: str, revision: str = "main", dtype: str | None = None) -> tuple[Any, Any]:
    """Return the model and the processor of a folder, or of a repository on the Hub.

    Args:
        folder: See `predict`.
        revision: See `predict`.
        dtype: The dtype of the weights; `"auto"` chooses the fastest, which pays off from some recordings on. None means that of
            one recording.

    Raises:
        ValueError: If one of them cannot be loaded.
    """
    from transformers import AutoModelForAudioClassification, AutoProcessor

    try:
        if Path(folder, ADAPTER_CONFIG).is_file():  # older transformers load only parts of it
            from ..training.adapters.loading import load_adapters

            model = load_adapters(folder)
        else:
            model = AutoModelForAudioClassification.from_pretrained(
                folder, revision=revision, dtype=dtype or _choose_dtype(folder)
            )
    except OSError as error:
        if Path(folder).exists():
            raise
        raise ValueError(f"{folder} is no folder here, and does not load from the Hub: {error}") from error
    try:
        return model, AutoProcessor.from_pretrained(folder, revision=revision)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:  # of many kinds, for damaged files
        reason = str(error) if folder in str(error) else f"{folder}: the processor cannot be loaded: {error}"
        raise ValueError(reason) from error


def _choose_dtype(folder: str) -> str:
    """Return the dtype that was saved. A faster one takes longer to choose than it saves with one recording."""
    config = Path(folder, CONFIG)
    return "float32" if config.is_file() and read_object(config).get("dtype") == "float32" else "auto"
