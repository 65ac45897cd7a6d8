"""Resamplers to 16 kHz: speed, aliasing and passband.

`load_audio` uses soxr HQ. Quality is measured with tones of one second in float32, without the first and last 50 ms, which
depend on how a resampler continues the tone at its ends.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from ..configuration.modalities import SAMPLING_RATE
from .measuring import compare, table

RATES = (44100, 48000)
EDGE = SAMPLING_RATE // 20

Resampler = Callable[[np.ndarray, int], np.ndarray]


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    seconds, repeats, step = (0.5, 2, 2000) if quick else (10, 25, 250)
    tables = []
    for rate in RATES:
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32)
        rows = compare({name: partial(resample, noise, rate) for name, resample in RESAMPLERS.items()}, repeats)
        for row, resample in zip(rows, RESAMPLERS.values(), strict=True):
            row["x real time"] = 1e3 * seconds / row["median ms"]
            row |= quality(resample, rate, step)
        tables.append(table(f"{rate} Hz to {SAMPLING_RATE} Hz, {seconds} s, one channel", rows))
    tables[-1]["note"] = NOTE
    return tables


NOTE = (
    "Alias: loudest remainder of a tone above 8.5 kHz, and of one at 8.2 kHz, in dB relative to the tone. Passband: "
    "largest gain or loss of a tone up to 7 kHz, in dB, and that at 7.5 kHz. SNR: signal-to-noise ratio of a tone of 1 kHz "
    "against the same tone synthesized at 16 kHz, in dB; delay counts as noise."
)


def quality(resample: Resampler, rate: int, step: int) -> dict:
    """Return aliasing, passband and SNR of a resampler, measured with tones `step` Hz apart."""
    aliases = [level(resample(tone(hertz, rate), rate)) for hertz in np.arange(8500, rate / 2 - 50, step)]
    pure = tone(1000, SAMPLING_RATE)[EDGE:-EDGE]
    error = resample(tone(1000, rate), rate)[EDGE : EDGE + len(pure)] - pure
    return {
        "alias": max(aliases),
        "alias 8.2 kHz": level(resample(tone(8200, rate), rate)),
        "passband": max((gain(resample, rate, hertz) for hertz in np.arange(50, 7001, step)), key=abs),
        "at 7.5 kHz": gain(resample, rate, 7500),
        "SNR": -level(np.pad(error, EDGE)),
    }


def tone(hertz: float, rate: int) -> np.ndarray:
    """Return one second of a tone at half of full scale."""
    return (0.5 * np.sin(2 * math.pi * hertz * np.arange(rate) / rate)).astype(np.float32)


def level(waveform: np.ndarray) -> float:
    """Return the level of the inner part in dB relative to `tone`."""
    inner = waveform[EDGE:-EDGE].astype(np.float64)
    return 10 * math.log10(max(np.square(inner).mean() / 0.125, 1e-20))


def gain(resample: Resampler, rate: int, hertz: float) -> float:
    """Return the gain of a tone of this frequency in dB."""
    inner = resample(tone(hertz, rate), rate)[EDGE:-EDGE].astype(np.float64)
    phase = 2 * math.pi * hertz * np.arange(len(inner)) / SAMPLING_RATE
    waves = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    return 20 * math.log10(np.linalg.norm(np.linalg.lstsq(waves, inner, rcond=None)[0]) / 0.5)


def soxr(waveform: np.ndarray, rate: int, recipe: str) -> np.ndarray:
    """Resample with the SoX resampler."""
    import soxr

    return soxr.resample(waveform, rate, SAMPLING_RATE, quality=recipe)


def scipy_polyphase(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Resample with SciPy's polyphase filter and its default window."""
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, SAMPLING_RATE)
    return resample_poly(waveform, SAMPLING_RATE // divisor, rate // divisor)


def ffmpeg(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Resample with FFmpeg's swresample at the defaults of PyAV."""
    import av

    frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLING_RATE)
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


def windowed_sinc(waveform: np.ndarray, rate: int, width: int = 6) -> np.ndarray:
    """Resample by convolution with a windowed sinc (Smith, Digital Audio Resampling), as torchaudio does."""
    import torch

    kernels, old, reach = sinc_kernels(rate, width)
    padded = torch.nn.functional.pad(torch.from_numpy(waveform), (reach, reach + old))
    phases = torch.nn.functional.conv1d(padded[None, None], kernels, stride=old)
    return phases[0].T.reshape(-1)[: math.ceil(len(waveform) * SAMPLING_RATE / rate)].numpy()


@cache
def sinc_kernels(rate: int, width: int, rolloff: float = 0.99) -> tuple:
    """Return kernels `(outputs, 1, samples)` of a period, the input samples of a period, and the reach of the kernels."""
    import torch

    old, new = rate // math.gcd(rate, SAMPLING_RATE), SAMPLING_RATE // math.gcd(rate, SAMPLING_RATE)
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
