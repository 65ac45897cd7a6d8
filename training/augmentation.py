"""Augmentation of recordings in training: speed, reverberation, noise and gain.

soxr resamples and scipy convolves; the rest is one multiplication each. We use no augmentation library, because they draw
from random states that the whole process shares, and do not shift the times of an alignment.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from ..configuration.value_checks import is_number
from ..corpora.preparation.inspection import measure
from ..processing.media import load_audio

# Transforms in the order in which they are applied, with their settings. The order is that of a recording: speech, room,
# noise, microphone.
TRANSFORMS = {
    "speed": ("rate",),
    "reverberation": ("folder",),
    "noise": ("snr_db", "folder"),
    "gain": ("db",),
}
RANGES = ("rate", "snr_db", "db")
SUFFIXES = (".flac", ".ogg", ".wav")


class Augmentation:
    """Changes the recording of a row, and its alignment with it, differently in every epoch.

    The random numbers depend only on the seed, the epoch and the `id` of the row. They are the same for any number of
    data-loader workers and processes, for any order of the rows, and after an interruption.

    - `speed`: `rate`, the lowest and the highest factor. Speech is resampled, so its pitch changes too (Ko et al. 2015,
      "Audio augmentation for speech recognition"), and so do the times of the alignment.
    - `reverberation`: `folder` of room impulse responses. As in Kaldi's wav-reverberate, an impulse response starts at its
      peak, so that nothing is delayed, and the length and the power of the recording are kept.
    - `noise`: `snr_db`, the lowest and the highest signal-to-noise ratio in decibels, and `folder` of noise recordings,
      from which a segment is drawn; shorter ones are repeated. Without a folder the noise is white.
    - `gain`: `db`, the lowest and the highest, in decibels.

    Each may have `p`, the probability that it is applied, by default 1. Values are drawn uniformly from their range.

    Args:
        options: Settings by transform, such as `{"noise": {"snr_db": [5, 20], "p": 0.5}}`.
        sampling_rate: Sampling rate of the returned recordings, in Hz.
        seed: Seed of the random numbers.
        max_seconds: Length that the processor cuts to; what is behind it is not decoded. None means no limit.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If an option is unknown or bad, or a folder has no recordings.
    """

    def __init__(self, options: Mapping, sampling_rate: int, seed: int, max_seconds: float | None = None):
        check_augmentation(options)
        self.options = {name: options[name] for name in TRANSFORMS if name in options}
        self.sampling_rate = sampling_rate
        self.seed = seed
        fastest = max(1.0, self.options.get("speed", {"rate": [1.0]})["rate"][-1])
        self.max_seconds = None if max_seconds is None else max_seconds * fastest
        # In shared memory, because workers may live longer than an epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.files = {
            name: find_recordings(name, settings["folder"])
            for name, settings in self.options.items()
            if settings.get("folder") is not None
        }

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the random numbers depend on."""
        self._epoch.fill_(epoch)

    def __call__(self, row: Mapping) -> Mapping:
        """Return the row with a changed recording; a row without audio is unchanged.

        Args:
            row: A row of the corpus schema.
        """
        if row["audio"] is None:
            return row
        rng = np.random.default_rng([self.seed, int(self._epoch), *row["id"].encode()])
        waveform = load_audio(row["audio"], self.sampling_rate, max_seconds=self.max_seconds)
        alignment = row.get("alignment")
        for name, settings in self.options.items():
            if rng.random() >= settings.get("p", 1.0):
                continue
            if name == "speed":
                rate = rng.uniform(*settings["rate"])
                waveform, alignment = change_speed(waveform, rate), scale_times(alignment, 1 / rate)
            elif name == "reverberation":
                waveform = reverberate(waveform, load_audio(self._draw_file(name, rng), self.sampling_rate))
            elif name == "noise":
                waveform = add_noise(waveform, self._draw_noise(len(waveform), rng), rng.uniform(*settings["snr_db"]))
            else:
                waveform = waveform * np.float32(10 ** (rng.uniform(*settings["db"]) / 20))
        audio = {"array": waveform, "sampling_rate": self.sampling_rate}
        return {**row, "audio": audio, "alignment": alignment}

    def _draw_file(self, name: str, rng: np.random.Generator) -> Path:
        files = self.files[name]
        return files[rng.integers(len(files))]

    def _draw_noise(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        if "noise" not in self.files:
            return rng.standard_normal(samples, dtype=np.float32)
        file = self._draw_file("noise", rng)
        # Only the needed part of a long file is decoded.
        needed, duration = samples / self.sampling_rate, measure(str(file)) or 0.0
        start = rng.uniform(0, duration - needed) if duration > needed else 0.0
        noise = load_audio(file, self.sampling_rate, start, max_seconds=needed)
        return np.resize(noise, samples)  # repeats a short one


class DrawEpochSetter(TrainerCallback):
    """Sets the epoch of an augmentation or a mixup.

    Args:
        draw: The object, whose random numbers depend on the epoch.
    """

    def __init__(self, draw: Any):
        self.draw = draw

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Set the number of completed epochs."""
        self.draw.set_epoch(math.floor(state.epoch or 0))


def check_augmentation(options: Mapping) -> None:
    """Check the options of an augmentation, except that folders exist.

    Raises:
        ValueError: If an option is unknown or bad.
    """
    for name, settings in options.items():
        if name not in TRANSFORMS:
            raise ValueError(f"augmentation has an unknown option {name!r}; choose from {', '.join(TRANSFORMS)}.")
        known = TRANSFORMS[name]
        if not isinstance(settings, Mapping):
            raise ValueError(f"augmentation.{name} must be a mapping with {' and '.join(known)}, not {settings!r}.")
        for key in settings:
            if key not in (*known, "p"):
                raise ValueError(
                    f"augmentation.{name} has an unknown option {key!r}; choose from {', '.join(known)}, p."
                )
        for key in set(known) & set(RANGES):
            _check_range(f"augmentation.{name}.{key}", settings.get(key), positive=key == "rate")
        folder = settings.get("folder")
        if not isinstance(folder, str) and (folder is not None or name == "reverberation"):
            raise ValueError(f"augmentation.{name}.folder is {folder!r}; name a folder of recordings.")
        p = settings.get("p", 1.0)
        if not is_number(p) or not 0 < p <= 1:
            raise ValueError(f"augmentation.{name}.p is {p!r}; it must be a probability above 0.")


def describe_augmentation(options: Mapping) -> str:
    """Return the options as one line that can be published: folders without their parents.

    Args:
        options: As in [`Augmentation`].
    """
    parts = []
    for name in [name for name in TRANSFORMS if name in options]:
        settings = {key: value for key, value in options[name].items() if value is not None}
        if "folder" in settings:
            settings["folder"] = Path(settings["folder"]).name
        parts.append(f"{name} ({', '.join(f'{key} {json.dumps(value)}' for key, value in settings.items())})")
    return "; ".join(parts)


def find_recordings(name: str, folder: str | Path) -> list[Path]:
    """Return the recordings in a folder and its sub-folders, sorted.

    Args:
        name: The transform that the folder is for, named in errors.
        folder: The folder.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no recordings.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"augmentation.{name}.folder is {folder}, and there is no such folder.")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise ValueError(f"augmentation.{name}.folder is {folder}, which has no recordings ({', '.join(SUFFIXES)}).")
    return files


