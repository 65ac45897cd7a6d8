"""Resamplers to 16 kHz: how fast they are, what they let through that should vanish, and what they harm.

soxr at HQ is the one that `load_audio` uses. Quality is measured with tones one second long, in float32, without the first
and last 50 ms, which depend on what a resampler takes the silence around a tone to be.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from .measuring import compare, table

TO = 16000  # Hz
RATES = (44100, 48000)
EDGE = TO // 20

Resampler = Callable[[np.ndarray, int], np.ndarray]


def measure(quick: bool) -> list[dict]:
    """See `benchmarks`."""
    seconds, repeats, step = (0.5, 2, 2000) if quick else (10, 25, 250)
    tables = []
    for rate in RATES:
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32)
        rows = compare({name: partial(resample, noise, rate) for name, resample in RESAMPLERS.items()}, repeats)
        for row, resample in zip(rows, RESAMPLERS.values(), strict=True):
            row["x real time"] = 1e3 * seconds / row["median ms"]
            row |= quality(resample, rate, step)
        tables.append(table(f"{rate} Hz to {TO} Hz, {seconds} s, one channel", rows))
    tables[-1]["note"] = NOTE
    return tables


NOTE = (
    "Aliases: the loudest that is left of a tone above 8.5 kHz, and of one at 8.2 kHz, in dB of that tone. Passband: the "
    "most that a tone up to 7 kHz is made louder or softer, in dB, and one at 7.5 kHz. SNR: of a tone of 1 kHz against the "
    "same tone at 16 kHz, in dB, delay counted as error."
)


def quality(resample: Resampler, rate: int, step: int) -> dict:
    """What a resampler does to tones `step` Hz apart."""
    aliases = [level(resample(tone(hertz, rate), rate)) for hertz in np.arange(8500, rate / 2 - 50, step)]
    pure = tone(1000, TO)[EDGE:-EDGE]
    error = resample(tone(1000, rate), rate)[EDGE : EDGE + len(pure)] - pure
    return {
        "alias": max(aliases),
        "alias 8.2 kHz": level(resample(tone(8200, rate), rate)),
        "passband": max((gain(resample, rate, hertz) for hertz in np.arange(50, 7001, step)), key=abs),
        "at 7.5 kHz": gain(resample, rate, 7500),
        "SNR": -level(np.pad(error, EDGE)),
    }


def tone(hertz: float, rate: int) -> np.ndarray:
    """A second of it, at half of full scale."""
    return (0.5 * np.sin(2 * math.pi * hertz * np.arange(rate) / rate)).astype(np.float32)


def level(waveform: np.ndarray) -> float:
    """DB of the inner part, of which 0 are those of `tone`."""
    inner = waveform[EDGE:-EDGE].astype(np.float64)
    return 10 * math.log10(max(np.square(inner).mean() / 0.125, 1e-20))


def gain(resample: Resampler, rate: int, hertz: float) -> float:
    """How much louder a tone of this frequency is afterwards, in dB."""
    inner = resample(tone(hertz, rate), rate)[EDGE:-EDGE].astype(np.float64)
    phase = 2 * math.pi * hertz * np.arange(len(inner)) / TO
    waves = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    return 20 * math.log10(np.linalg.norm(np.linalg.lstsq(waves, inner, rcond=None)[0]) / 0.5)


def soxr(waveform: np.ndarray, rate: int, recipe: str) -> np.ndarray:
    """The SoX resampler."""
    import soxr

    return soxr.resample(waveform, rate, TO, quality=recipe)


def scipy_polyphase(waveform: np.ndarray, rate: int) -> np.ndarray:
    """SciPy's filter bank with its own filter."""
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, TO)
    return resample_poly(waveform, TO // divisor, rate // divisor)


def ffmpeg(waveform: np.ndarray, rate: int) -> np.ndarray:
    """FFmpeg's swresample, as PyAV sets it."""
    import av

    frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=TO)
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


def windowed_sinc(waveform: np.ndarray, rate: int, width: int = 6) -> np.ndarray:
    """A strided convolution with a sinc under a squared cosine (Smith, Digital Audio Resampling), as torchaudio has it."""
    import torch

    kernels, old, reach = sinc_kernels(rate, width)
    padded = torch.nn.functional.pad(torch.from_numpy(waveform), (reach, reach + old))
    phases = torch.nn.functional.conv1d(padded[None, None], kernels, stride=old)
    return phases[0].T.reshape(-1)[: math.ceil(len(waveform) * TO / rate)].numpy()


@cache
def sinc_kernels(rate: int, width: int, rolloff: float = 0.99) -> tuple:
    """One kernel for each sample of the result in a period, samples of the source in one, and how far kernels reach out."""
    import torch

    old, new = rate // math.gcd(rate, TO), TO // math.gcd(rate, TO)
    cutoff = min(old, new) * rolloff
    reach = math.ceil(width * old / cutoff)
    places = torch.arange(-reach, reach + old, dtype=torch.float64) / old
    times = ((places - torch.arange(new, dtype=torch.float64)[:, None] / new) * cutoff).clamp(-width, width)
    kernels = torch.sinc(times) * torch.cos(times * math.pi / width / 2) ** 2 * cutoff / old
    return kernels.float()[:, None], old, reach


RESAMPLERS: dict[str, Resampler] = {
    "soxr HQ": partial(soxr, recipe="HQ"),
    "soxr VHQ": partial(soxr, recipe="VHQ"),
    "soxr MQ": partial(soxr, recipe="MQ"),
    "scipy resample_poly": scipy_polyphase,
    "PyAV swresample": ffmpeg,
    "torch windowed sinc": windowed_sinc,
    "torch windowed sinc, 64 wide": partial(windowed_sinc, width=64),
}
