"""Log-mel spectrogram of a waveform on the model's device, and its augmentation in training."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.audio_utils import mel_filter_bank

from .modeling_lengths import Lengths

# Added to the energies: digital silence is then 60 dB below a waveform of unit variance, instead of minus infinity.
FLOOR = 1e-6


class LogMelSpectrogram(nn.Module):
    """Log energies of mel bands, minus the utterance's mean in each band.

    Frame `k` is the window over samples `hop_length * k` to `hop_length * k + win_length`. It is valid only if the
    utterance has all of these samples: no frame sees padding, and an incomplete last frame is dropped. An utterance
    shorter than one window is padded with silence to one window.

    Args:
        sampling_rate: The sampling rate of the waveform in Hz.
        win_length: The length of the Hann window in samples.
        hop_length: The samples from one frame to the next.
        n_fft: The size of the Fourier transform.
        num_mel_bins: The number of mel bands (Slaney's scale and normalisation, librosa's default), up to half the
            rate.
    """

    def __init__(self, sampling_rate: int, win_length: int, hop_length: int, n_fft: int, num_mel_bins: int):
        super().__init__()
        self.sampling_rate = sampling_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.n_fft = n_fft
        self.num_mel_bins = num_mel_bins
        window, filters = self.constants()
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def constants(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the window `(win_length,)` and the filter bank `(n_fft // 2 + 1, num_mel_bins)`."""
        filters = mel_filter_bank(
            num_frequency_bins=self.n_fft // 2 + 1,
            num_mel_filters=self.num_mel_bins,
            min_frequency=0.0,
            max_frequency=self.sampling_rate / 2,
            sampling_rate=self.sampling_rate,
            norm="slaney",
            mel_scale="slaney",
        )
        return torch.hann_window(self.win_length, dtype=torch.float32), torch.from_numpy(filters).float()

    def _apply(self, fn, recurse=True):
        """Move the constants with the model, but keep them in float32: rounded ones would stay wrong after `float()`."""
        constants = {"window": self.window, "filters": self.filters}
        super()._apply(fn, recurse)
        for name, value in constants.items():
            if (moved := getattr(self, name)).dtype != value.dtype:
                setattr(self, name, value.to(moved.device))
        return self

    def count_frames(self, samples: Lengths) -> Lengths:
        """Return the number of frames of each row; 0 for a row without audio."""
        return tuple(
            (max(count, self.win_length) - self.win_length) // self.hop_length + 1 if count else 0 for count in samples
        )

    def forward(self, input_values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the spectrogram in float32.

        Args:
            input_values: `(batch, samples)` waveform.
            mask: `(batch, samples)`, bool, ones first; all zero where a row has no audio.

        Returns:
            `(batch, frames, bands)`, zero where padded, and the mask `(batch, frames)`, bool.
        """
        waveform = (input_values.float() * mask).to(self.window.device)
        missing = max(self.win_length - waveform.shape[1], 0)
        # `torch.stft` centres the window in the transform; this padding moves the first window to sample 0.
        before = (self.n_fft - self.win_length) // 2
        waveform = F.pad(waveform, (before, self.n_fft - self.win_length - before + missing))
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                waveform,
                self.n_fft,
                self.hop_length,
                self.win_length,
                self.window,
                center=False,
                return_complex=True,
            )
            energies = torch.view_as_real(spectrum).square().sum(dim=-1)
            states = torch.log(energies.transpose(1, 2) @ self.filters + FLOOR)
        samples = mask.sum(dim=1)
        lengths = (samples.clamp_min(self.win_length) - self.win_length) // self.hop_length + 1
        frame_mask = torch.arange(states.shape[1], device=states.device) < (lengths * (samples > 0))[:, None]
        valid = frame_mask.unsqueeze(-1)
        mean = (states * valid).sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True).clamp_min(1)
        return (states - mean) * valid, frame_mask


def mask_spectrogram(
    states: torch.Tensor, mask: torch.Tensor, num_masks: int, bands: int, frames: int, share: float
) -> torch.Tensor:
    """Set random bands and random intervals of time to zero, the mean of each band (SpecAugment, Park et al. 2019).

    Every utterance gets 1 to `num_masks` masks of each kind; numbers and widths are drawn uniformly.

    Args:
        states: `(batch, frames, bands)`.
        mask: `(batch, frames)`, bool.
        num_masks: The maximum number of masks of one kind.
        bands: The maximum width of a frequency mask.
        frames: The maximum width of a time mask.
        share: The maximum share of an utterance's frames that one time mask covers.

    Returns:
        `(batch, frames, bands)`.
    """
    lengths = mask.sum(dim=1)
    widest = (share * lengths).long().clamp_max(frames)
    hidden = random_intervals(lengths, widest, states.shape[1], num_masks).unsqueeze(2)
    all_bands = torch.full_like(lengths, states.shape[2])
    hidden = hidden | random_intervals(all_bands, all_bands.clamp_max(bands), states.shape[2], num_masks).unsqueeze(1)
    return states.masked_fill(hidden, 0.0)


def random_intervals(lengths: torch.Tensor, widest: torch.Tensor, size: int, most: int) -> torch.Tensor:
    """Draw 1 to `most` intervals of 0 to `widest` positions inside the first `lengths` positions of each row.

    Args:
        lengths: `(batch,)`.
        widest: `(batch,)`, at most `lengths`.
        size: The length of the result.
        most: The maximum number of intervals of a row.

    Returns:
        `(batch, size)`, bool.
    """

    def draw(limits: torch.Tensor) -> torch.Tensor:  # integers from 0 to each limit, inclusive
        return (torch.rand(limits.shape, device=limits.device) * (limits + 1)).long()

    widths = draw(widest[:, None].expand(-1, most))
    starts = draw(lengths[:, None] - widths)
    chosen = torch.arange(most, device=lengths.device) <= draw(torch.full_like(lengths, most - 1))[:, None]
    distance = torch.arange(size, device=lengths.device) - starts.unsqueeze(-1)
    return ((distance >= 0) & (distance < widths.unsqueeze(-1)) & chosen.unsqueeze(-1)).any(dim=1)
