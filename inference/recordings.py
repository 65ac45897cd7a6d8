"""Recordings to score: files, folders and globs that the user names, and the rows of manifests."""

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..configuration.plain_text import UNPRINTABLE, is_url
from .folders import list_files
from .manifests import read_manifest
from .recording import MANIFESTS, Recording

# Files of a folder that are recordings, by the end of their name; whether one can be read is seen when it is read.
AUDIO = (
    *(".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg"),
    *(".opus", ".w64", ".wav", ".wma"),
)
VIDEO = (".3gp", ".asf", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")


class Found(NamedTuple):
    """Recordings to score.

    Attributes:
        recordings: Each once, by its key, in the order in which they were found.
        duplicates: The number of recordings that were found again.
        others: The number of files in folders that are no recordings.
    """

    recordings: dict[str, Recording]
    duplicates: int
    others: int


def find_recordings(paths: Iterable[str | os.PathLike], root: str | os.PathLike | None = None) -> Found:
    """Return the recordings that paths name.

    Args:
        paths: Files; folders, with all folders below them; globs, where `**` stands for any folders; and manifests (see
            `read_manifest`), by the end of their name.
        root: The folder of the files that manifests name; None means the folder of each manifest.

    Raises:
        FileNotFoundError: If a path does not exist, or a glob names nothing.
        ValueError: If a path is a URL, a manifest cannot be read, or nothing is found.
    """
    found, duplicates, others = {}, 0, 0
    for path in map(os.fspath, paths):
        for recording in _list_path(path, root):
            if recording is None:
                others += 1
                continue
            key = make_key(recording)
            duplicates += key in found
            found.setdefault(key, recording)
    if not found:
        hint = f": the {others} files found have other names than {', '.join(AUDIO[:3])}, ..." if others else ""
        raise ValueError(f"There is no recording in {' and '.join(map(printable, map(os.fspath, paths)))}{hint}.")
    return Found(found, duplicates, others)


def make_key(recording: Recording) -> str:
    """Return a key that changes with what is scored: the files, their sizes and times, the span, the text and the speaker.

    Args:
        recording: The recording.
    """
    states = [_state(path) for path in (recording.audio, recording.video)]
    # As ASCII, in which also names that are not UTF-8 can be written.
    fields = recording._replace(name="" if recording.audio or recording.video else recording.name)
    return hashlib.sha256(json.dumps([fields, states]).encode("ascii")).hexdigest()[:24]


def _state(path: str | None) -> tuple[int, int] | None:
    """Return size and time of a file, None if there is none."""
    try:
        status = os.stat(path) if path is not None else None
    except (OSError, ValueError):
        return None
    return status and (status.st_size, status.st_mtime_ns)


def printable(path: str) -> str:
    r"""Return a path as text that every file can hold: bytes that are not UTF-8, and control characters, as `\xff`."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _list_path(path: str, root: str | os.PathLike | None) -> Iterator[Recording | None]:
    """Yield the recordings of one path, and None for each file that is none."""
    if os.path.isdir(path):
        yield from _list_folder(path)
    elif os.path.lexists(path):
        yield from read_manifest(Path(path), root) if path.lower().endswith(MANIFESTS) else [_from_file(path)]
    elif is_url(path):
        raise ValueError(f"{printable(path)} is a URL: download the file, and name it.")
    elif glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise FileNotFoundError(f"{printable(path)} names no file.")
        for match in matches:
            if "**" not in path or not os.path.isdir(match):  # `**` names what is in a folder besides the folder
                yield from _list_path(match, root)
    else:
        raise FileNotFoundError(f"{printable(path)} does not exist.")


def _list_folder(top: str) -> Iterator[Recording | None]:
    """Yield the recordings below a folder, as `_list_path`. A folder that cannot be read is one with an error."""
    for path, error in list_files(top):
        if error is not None:
            yield Recording(printable(path), error=f"The folder cannot be read: {error.strerror}.")
        else:
            yield _from_file(path) if path.lower().endswith((*AUDIO, *VIDEO)) else None


def _from_file(path: str) -> Recording:
    absolute = os.path.abspath(path)
    video = absolute if path.lower().endswith(VIDEO) else None
    return Recording(printable(os.path.normpath(path)), audio=absolute, video=video)
