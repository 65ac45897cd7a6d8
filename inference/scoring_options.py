"""Options of scoring many recordings."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..processing.window_options import WindowOptions
from .rttm import list_rttm


@dataclass(frozen=True)
class ScoringOptions:
    """How recordings are scored.

    Args:
        window_seconds: The length of windows; None means the longest that the model takes, for recordings that are longer
            and have no text.
        hop_seconds: The distance between the starts of windows; None means `window_seconds`.
        vad: Whether recordings are cut into segments with speech, of at most `window_seconds`.
        word_times: Whether the transcriber gives the times of words, and its text is divided over the windows.
        transcriber: The name of the transcriber of the pipeline, which changes scores.
        batch_size: The largest number of utterances in a batch of the model.
        num_workers: The number of processes that decode recordings of one row; 0 means threads. Windows are read in threads.
        channels: Whether each channel of a recording is scored by itself, as a speaker.
        rttm: The turns of speakers, which are scored by themselves: an RTTM file, or a folder of them.
        skip_overlap: Whether to leave out what several speakers say at once.
        for_pictures: Whether recordings without a text and a span are cut as `choose_windows` says, if neither
            `window_seconds` nor `vad` are given.

    Raises:
        ValueError: If the windows are impossible, or `vad` and `rttm` are given.
    """

    window_seconds: float | None = None
    hop_seconds: float | None = None
    vad: bool = False
    word_times: bool = False
    transcriber: str | None = None
    batch_size: int = 8
    num_workers: int = 0
    channels: bool = False
    rttm: str | os.PathLike | None = None
    skip_overlap: bool = False
    for_pictures: bool = False

    def __post_init__(self):
        WindowOptions.from_options(self.of_pipeline())
        if self.vad and self.rttm is not None:
            raise ValueError("rttm gives segments and vad finds them: choose one of them.")

    @property
    def leaves_windows(self) -> bool:
        """Whether the windows are those of pictures, which depend on the model."""
        return self.for_pictures and self.window_seconds is None and not self.vad

    def of_pipeline(self) -> dict[str, Any]:
        """Return the options with which the pipeline cuts recordings itself."""
        hop = None if self.leaves_windows else self.hop_seconds
        windows = {"window_seconds": self.window_seconds, "hop_seconds": hop, "vad": self.vad or None}
        words = {"transcriber_kwargs": {"return_timestamps": "word"}} if self.word_times else {}
        return {name: value for name, value in windows.items() if value is not None} | words

    def describe(self) -> dict[str, Any]:
        """Return the options on which scores depend, as JSON; the transcriber is left out, which is identified by its files."""
        names = ("window_seconds", "hop_seconds", "vad", "word_times", "channels", "skip_overlap")
        turns = None if self.rttm is None else hash_files(list_rttm(self.rttm))
        pictures = {"timeline": True} if self.leaves_windows else {}  # absent in journals of older versions
        return {name: getattr(self, name) for name in names} | {"rttm": turns} | pictures


def hash_files(files: Iterable[Path]) -> str:
    """Return a hash of the names and contents of files.

    Args:
        files: The files.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.name) + b"\0")
        with open(file, "rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
