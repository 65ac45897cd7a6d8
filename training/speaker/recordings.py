"""Recordings of speakers in folders, as in VoxCeleb, and lists of trials that compare two recordings."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch

from ...corpora.corpus_files import inner_path
from ...processing.media import audio_seconds, load_audio
from ..augmentation import change_speed
from ..command_arguments import SpeakerArguments

TRIALS_OF_A_SPEAKER = 100  # in a list that is drawn: half of them compare two recordings of the speaker
SUFFIXES = {".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus"}


class Trial(NamedTuple):
    """One comparison: whether both recordings are of one speaker, and their paths inside the tree."""

    same: bool
    first: str
    second: str


@dataclass(frozen=True)
class SpeakerCorpus:
    """Recordings and trials of a pretraining.

    Args:
        root: The folder of the recordings.
        speakers: The training speakers, in the order of their numbers.
        training: Training recordings, as pairs of a path in `root` and the number of the speaker.
        held_out: Recordings of the same speakers that measure the accuracy.
        trials: Trials of the splits "validation" and "test", of those that are given.
    """

    root: Path
    speakers: list[str]
    training: list[tuple[str, int]]
    held_out: list[tuple[str, int]]
    trials: dict[str, list[Trial]]


def load_speakers(arguments: SpeakerArguments, seed: int) -> SpeakerCorpus:
    """Return the recordings of all speakers whom no trial names, and the trials.

    Without a list for the validation, speakers are held out and their trials are drawn.

    Args:
        arguments: The folder, the trial lists and the shares to hold out.
        seed: Seed that draws the held-out speakers and recordings.

    Raises:
        FileNotFoundError: If a trial list, or a recording that it names, does not exist.
        ValueError: If fewer than two speakers are left for training.
    """
    root = Path(arguments.corpus_root)
    lists = {"validation": arguments.validation_trials, "test": arguments.test_trials}
    trials = {split: read_trials(file, root) for split, file in lists.items() if file is not None}
    named = speakers_of(trial for split in trials.values() for trial in split)
    tree = {speaker: files for speaker, files in read_tree(root).items() if speaker not in named}
    held_out_speakers = round(arguments.validation_speakers * len(tree))
    if "validation" not in trials and held_out_speakers > 1:
        rng = random.Random(seed)
        chosen = {speaker: tree.pop(speaker) for speaker in sorted(rng.sample(list(tree), held_out_speakers))}
        trials["validation"] = draw_trials(chosen, rng)
    if len(tree) < 2:
        raise ValueError(f"{root} has {len(tree)} speakers whom no trial list names; at least 2 are needed.")
    training, held_out = split_recordings(tree, arguments.validation_share, seed)
    return SpeakerCorpus(root, list(tree), training, held_out, trials)


def read_tree(root: str | Path) -> dict[str, list[str]]:
    """Return the recordings of each speaker, as paths relative to `root`; speakers and paths are sorted.

    Args:
        root: Folder of recordings `<speaker>/<video>/<recording>`, such as `id10001/1zcIwhmdeo4/00001.wav`.

    Raises:
        ValueError: If there is no such recording.
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
    """Return the trials of a list with lines `label path path`; label 1 is one speaker, 0 is two.

    Args:
        file: The list.
        root: The folder of the recordings.

    Raises:
        FileNotFoundError: If the list, or a recording, does not exist.
        ValueError: If a line has another form, or a path leads out of the folder; file and line are named.
    """
    file, root, trials, found = Path(file), Path(root).resolve(), [], set()
    if not file.is_file():
        raise FileNotFoundError(f"There is no trial list {file}.")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text; save it as UTF-8.") from error
    for number, line in enumerate(lines, start=1):
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


