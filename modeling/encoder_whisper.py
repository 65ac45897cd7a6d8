"""The first stages of the Whisper encoder (Radford et al. 2022), for waveforms of any length up to 30 seconds.

Whisper was trained on clips padded with silence to 30 seconds. Here (ours) utterances are not padded to 30 seconds:
cost is proportional to length, and the frames of an utterance are the same in every batch. The spectrogram is that of
`WhisperFeatureExtractor`; the convolutions see zeros where padded, and attention is masked there.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from transformers.audio_utils import mel_filter_bank

from ..configuration.modalities import SAMPLING_RATE
from .encoder_spec_augment import spec_augment

# The spectrogram of all Whisper checkpoints: window and hop in samples, at 16 kHz.
WINDOW = 400
HOP = 160
# The convolutions halve the frame rate; their first frame sees frames 0 to 2 of the spectrogram.
FRAME_HOP = 2 * HOP
RECEPTIVE_FIELD = 2 * HOP + WINDOW // 2


def log_mel_spectrogram(
    input_values: torch.Tensor, mask: torch.Tensor, num_mel_bins: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the spectrogram of `WhisperFeatureExtractor` in float32: log10 power, clipped 8 below the utterance's maximum.

    Args:
        input_values: `(batch, samples)` waveform at 16 kHz.
        mask: `(batch, samples)`, bool, ones first; no row is all zero.
        num_mel_bins: The number of mel bands.

    Returns:
        `(batch, num_mel_bins, frames)` with a frame every 10 ms, zero where padded, and the mask `(batch, frames)`,
        bool.
    """
    device, samples = input_values.device, input_values.shape[1]
    lengths = torch.div(mask.sum(dim=1) + HOP - 1, HOP, rounding_mode="floor")
    frames = torch.arange((samples + HOP - 1) // HOP, device=device) < lengths[:, None]
    with torch.autocast(device.type, enabled=False):
        waveform = F.pad((input_values * mask).float(), (0, WINDOW))  # silence, where torch would pad by reflection
        window = torch.hann_window(WINDOW, device=device)
        spectrum = torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True)
        power = torch.from_numpy(_mel_filters(num_mel_bins)).to(device) @ spectrum.abs().square()
    log_power = power.clamp_min(1e-10).log10()
    loudest = log_power.amax(dim=(1, 2), keepdim=True)  # includes windows that only start in the utterance
    return (torch.maximum(log_power, loudest - 8.0) + 4.0)[..., : frames.shape[1]] / 4.0 * frames[:, None], frames


def convolve_spectrogram(
    encoder: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the log-mel spectrogram and apply the two convolutions.

    Args:
        encoder: A Whisper encoder.
        input_values: `(batch, samples)` waveform at 16 kHz, not normalised.
        mask: `(batch, samples)`, bool, ones first; no row is all zero.

    Returns:
        Features `(batch, frames, hidden)` with a frame every 20 ms, and their mask `(batch, frames)`, bool.

    Raises:
        ValueError: If a recording is longer than the encoder's positions.
    """
    limit = encoder.config.max_source_positions * FRAME_HOP
    if input_values.shape[1] > limit:
        longest = int(mask.sum(dim=1).max())
        if longest > limit:
            raise ValueError(
                f"A recording lasts {longest / SAMPLING_RATE:g} s, and the Whisper encoder has positions for "
                f"{limit / SAMPLING_RATE:g} s only; cut recordings with max_seconds={limit / SAMPLING_RATE:g}."
            )
        input_values, mask = input_values[:, :limit], mask[:, :limit]
    spectrogram, frames = log_mel_spectrogram(input_values, mask, encoder.config.num_mel_bins)
    hidden_states = F.gelu(encoder.conv1(spectrogram.to(encoder.conv1.weight.dtype)))
    hidden_states = F.gelu(encoder.conv2(hidden_states * frames[:, None]))
    return hidden_states.transpose(1, 2), frames[:, ::2]


def embed_whisper_features(encoder: PreTrainedModel, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Apply SpecAugment in training (off by default), and add sinusoidal positions.

    transformers masks the spectrogram. Here (ours) the output of the convolutions is masked, as for the other
    encoders, so that the convolutions can be computed once.

    Args:
        encoder: A Whisper encoder.
        features: `(batch, frames, hidden)`.
        mask: `(batch, frames)`, bool.

    Returns:
        `(batch, frames, hidden)`.
    """
    training = encoder.embed_positions.training
    if training:
        features = spec_augment(encoder.config, features, mask, None)
    positions = encoder.embed_positions(torch.arange(features.shape[1], device=features.device))
    return F.dropout(features + positions, p=encoder.config.dropout, training=training)


@lru_cache
def _mel_filters(num_mel_bins: int) -> np.ndarray:
    """Return the weight of every frequency in every mel band, `(num_mel_bins, frequencies)`."""
    bank = mel_filter_bank(
        WINDOW // 2 + 1, num_mel_bins, 0.0, 8000.0, SAMPLING_RATE, norm="slaney", mel_scale="slaney"
    )
    return bank.T.astype(np.float32)
