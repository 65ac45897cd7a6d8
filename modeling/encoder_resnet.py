"""A ResNet of basic blocks over spectrograms of different lengths.

`ResNetModel` of transformers starts with a strided 7x7 convolution and a pooling, and does not support lengths. Here
the stem is 3x3 and keeps the resolution, padded frames are zero at the input of every convolution, and batch
normalisation uses valid frames only.
"""

import math

import torch
from torch import nn

from .modeling_lengths import Lengths


class MaskedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with statistics over valid frames only (ours); without padding equal to `nn.BatchNorm2d`.

    In distributed training each process normalises over its own batch. With gradient checkpointing the running
    statistics are updated twice per batch, so they converge faster to the same values.
    """

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Normalise `(batch, channels, bands, frames)` with its mask `(batch, frames)`, bool."""
        if not self.training:
            return super().forward(hidden_states)
        states = hidden_states.float()
        valid = mask[:, None, None, :]
        count = mask.sum() * states.shape[2]
        mean = (states * valid).sum(dim=(0, 2, 3)) / count.clamp_min(1)
        centred = states - mean[:, None, None]
        variance = (centred.square() * valid).sum(dim=(0, 2, 3)) / count.clamp_min(1)
        with torch.no_grad():
            step = self.momentum * (count > 0)  # no update from a batch without audio
            unbiased = variance * (count / (count - 1).clamp_min(1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), step.to(self.running_mean.dtype))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), step.to(self.running_var.dtype))
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(hidden_states.dtype)


class ConvNorm(nn.Module):
    """A convolution without bias and batch normalisation; strided outputs are at 0, `stride`, `2 * stride`, ..."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
        self.norm = MaskedBatchNorm2d(out_channels)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map `(batch, channels, bands, frames)`, zero where padded; the mask is that of the output frames."""
        return self.norm(self.conv(hidden_states), mask)


class BasicBlock(nn.Module):
    """`ReLU(x + BN(conv(ReLU(BN(conv(x))))))` with 3x3 convolutions; a strided 1x1 where shapes differ (He et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.first = ConvNorm(in_channels, out_channels, 3, stride)
        self.second = ConvNorm(out_channels, out_channels, 3)
        changes = stride > 1 or in_channels != out_channels
        self.shortcut = ConvNorm(in_channels, out_channels, 1, stride) if changes else None

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map `(batch, channels, bands, frames)`, zero where padded; the mask is that of the output frames."""
        residual = hidden_states if self.shortcut is None else self.shortcut(hidden_states, mask)
        valid = mask[:, None, None, :]
        hidden_states = self.first(hidden_states, mask).relu() * valid
        return (residual + self.second(hidden_states, mask)).relu() * valid


class ResNet(nn.Module):
    """Stem and stages; every stage but the first halves frequency and time.

    transformers sets `gradient_checkpointing` and `_gradient_checkpointing_func` on modules that have the first
    attribute. (Its `GradientCheckpointingLayer` cannot be imported by a module that registers with the Auto classes.)

    Args:
        hidden_sizes: The channels of each stage.
        depths: The number of blocks of each stage.
    """

    def __init__(self, hidden_sizes: list[int], depths: list[int]):
        super().__init__()
        self.hidden_sizes = hidden_sizes
        self.gradient_checkpointing = False
        self.stem = ConvNorm(1, hidden_sizes[0], 3)
        self.stages = nn.ModuleList()
        for number, (size, depth) in enumerate(zip(hidden_sizes, depths, strict=True)):
            before = hidden_sizes[max(number - 1, 0)]
            first = BasicBlock(before, size, stride=2 if number else 1)
            self.stages.append(nn.ModuleList([first, *(BasicBlock(size, size, stride=1) for _ in range(depth - 1))]))

    def run_stem(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Apply the stem.

        Args:
            states: `(batch, frames, bands)` spectrogram, zero where padded.
            mask: `(batch, frames)`, bool.

        Returns:
            `(batch, frames, channels * bands)`, zero where padded.
        """
        hidden_states = self.stem(_as_image(states, 1), mask).relu()
        return _as_frames(hidden_states * mask[:, None, None, :])

    def run_stages(
        self, states: torch.Tensor, mask: torch.Tensor, start: int, stop: int
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Run stages `start` to `stop` (excluded).

        Args:
            states: `(batch, frames, channels * bands)`, the input of stage `start`, zero where padded.
            mask: `(batch, frames)`, bool.
            start: The first stage.
            stop: The stage before which to stop.

        Returns:
            The states `(batch, frames, channels * bands)`; their mask; and the input of every stage and the output of
            the last one. Every stage but the first halves the number of frames.
        """
        hidden_states = _as_image(states, self.hidden_sizes[max(start - 1, 0)])
        all_states = [states]
        for stage in self.stages[start:stop]:
            for block in stage:
                mask = mask[:, :: block.stride]
                if self.gradient_checkpointing and self.training:
                    hidden_states = self._gradient_checkpointing_func(block, hidden_states, mask)
                else:
                    hidden_states = block(hidden_states, mask)
            all_states.append(_as_frames(hidden_states))
        return all_states[-1], mask, tuple(all_states)

    def count_frames(self, lengths: Lengths, start: int, stop: int) -> Lengths:
        """Return the number of frames of each row after stages `start` to `stop` (excluded)."""
        stride = math.prod(stage[0].stride for stage in self.stages[start:stop])
        return tuple(-(-length // stride) for length in lengths)


def _as_image(states: torch.Tensor, channels: int) -> torch.Tensor:
    """Reshape `(batch, frames, channels * bands)` to `(batch, channels, bands, frames)`."""
    return states.unflatten(2, (channels, -1)).permute(0, 2, 3, 1)


def _as_frames(hidden_states: torch.Tensor) -> torch.Tensor:
    return hidden_states.permute(0, 3, 1, 2).flatten(2)
