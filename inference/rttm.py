"""RTTM files: who speaks when in a recording.

Rich Transcription Time Marked, NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A:
one line for each turn, `SPEAKER <recording> <channel> <start> <duration> <NA> <NA> <speaker> <confidence> <lookahead>`.
"""

import logging
import math
import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import NamedTuple

from ..configuration.plain_text import show_some, show_value
from ..configuration.value_checks import read_number
from ..corpora.atomic_write import staged
from .folders import list_files

logger = logging.getLogger(__name__)

SPEAKER = "SPEAKER"
# Kinds of lines of RT-09 besides turns; they have the same fields, and say nothing about times of speakers.
OTHERS = {
    *("SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU", "CB"),
    *("A/P", "SPKR-INFO"),
}
FIELDS = (8, 10)  # the fewest and the most of a turn; some tools leave the last ones out
COMMENTS = (";", "#")
NOTHING = "<NA>"
DECIMALS = 3  # of written times


class Turn(NamedTuple):
    """A turn of a speaker.

    Attributes:
        recording: The recording's id: for most tools the name of its file without the ending.
        start: Its start in seconds.
        end: Its end in seconds.
        speaker: The speaker's name.
        channel: The number of the channel, 1 for the first; None if the file states none.
    """

    recording: str
    start: float
    end: float
    speaker: str
    channel: int | None = None


def read_rttm(path: str | Path, recording: str | None = None) -> list[Turn]:
    """Return the turns of an RTTM file, sorted by time.

    Empty lines, comments, and lines about anything but turns are passed over. A turn of 0 s is left out, with a warning.

    Args:
        path: The file, in UTF-8.
        recording: The path, name or id of a recording, whose turns alone are returned, see `find_id`. A file about one recording is taken for it under any id, with a warning.
            None returns all turns.

    Returns:
        The turns; none for a file without any.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no text, or a line is damaged, or if the file has turns of several recordings and none of this one.
    """
    turns, empty = [], 0
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                fields = line.split()
                if not fields or line.lstrip().startswith(COMMENTS):
                    continue
                turn = _read_line(fields, f"{path}, line {number}")
                if turn is not None and turn.end > turn.start:
                    turns.append(turn)
                elif turn is not None:
                    empty += 1
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no RTTM file: it is not a text in UTF-8.") from error
    if empty:
        logger.warning("%s: %d of its turns last 0 s, and are left out.", path, empty)
    if recording is not None:
        turns = _select(turns, path, recording)
    return sorted(turns, key=lambda turn: (turn.recording, turn.start, turn.end, turn.speaker))


def group_turns(path: str | Path) -> dict[str, list[Turn]]:
    """Return the turns of many recordings by their ids, each sorted by time.

    Args:
        path: An RTTM file, or a folder of files that end in `.rttm`, also in folders below it.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file is damaged, see `read_rttm`, there are no turns, or two files have turns of one recording.
    """
    found, places, files = {}, {}, list_rttm(path)
    if not files:
        raise ValueError(f"{path} has no file that ends in .rttm.")
    for file in files:
        for turn in read_rttm(file):
            if places.setdefault(turn.recording, file) != file:
                raise ValueError(
                    f"{places[turn.recording]} and {file} have turns of the recording {turn.recording}: remove one of them."
                )
            found.setdefault(turn.recording, []).append(turn)
    if not found:
        raise ValueError(f"{path} has no turns.")
    return found


def list_rttm(path: str | Path) -> list[Path]:
    """Return a file, or the files below a folder that end in `.rttm`; see `list_files`.

    Args:
        path: The file or the folder.

    Raises:
        OSError: If a folder cannot be read.
    """
    if not Path(path).is_dir():
        return [Path(path)]
    files = []
    for file, error in list_files(os.fspath(path)):
        if error is not None:
            raise error
        files += [Path(file)] * file.lower().endswith(".rttm")
    return files