def change_speed(waveform: np.ndarray, rate: float) -> np.ndarray:
    """Return a waveform `(samples,)` played `rate` times as fast, `(samples / rate,)`."""
    import soxr

    return soxr.resample(waveform, rate, 1.0, quality="HQ")


def scale_times(alignment: Mapping | None, factor: float) -> dict | None:
    """Return an alignment with all times multiplied by `factor`.

    Args:
        alignment: By level, `start` and `end` in seconds and `symbol`, as in the corpus schema; None stays None.
        factor: The factor.
    """
    if alignment is None:
        return None
    return {
        level: segments
        and {**segments, **{name: [factor * time for time in segments[name]] for name in ("start", "end")}}
        for level, segments in alignment.items()
    }


def reverberate(waveform: np.ndarray, impulse_response: np.ndarray) -> np.ndarray:
    """Return a waveform convolved with the impulse response of a room, with the same length and power.

    Args:
        waveform: `(samples,)`.
        impulse_response: `(samples,)`, at the same sampling rate.
    """
    from scipy.signal import oaconvolve

    peak = int(np.abs(impulse_response).argmax())
    reverberated = oaconvolve(waveform, impulse_response)[peak : peak + len(waveform)]
    before, after = power_of(waveform), power_of(reverberated)
    return waveform if after == 0 else (reverberated * math.sqrt(before / after)).astype(np.float32)


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Return a waveform with noise added at a signal-to-noise ratio; if either is silent, the waveform unchanged.

    Args:
        waveform: `(samples,)`.
        noise: `(samples,)`, of any level.
        snr_db: 10 log10 of the ratio of the powers.
    """
    signal_power, noise_power = power_of(waveform), power_of(noise)
    if signal_power == 0 or noise_power == 0:
        return waveform
    scale = math.sqrt(signal_power / noise_power / 10 ** (snr_db / 10))
    return (waveform + scale * noise).astype(np.float32)


def power_of(waveform: np.ndarray) -> float:
    """Return the mean square of a waveform."""
    return float(np.square(waveform, dtype=np.float64).mean())


def _check_range(name: str, value, positive: bool) -> None:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(map(is_number, value)):
        raise ValueError(f"{name} is {value!r}; give the lowest and the highest value, such as [5, 20].")
    if value[0] > value[1] or (positive and value[0] <= 0):
        order = "the first above 0 and not above the second" if positive else "the first not above the second"
        raise ValueError(f"{name} is {value!r}; give two numbers, {order}.")
