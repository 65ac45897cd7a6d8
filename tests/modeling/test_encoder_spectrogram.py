"""The log-mel spectrogram, compared with numpy, and its masks."""

import numpy as np
import pytest
import torch
from emofusion.modeling.encoder_spectrogram import FLOOR, LogMelSpectrogram, mask_spectrogram, random_intervals
from torch.testing import assert_close

SETTINGS = {"sampling_rate": 16000, "win_length": 400, "hop_length": 160, "n_fft": 512, "num_mel_bins": 80}


def spectrogram(waveform, **others):
    """Return the frames of one waveform."""
    module = LogMelSpectrogram(**SETTINGS | others)
    states, mask = module(waveform[None], torch.ones(1, len(waveform), dtype=torch.bool))
    assert mask.all()
    return states[0]


@pytest.fixture
def voice():
    """Half a second of a chirp in noise."""
    time = torch.arange(8000) / 16000
    noise = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    return torch.sin(2 * torch.pi * (200 * time + 3000 * time**2)) + 0.1 * noise


def slaney_filters():
    """The filter bank `(257, 80)` as the Auditory Toolbox defines it (Slaney 1998), which is librosa's default."""
    linear, first, logarithmic = 200 / 3, 1000.0, np.log(6.4) / 27  # Hz of a mel below 1 kHz, 1 kHz, and its log above
    knee = first / linear
    mels = np.linspace(0, knee + np.log(8000 / first) / logarithmic, 80 + 2)
    edges = np.where(mels < knee, linear * mels, first * np.exp(logarithmic * (mels - knee)))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.arange(257)[:, None] * 16000 / 512
    triangles = np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre))
    return np.maximum(triangles, 0) * 2 / (high - low)


def test_frame_is_energy_of_its_window_in_bands(voice):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = []
    for start in range(0, len(voice) - 400 + 1, 160):
        power = np.abs(np.fft.rfft(voice[start : start + 400].numpy() * window, 512)) ** 2
        frames.append(np.log(power @ slaney_filters() + FLOOR))
    expected = torch.from_numpy(np.array(frames) - np.mean(frames, axis=0)).float()
    assert expected.std() > 0.5
    assert_close(spectrogram(voice), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (399, 1), (400, 1), (559, 1), (560, 2), (16000, 98)])
def test_frame_needs_complete_window(samples, frames):
    assert len(spectrogram(torch.ones(samples))) == frames


def test_frames_do_not_depend_on_padding_batch_or_loudness(voice):
    lengths = torch.tensor([8000, 300, 0, 5000])
    mask = torch.arange(9999) < lengths[:, None]
    batch = torch.full((4, 9999), 7.0)  # arbitrary values
    batch[:, :8000] = torch.where(mask[:, :8000], voice, batch[:, :8000])
    states, frame_mask = LogMelSpectrogram(**SETTINGS)(batch, mask)
    assert frame_mask.sum(dim=1).tolist() == [48, 1, 0, 29]
    assert (states[~frame_mask] == 0).all()
    for row in (0, 1, 3):
        assert_close(states[row][frame_mask[row]], spectrogram(voice[: lengths[row]]), atol=1e-5, rtol=0)
    assert_close(spectrogram(voice), spectrogram(10 * voice), atol=5e-3, rtol=0)
    assert_close(spectrogram(voice).mean(dim=0), torch.zeros(80), atol=1e-5, rtol=0)


def test_bfloat16_is_near_float32(voice):
    module = LogMelSpectrogram(**SETTINGS)
    mask = torch.ones(1, 8000, dtype=torch.bool)
    expected, _ = module(voice[None], mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(module(voice[None], mask)[0], expected)
    assert_close(module.to(torch.bfloat16)(voice[None], mask)[0], expected, atol=0.15, rtol=0)


def test_intervals_have_all_widths_and_stay_inside():
    torch.manual_seed(0)
    lengths, widest = torch.tensor([50, 9]).repeat(2000), torch.tensor([5, 1]).repeat(2000)
    one = random_intervals(lengths, widest, 60, 1)
    for row, (length, most) in enumerate(((50, 5), (9, 1))):
        chosen = one[row::2]
        widths = chosen.sum(dim=1)
        assert set(widths.tolist()) == set(range(most + 1))
        assert widths.float().mean() == pytest.approx(most / 2, abs=0.15)
        assert chosen.any(dim=0).nonzero().flatten().tolist() == list(range(length))
    starts = random_intervals(lengths, torch.ones_like(widest), 60, 2).sum(dim=1)
    # Nothing is masked if the only interval is empty (1/2 * 1/2) or both are (1/2 * 1/4).
    assert (starts == 0).float().mean() == pytest.approx(0.375, abs=0.03)


def test_masks_respect_limits_and_differ_between_utterances():
    torch.manual_seed(0)
    states = torch.ones(300, 100, 80)
    mask = torch.arange(100) < torch.tensor([100, 20, 4]).repeat(100)[:, None]
    masked = mask_spectrogram(states, mask, num_masks=2, bands=15, frames=40, share=0.2)
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    bands, frames = (masked == 0).all(dim=1), (masked == 0).all(dim=2)
    assert (masked == 0).logical_xor(bands.unsqueeze(1) | frames.unsqueeze(2)).sum() == 0
    assert bands.sum(dim=1).max() > 15
    assert bands.sum(dim=1).max() <= 30
    assert len({tuple(row) for row in bands.tolist()}) > 250
    for row, most in enumerate((40, 8, 0)):
        hidden = frames[row::3].sum(dim=1)
        assert hidden.max() <= most
        assert not most or hidden.max() > most // 2
    assert not frames[~mask].any()