def draw_trials(tree: Mapping[str, Sequence[str]], rng: random.Random) -> list[Trial]:
    """Return trials of speakers: each with other recordings of the speaker, and as many with those of others.

    Args:
        tree: Recordings by speaker, of two speakers or more.
        rng: The random numbers.

    Raises:
        ValueError: If no speaker has two recordings.
    """
    trials = []
    for speaker, recordings in tree.items():
        others = [name for name in tree if name != speaker]
        own = rng.sample(list(recordings), min(len(recordings), TRIALS_OF_A_SPEAKER // 2))
        for first in own if len(recordings) > 1 else ():
            # Another video has another room and microphone, which tell the recordings of one video apart too easily.
            elsewhere = [path for path in recordings if PurePosixPath(path).parent != PurePosixPath(first).parent]
            second = rng.choice(elsewhere or [path for path in recordings if path != first])
            trials.append(Trial(True, first, second))
            trials.append(Trial(False, first, rng.choice(list(tree[rng.choice(others)]))))
    if not trials:
        raise ValueError(
            "No speaker who is held out has two recordings to compare; give validation_trials, or set "
            "validation_speakers to 0."
        )
    return trials


def _check_recording(path: str, root: Path, where: str) -> None:
    recording = root / path
    if inner_path("", path) is None or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{where}: {path} leads out of {root}; name recordings by their path inside it.")
    if not recording.is_file():
        raise FileNotFoundError(f"{where}: {recording} does not exist.")


def split_recordings(
    tree: Mapping[str, Sequence[str]], share: float, seed: int
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Split the recordings of each speaker into training and held-out recordings.

    Args:
        tree: Recordings by speaker.
        share: Share of a speaker's recordings to hold out, from 0 (none) to below 1. Above 0, at least one recording is
            held out, and never all.
        seed: Seed that draws the held-out recordings.

    Returns:
        Training and held-out recordings, as pairs of a recording and the number of its speaker in the order of `tree`.
    """
    rng, training, held_out = random.Random(seed), [], []
    for number, recordings in enumerate(tree.values()):
        count = min(max(round(share * len(recordings)), 1), len(recordings) - 1) if share else 0
        chosen = set(rng.sample(range(len(recordings)), count))
        for index, recording in enumerate(recordings):
            (held_out if index in chosen else training).append((recording, number))
    return training, held_out


class SpeakerRecordings(torch.utils.data.Dataset):
    """Rows for the collator: a segment of a recording, and the number of its speaker.

    Args:
        root: The folder of the recordings.
        recordings: Pairs of a path inside the folder and a number.
        seconds: Shortest and longest segment; length and start are drawn.
        sampling_rate: Sampling rate of the waveform, in Hz.
        at_random: Whether segments are drawn; if not, each is the longest, from the middle.
        speeds: Speeds of the recordings, each a set of rows of its own. The numbers of a speaker at the second, third, ...
            speed follow those of all speakers at the one before.
        speakers: Number of speakers, for that.
    """

    def __init__(
        self,
        root: str | Path,
        recordings: Sequence[tuple[str, int]],
        seconds: Sequence[float],
        sampling_rate: int,
        at_random: bool = True,
        speeds: Sequence[float] = (1.0,),
        speakers: int = 0,
    ):
        self.root = Path(root)
        self.recordings = recordings
        self.seconds = seconds
        self.sampling_rate = sampling_rate
        self.at_random = at_random
        self.speeds = speeds
        self.speakers = speakers

    def __len__(self) -> int:
        return len(self.speeds) * len(self.recordings)

    def __getitem__(self, index: int) -> dict:
        place_of_speed, index = divmod(index, len(self.recordings))
        speed, (recording, number) = self.speeds[place_of_speed], self.recordings[index]
        shortest, longest = self.seconds
        place = 0.5
        if self.at_random:
            longest = shortest + (longest - shortest) * torch.rand(()).item()
            place = torch.rand(()).item()
        samples = round(longest * self.sampling_rate)
        waveform = self._load(self.root / recording, math.ceil(speed * samples), place)
        if speed != 1:
            waveform = crop(change_speed(waveform, speed), samples, 0.0)
        return {
            "id": recording if speed == 1 else f"{recording} at {speed}",
            "audio": {"array": waveform, "sampling_rate": self.sampling_rate},
            "alignment": None,
            "label": number + place_of_speed * self.speakers,
        }

    def _load(self, path: Path, samples: int, place: float) -> np.ndarray:
        """Return a segment of a recording; the rest of the recording is not decoded."""
        seconds, needed = audio_seconds(path), samples / self.sampling_rate
        if seconds is None or seconds <= needed:
            return crop(load_audio(path, self.sampling_rate), samples, place)
        segment = load_audio(path, self.sampling_rate, place * (seconds - needed), max_seconds=needed)
        return crop(segment, samples, 0.0)


def crop(waveform: np.ndarray, samples: int, place: float) -> np.ndarray:
    """Return a segment of a waveform; a waveform that is too short is repeated.

    Args:
        waveform: `(length,)`.
        samples: Length of the segment.
        place: Position of the segment, from 0 (the beginning) to 1 (the end).
    """
    if len(waveform) < samples:
        waveform = np.tile(waveform, -(-samples // len(waveform)))
    start = round(place * (len(waveform) - samples))
    return waveform[start : start + samples]


def speakers_of(trials: Iterable[Trial]) -> set[str]:
    """Return the speakers that trials name: the first folder of each path."""
    return {PurePosixPath(path).parts[0] for trial in trials for path in (trial.first, trial.second)}