def find_id(recording: str, known: Container[str]) -> str | None:
    """Return the id of a recording: the most of the end of its path that is known, with or without the ending of its name.

    Args:
        recording: Its path or name.
        known: The ids that have turns.
    """
    path = Path(recording)
    ends = [Path(*path.parts[first:]) for first in range(len(path.parts))]
    names = [str(recording), *(str(name) for end in ends for name in (end, end.with_suffix("")))]
    return next((name for name in names if name in known), None)


def write_rttm(path: str | Path, turns: Iterable[Turn]) -> None:
    """Write turns as an RTTM file, with times to the millisecond. The file is complete or absent.

    Args:
        path: The file, in an existing folder.
        turns: The turns.

    Raises:
        OSError: If it cannot be written.
        ValueError: If the name of a recording or speaker is empty or has blanks, which separate the fields, or a turn
            has no duration.
    """
    lines = []
    for turn in turns:
        for name in (turn.recording, turn.speaker):
            if not name or name.split() != [name] or name.startswith(COMMENTS):
                raise ValueError(f"{path}: the name {show_value(name)} is empty or has blanks: replace them by _.")
        start = round(turn.start, DECIMALS)
        duration = round(turn.end - start, DECIMALS)  # of the rounded start, so that turns in a row still meet
        if not (0 <= start < math.inf and 0 < duration < math.inf):
            raise ValueError(
                f"{path}: a turn of {turn.speaker} is from {turn.start} to {turn.end} s: it has no duration."
            )
        channel = 1 if turn.channel is None else turn.channel
        times = f"{start:.{DECIMALS}f} {duration:.{DECIMALS}f}"
        lines.append(
            f"{SPEAKER} {turn.recording} {channel} {times} {NOTHING} {NOTHING} {turn.speaker} {NOTHING} {NOTHING}\n"
        )
    path = Path(path)
    with staged(path.parent) as staging:
        (staging / path.name).write_text("".join(lines), encoding="utf-8")


def _read_line(fields: list[str], place: str) -> Turn | None:
    """Return the turn of a line; None if the line is about something else."""
    if fields[0] in OTHERS:
        return None
    if fields[0] != SPEAKER:
        raise ValueError(f"{place} begins with {show_value(fields[0])}, not {SPEAKER}: this is no RTTM file.")
    if not FIELDS[0] <= len(fields) <= FIELDS[1]:
        raise ValueError(
            f"{place} has {len(fields)} fields: a turn has {FIELDS[0]} to {FIELDS[1]}, and no name has blanks."
        )
    _, recording, channel, start, duration, _, _, speaker = fields[:8]
    first, length = (_read_seconds(text, place) for text in (start, duration))
    if first < 0 or length < 0:
        raise ValueError(f"{place} has a turn from {start} s of {duration} s: neither may be negative.")
    if channel != NOTHING and not (channel.isascii() and channel.isdigit()):
        raise ValueError(f"{place} has the channel {show_value(channel)}: it must be a whole number or {NOTHING}.")
    return Turn(recording, first, round(first + length, 6), speaker, None if channel == NOTHING else int(channel))


def _read_seconds(text: str, place: str) -> float:
    """Return a time."""
    seconds = read_number(text)
    if not math.isfinite(seconds):
        raise ValueError(f"{place} has the time {show_value(text)}: it must be a finite number of seconds.")
    return seconds


def _select(turns: list[Turn], path: str | Path, recording: str) -> list[Turn]:
    """Return the turns of one recording."""
    name, ids = Path(recording).name, {turn.recording for turn in turns}
    if (known := find_id(recording, ids)) is not None:
        return [turn for turn in turns if turn.recording == known]
    if len(ids) > 1:
        raise ValueError(
            f"{path} has turns of {len(ids)} recordings ({show_some(ids)}), and none of {Path(name).stem}: name the "
            "recording as in the file."
        )
    if ids:
        logger.warning("%s is about %s; its turns are taken for %s.", path, *ids, name)
    return turns
