"""Spectrograms of padded waveforms as matrix products, which every runtime computes with the same accuracy.

The spectra are products with cosines and sines in float64: in float32 the quiet bands of a loud frame, whose logarithm is
taken, would differ between runtimes.
"""

import math

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from ..modeling.encoder_spectrogram import FLOOR, LogMelSpectrogram
from ..modeling.encoder_whisper import FRAME_HOP, HOP, WINDOW, mel_filters


def power_spectrum(waveform: torch.Tensor, window: torch.Tensor, hop: int, n_fft: int) -> torch.Tensor:
    """Return the power of all frequencies, `(batch, frames, n_fft // 2 + 1)`, float32.

    Args:
        waveform: `(batch, samples)`, at least as long as the window.
        window: `(win_length,)`.
        hop: The samples from one frame to the next.
        n_fft: The size of the Fourier transform.
    """
    size = len(window)
    frames = (waveform.shape[1] - size) // hop + 1
    places = hop * torch.arange(frames)[:, None] + torch.arange(size)
    angles = 2 * math.pi / n_fft * torch.arange(size).double()[:, None] * torch.arange(n_fft // 2 + 1)
    windows = waveform.double()[:, places]
    real, imaginary = (windows @ (window.double()[:, None] * basis) for basis in (angles.cos(), angles.sin()))
    return (real.square() + imaginary.square()).float()


def log_mel_of_padded(
    spectrogram: LogMelSpectrogram, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a [`LogMelSpectrogram`] does, perhaps with more padding.

    Args:
        spectrogram: The module.
        input_values: `(batch, samples)` waveform.
        mask: `(batch, samples)`, bool.
    """
    size, hop = spectrogram.win_length, spectrogram.hop_length
    waveform = F.pad(input_values * mask, (0, size - 1))
    energies = power_spectrum(waveform, spectrogram.window, hop, spectrogram.n_fft)
    states = torch.log(energies @ spectrogram.filters + FLOOR)
    samples = mask.sum(dim=1)
    counts = ((samples.clamp_min(size) - size) // hop + 1) * (samples > 0)
    frame_mask = torch.arange(states.shape[1]) < counts[:, None]
    valid = frame_mask.unsqueeze(-1)
    mean = (states * valid).sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True).clamp_min(1)
    return (states - mean) * valid, frame_mask


def whisper_features_of_padded(
    encoder: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `convolve_spectrogram` does for each row: features `(batch, frames, hidden)`, and their mask.

    Args:
        encoder: A Whisper encoder.
        input_values: `(batch, samples)` waveform at 16 kHz, not normalised.
        mask: `(batch, samples)`, bool.
    """
    samples = mask.sum(dim=1).clamp_min(1)
    waveform = F.pad(input_values * mask, (0, WINDOW + WINDOW // 2))
    # The first frame is centred at the first sample; the samples before it are mirrored.
    waveform = torch.cat([waveform[:, 1 : WINDOW // 2 + 1].flip(1), waveform], dim=1)
    filters = torch.from_numpy(mel_filters(encoder.config.num_mel_bins))
    power = power_spectrum(waveform, torch.hann_window(WINDOW), HOP, WINDOW) @ filters.T
    log_power = power.clamp_min(1e-10).log10()
    loudest = log_power.flatten(1).amax(dim=1)[:, None, None]
    states = (torch.maximum(log_power, loudest - 8.0) + 4.0) / 4.0
    valid = torch.arange(states.shape[1]) < ((samples + HOP - 1) // HOP)[:, None]
    states = F.gelu(encoder.conv1((states * valid[..., None]).transpose(1, 2))) * valid[:, None]
    features = F.gelu(encoder.conv2(states)).transpose(1, 2)
    return features, torch.arange(features.shape[1]) < ((samples + FRAME_HOP - 1) // FRAME_HOP)[:, None]
