"""Log-mel spectrogram of a waveform, on the model's device, and its augmentation in training."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.audio_utils import mel_filter_bank

# Added to the energies, so that digital silence lies 60 dB below a waveform of unit variance, and not at infinity.
FLOOR = 1e-6


class LogMelSpectrogram(nn.Module):
    """Log energies of mel bands, less the utterance's own mean in each band.

    Frame `k` is the window over samples `hop_length * k` to `hop_length * k + win_length`, and exists only if the
    utterance has all of them: no frame ever sees padding, and the last incomplete one is dropped. An utterance shorter
    than one window counts as padded with silence up to it.

    Args:
        sampling_rate: of the waveform, in Hz.
        win_length: samples of the Hann window.
        hop_length: samples from one frame to the next.
        n_fft: size of the Fourier transform.
        num_mel_bins: bands, spaced and normalised as Slaney's (librosa's default), up to half the rate.
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
        """The window `(win_length,)` and the filter bank `(n_fft // 2 + 1, num_mel_bins)`."""
        filters = mel_filter_bank(
            num_frequency_bins=self.n_fft // 2 + 1,
            num_mel_filters=self.num_mel_bins,
            min_frequency=0.0,
            max_frequency=self.sampling_rate / 2,
            sampling_rate=self.sampling_rate,
            norm="slaney",
            mel_scale="slaney",
        )
        return torch.hann_window(self.win_length), torch.from_numpy(filters).float()

    def forward(self, input_values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From samples to frames, computed in float32.

        Args:
            input_values: `(batch, samples)` waveform.
            mask: `(batch, samples)`, bool, ones first; all zero where a row has no audio.

        Returns:
            `(batch, frames, bands)`, zero beyond a row's end, and the mask `(batch, frames)`, bool.
        """
        waveform = (input_values.float() * mask).to(self.window.device)
        missing = max(self.win_length - waveform.shape[1], 0)
        # `torch.stft` puts the window in the middle of the transform; padding moves the first one to sample 0.
        before = (self.n_fft - self.win_length) // 2
        waveform = F.pad(waveform, (before, self.n_fft - self.win_length - before + missing))
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                waveform,
                self.n_fft,
                self.hop_length,
                self.win_length,
                self.window.float(),
                center=False,
                return_complex=True,
            )
            energies = torch.view_as_real(spectrum).square().sum(dim=-1)
            states = torch.log(energies.transpose(1, 2) @ self.filters.float() + FLOOR)
        samples = mask.sum(dim=1)
        lengths = (samples.clamp_min(self.win_length) - self.win_length) // self.hop_length + 1
        frame_mask = torch.arange(states.shape[1], device=states.device) < (lengths * (samples > 0))[:, None]
        valid = frame_mask.unsqueeze(-1)
        mean = (states * valid).sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True).clamp_min(1)
        return (states - mean) * valid, frame_mask


def mask_spectrogram(
    states: torch.Tensor, mask: torch.Tensor, num_masks: int, bands: int, frames: int, share: float
) -> torch.Tensor:
    """Zeros, which are each band's mean, over random bands and random stretches of time (SpecAugment, Park et al. 2019).

    Every utterance gets 1 to `num_masks` of either kind, all numbers and widths being as likely.

    Args:
        states: `(batch, frames, bands)`.
        mask: `(batch, frames)`, bool.
        num_masks: most masks of one kind.
        bands: most bands of one mask.
        frames: most frames of one mask.
        share: most of an utterance's frames that one mask may cover.

    Returns:
        `(batch, frames, bands)`.
    """
    lengths = mask.sum(dim=1)
    widest = (share * lengths).long().clamp_max(frames)
    hidden = random_stretches(lengths, widest, states.shape[1], num_masks).unsqueeze(2)
    all_bands = torch.full_like(lengths, states.shape[2])
    hidden = hidden | random_stretches(all_bands, all_bands.clamp_max(bands), states.shape[2], num_masks).unsqueeze(1)
    return states.masked_fill(hidden, 0.0)


def random_stretches(lengths: torch.Tensor, widest: torch.Tensor, size: int, most: int) -> torch.Tensor:
    """1 to `most` stretches of 0 to `widest` positions, inside each row's first `lengths` positions.

    Args:
        lengths: `(batch,)`.
        widest: `(batch,)`, at most `lengths`.
        size: positions of the result.
        most: stretches of a row.

    Returns:
        `(batch, size)`, bool.
    """

    def draw(limits: torch.Tensor) -> torch.Tensor:  # whole numbers from 0 to each limit, that included
        return (torch.rand(limits.shape, device=limits.device) * (limits + 1)).long()

    widths = draw(widest[:, None].expand(-1, most))
    starts = draw(lengths[:, None] - widths)
    chosen = torch.arange(most, device=lengths.device) <= draw(torch.full_like(lengths, most - 1))[:, None]
    distance = torch.arange(size, device=lengths.device) - starts.unsqueeze(-1)
    return ((distance >= 0) & (distance < widths.unsqueeze(-1)) & chosen.unsqueeze(-1)).any(dim=1)
