"""Timelines of many recordings: a picture for each."""

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ..configuration.plain_text import one_line
from ..processing.input_errors import EXPECTED
from .envelope import Envelope, measure_envelope
from .recording import Recording
from .speakers import select_channel
from .timeline_picture import draw_timeline

logger = logging.getLogger(__name__)

LONGEST_NAME = 240  # bytes of a name without its number and end; file systems take 255


def draw_recordings(
    folder: Path,
    recordings: Mapping[str, Recording],
    load: Callable[[Iterable[str]], list[dict[str, Any]]],
    seconds: float | None = None,
) -> int:
    """Draw the timeline of each recording, and return the number of pictures.

    A picture has the name of its recording with the end `.png`; where that is taken, a number is added. Rows of a manifest that are spans of one file are in one picture. A recording without rows with times has
    none, and one whose sound cannot be read is named in a warning.

    Args:
        folder: The folder of the pictures.
        recordings: The recordings by key.
        load: A function that returns the rows of the pipeline for keys.
        seconds: The standard deviation of the smoothing, see `draw_timeline`.
    """
    files, taken, drawn = {}, set(), 0
    for key, recording in recordings.items():
        if recording.audio or recording.video:
            files.setdefault(recording.audio or recording.video, []).append(key)
    for file, keys in tqdm(files.items(), desc="Drawing", unit="timeline", disable=None):
        name = _name_picture(Path(file).stem, taken)
        rows = [row for row in load(keys) if "scores" in row and {"start", "end"} <= row.keys()]
        if not rows:
            continue
        try:
            draw_timeline(folder / name, rows, measure_waveforms(file, rows), seconds, recordings[keys[0]].name)
            drawn += 1
        except EXPECTED as error:
            logger.warning("%s has no picture: %s", recordings[keys[0]].name, one_line(str(error)))
    return drawn


def _name_picture(stem: str, taken: set[str]) -> str:
    """Return a name that is not taken, also where names do not differ by their case, and take it."""
    while len(os.fsencode(stem)) > LONGEST_NAME:
        stem = stem[:-1]
    names = itertools.chain([f"{stem}.png"], (f"{stem}-{number}.png" for number in itertools.count(2)))
    name = next(name for name in names if name.casefold() not in taken)
    taken.add(name.casefold())
    return name


def measure_waveforms(audio: Any, rows: Sequence[Mapping[str, Any]]) -> Envelope | dict[str, Envelope]:
    """Return the envelope of a recording, or of each of its channels if the rows have them.

    Args:
        audio: The recording, as in `load_audio`.
        rows: Its rows.
    """
    channels = sorted({row["channel"] for row in rows if "channel" in row})
    if not channels:
        return measure_envelope(audio)
    return {f"channel {number}": measure_envelope(select_channel(audio, number)) for number in channels}
