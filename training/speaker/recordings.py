"""Recordings of speakers in folders, as VoxCeleb has them, and trial lists that compare two recordings."""

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch

from ...processing.media import load_audio

SUFFIXES = {".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus"}


class Trial(NamedTuple):
    """One comparison: whether both recordings are of one speaker, and their paths inside the tree."""

    same: bool
    first: str
    second: str


def read_tree(root: str | Path) -> dict[str, list[str]]:
    """The recordings of every speaker.

    Args:
        root: folder with recordings as `<speaker>/<video>/<recording>`, such as `id10001/1zcIwhmdeo4/00001.wav`.

    Returns:
        Speaker -> paths relative to `root`, all sorted.

    Raises:
        ValueError: if there is no such recording.
    """
    root, tree = Path(root), {}
    for file in sorted(root.glob("*/*/*")):
        if file.suffix.lower() in SUFFIXES:
            path = file.relative_to(root)
            tree.setdefault(path.parts[0], []).append(path.as_posix())
    if not tree:
        raise ValueError(f"{root} has no recordings as <speaker>/<video>/<recording>, with one of {sorted(SUFFIXES)}.")
    return tree


def read_trials(file: str | Path, root: str | Path) -> list[Trial]:
    """The trials of a list with lines `label path path`; label 1 is one speaker, 0 two.

    Args:
        file: the list.
        root: the tree in which the recordings lie.

    Raises:
        FileNotFoundError: if the list, or a recording, does not exist.
        ValueError: if a line is of another form, or a path leads out of the tree; file and line are named.
    """
    file, root, trials, found = Path(file), Path(root).resolve(), [], set()
    if not file.is_file():
        raise FileNotFoundError(f"There is no trial list {file}.")
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        where, fields = f"{file}, line {number}", line.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[0] not in ("0", "1"):
            raise ValueError(f"{where}: {line.strip()!r} is not '0 path path' or '1 path path'.")
        for path in fields[1:]:
            if path not in found:
                _check_recording(path, root, where)
                found.add(path)
        trials.append(Trial(fields[0] == "1", fields[1], fields[2]))
    if {trial.same for trial in trials} != {True, False}:
        raise ValueError(f"{file} needs trials of one speaker (1) and of two (0).")
    return trials


def _check_recording(path: str, root: Path, where: str) -> None:
    pure = PurePosixPath(path)
    recording = root / pure
    if pure.is_absolute() or ".." in pure.parts or not recording.resolve().is_relative_to(root):
        raise ValueError(f"{where}: {path} leads out of {root}; name recordings by their path inside it.")
    if not recording.is_file():
        raise FileNotFoundError(f"{where}: {recording} does not exist.")


def split_recordings(
    tree: Mapping[str, Sequence[str]], share: float, seed: int
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Recordings to train on, and of every speaker some held out: a `share` of them, one at least, never all.

    Args:
        tree: speaker -> recordings.
        share: of a speaker's recordings, from 0 (none is held out) to below 1.
        seed: which ones is drawn from it.

    Returns:
        Twice pairs of a recording and the number of its speaker in the order of `tree`.
    """
    rng, training, held_out = random.Random(seed), [], []
    for number, recordings in enumerate(tree.values()):
        count = min(max(round(share * len(recordings)), 1), len(recordings) - 1) if share else 0
        chosen = set(rng.sample(range(len(recordings)), count))
        for index, recording in enumerate(recordings):
            (held_out if index in chosen else training).append((recording, number))
    return training, held_out


class SpeakerRecordings(torch.utils.data.Dataset):
    """Rows for the collator: a stretch of a recording, and the number of its speaker.

    Args:
        root: of the tree.
        recordings: pairs of a path inside the tree and a number.
        seconds: shortest and longest stretch; the length is drawn, and so is the place where it begins.
        sampling_rate: of the waveform, in Hz.
        at_random: False takes the longest stretch, from the middle, each time.
    """

    def __init__(
        self,
        root: str | Path,
        recordings: Sequence[tuple[str, int]],
        seconds: Sequence[float],
        sampling_rate: int,
        at_random: bool = True,
    ):
        self.root = Path(root)
        self.recordings = recordings
        self.seconds = seconds
        self.sampling_rate = sampling_rate
        self.at_random = at_random

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> dict:
        recording, number = self.recordings[index]
        waveform = load_audio(self.root / recording, self.sampling_rate)
        shortest, longest = self.seconds
        place = 0.5
        if self.at_random:
            longest = shortest + (longest - shortest) * torch.rand(()).item()
            place = torch.rand(()).item()
        samples = crop(waveform, round(longest * self.sampling_rate), place)
        return {"id": recording, "audio": {"array": samples, "sampling_rate": self.sampling_rate}, "label": number}


def crop(waveform: np.ndarray, samples: int, place: float) -> np.ndarray:
    """A stretch of a waveform; one that is shorter is said over and over until it is long enough.

    Args:
        waveform: `(length,)`.
        samples: of the stretch.
        place: 0 for the beginning to 1 for the end.
    """
    if len(waveform) < samples:
        waveform = np.tile(waveform, -(-samples // len(waveform)))
    start = round(place * (len(waveform) - samples))
    return waveform[start : start + samples]


def speakers_of(trials: Iterable[Trial]) -> set[str]:
    """The speakers that the trials name: the first folder of every path."""
    return {PurePosixPath(path).parts[0] for trial in trials for path in (trial.first, trial.second)}
