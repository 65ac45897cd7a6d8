"""The first stages of the Whisper encoder (Radford et al. 2022), for waveforms of any length up to 30 seconds.

Whisper was trained on clips padded with silence to 30 seconds. Here (ours) utterances are not padded to 30 seconds:
cost is proportional to length, and the frames of an utterance are the same in every batch. The spectrogram is that of
`WhisperFeatureExtractor`; rows are convolved alone.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from transformers.audio_utils import mel_filter_bank

from ..configuration.modalities import SAMPLING_RATE
from .encoder_spec_augment import spec_augment
from .modeling_lengths import Lengths
from .modeling_rows import Rows

# The spectrogram of all Whisper checkpoints: window and hop in samples, at 16 kHz.
WINDOW = 400
HOP = 160
# The convolutions halve the frame rate; their first frame sees frames 0 to 2 of the spectrogram.
FRAME_HOP = 2 * HOP
RECEPTIVE_FIELD = 2 * HOP + WINDOW // 2


def log_mel_spectrogram(input_values: torch.Tensor, num_mel_bins: int) -> torch.Tensor:
    """Compute the spectrogram of `WhisperFeatureExtractor` in float32: log10 power, clipped 8 below the utterance's maximum.

    Args:
        input_values: `(rows, samples)` waveform at 16 kHz, without padding.
        num_mel_bins: The number of mel bands.

    Returns:
        `(rows, num_mel_bins, frames)` with a frame every 10 ms.
    """
    device, samples = input_values.device, input_values.shape[1]
    with torch.autocast(device.type, enabled=False):
        waveform = F.pad(input_values.float(), (0, WINDOW))  # silence, where torch would pad by reflection
        window = torch.hann_window(WINDOW, device=device)
        spectrum = torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True)
        filters = torch.from_numpy(mel_filters(num_mel_bins)).to(device, non_blocking=True)
        power = filters @ spectrum.abs().square()
    log_power = power.clamp_min(1e-10).log10()
    loudest = log_power.amax(dim=(1, 2), keepdim=True)  # includes windows that only start in the utterance
    return (torch.maximum(log_power, loudest - 8.0) + 4.0)[..., : -(-samples // HOP)] / 4.0


def convolve_spectrogram(
    encoder: PreTrainedModel, input_values: torch.Tensor, lengths: Lengths
) -> tuple[torch.Tensor, Rows]:
    """Compute the log-mel spectrogram and apply the two convolutions.

    Args:
        encoder: A Whisper encoder.
        input_values: `(batch, samples)` waveform at 16 kHz, not normalised.
        lengths: The samples of each row; a row without any counts as one sample of silence.

    Returns:
        Features `(1, frames of all rows, hidden)`, or `(batch, frames, hidden)` for rows of equal length, with a frame
        every 20 ms; and the number of frames of each row.

    Raises:
        ValueError: If a recording is longer than the encoder's positions.
    """
    limit, longest = encoder.config.max_source_positions * FRAME_HOP, max(lengths)
    if longest > limit:
        raise ValueError(
            f"A recording lasts {longest / SAMPLING_RATE:g} s, and the Whisper encoder has positions for "
            f"{limit / SAMPLING_RATE:g} s only; cut recordings with max_seconds={limit / SAMPLING_RATE:g}."
        )
    rows = Rows([-(-max(length, 1) // FRAME_HOP) for length in lengths], input_values.device)
    if min(lengths) == longest > 0:
        features = _convolve_rows(encoder, input_values[:, :longest])
    else:
        parts = [
            F.pad(row[:length], (0, length == 0)) for row, length in zip(input_values.unbind(), lengths, strict=True)
        ]
        features = rows.join([_convolve_rows(encoder, part[None])[0] for part in parts])
    return features, rows


def _convolve_rows(encoder: PreTrainedModel, input_values: torch.Tensor) -> torch.Tensor:
    """Return the features `(rows, frames, hidden)` of waveforms `(rows, samples)` without padding."""
    spectrogram = log_mel_spectrogram(input_values, encoder.config.num_mel_bins)
    hidden_states = F.gelu(encoder.conv1(spectrogram.to(encoder.conv1.weight.dtype)))
    return F.gelu(encoder.conv2(hidden_states)).transpose(1, 2)


def embed_whisper_features(encoder: PreTrainedModel, features: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Apply SpecAugment in training (off by default), and add sinusoidal positions.

    transformers masks the spectrogram. Here (ours) the output of the convolutions is masked, as for the other
    encoders, so that the convolutions can be computed once.

    Args:
        encoder: A Whisper encoder.
        features: Packed `(1, frames of all rows, hidden)`, or `(batch, frames, hidden)`.
        rows: The layout.

    Returns:
        The same shape.
    """
    training = encoder.embed_positions.training
    if training:
        features = spec_augment(encoder.config, features, rows, None)
    return F.dropout(features + encoder.embed_positions(rows.places), p=encoder.config.dropout, training=training)


@lru_cache
def mel_filters(num_mel_bins: int) -> np.ndarray:
    """Return the weight of every frequency in every mel band, `(num_mel_bins, frequencies)`."""
    bank = mel_filter_bank(
        WINDOW // 2 + 1, num_mel_bins, 0.0, 8000.0, SAMPLING_RATE, norm="slaney", mel_scale="slaney"
    )
    return bank.T.astype(np.float32)
