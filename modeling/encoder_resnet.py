"""A ResNet of basic blocks over spectrograms of different lengths.

transformers' `ResNetModel` opens with a strided 7x7 convolution and a pooling, and knows no lengths; here the stem is
3x3 and keeps the resolution. What lies beyond an utterance's end is zero wherever a convolution could see it, so that
padding looks like the nothing that it stands for, and batch normalisation learns from valid frames only.
"""

import torch
from torch import nn


class MaskedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of the valid frames (ours); `nn.BatchNorm2d` without padding.

    Under several processes each one normalises by its own batch. With gradient checkpointing the running statistics
    take each batch in twice, which changes how fast they follow and not where to.
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
            step = self.momentum * (count > 0)  # a batch without any audio teaches nothing
            unbiased = variance * (count / (count - 1).clamp_min(1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), step.to(self.running_mean.dtype))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), step.to(self.running_var.dtype))
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(hidden_states.dtype)


class ConvNorm(nn.Module):
    """A convolution without bias, and batch normalisation; strided positions are 0, `stride`, `2 * stride`, ..."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
        self.norm = MaskedBatchNorm2d(out_channels)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch, channels, bands, frames)`, zero beyond each end, and the mask of the frames that come out."""
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
        """`(batch, channels, bands, frames)`, zero beyond each end, and the mask of the frames that come out."""
        residual = hidden_states if self.shortcut is None else self.shortcut(hidden_states, mask)
        valid = mask[:, None, None, :]
        hidden_states = self.first(hidden_states, mask).relu() * valid
        return (residual + self.second(hidden_states, mask)).relu() * valid


class ResNet(nn.Module):
    """Stem and stages; every stage but the first halves frequency and time.

    transformers finds `gradient_checkpointing` here, sets it, and says by what function a block is to be called then.
    (Its `GradientCheckpointingLayer` cannot be imported by a module that registers with the Auto classes.)

    Args:
        hidden_sizes: channels of the stages.
        depths: blocks of the stages.
    """

    def __init__(self, hidden_sizes: list[int], depths: list[int]):
        super().__init__()
        self.hidden_sizes = hidden_sizes
        self.gradient_checkpointing = False
        self.stem = ConvNorm(1, hidden_sizes[0], 3)
        self.layers = nn.ModuleList()
        for number, (size, depth) in enumerate(zip(hidden_sizes, depths, strict=True)):
            before = hidden_sizes[max(number - 1, 0)]
            first = BasicBlock(before, size, stride=2 if number else 1)
            self.layers.append(nn.ModuleList([first, *(BasicBlock(size, size, stride=1) for _ in range(depth - 1))]))

    def embed_frames(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The stem.

        Args:
            states: `(batch, frames, bands)` spectrogram, zero beyond each end.
            mask: `(batch, frames)`, bool.

        Returns:
            `(batch, frames, channels * bands)`, zero beyond each end.
        """
        hidden_states = self.stem(_as_picture(states, 1), mask).relu()
        return _as_frames(hidden_states * mask[:, None, None, :])

    def run_layers(
        self, states: torch.Tensor, mask: torch.Tensor, start: int, stop: int
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Stages `start` to `stop` (excluded).

        Args:
            states: `(batch, frames, channels * bands)`, the input of stage `start`, zero beyond each end.
            mask: `(batch, frames)`, bool.
            start: first stage.
            stop: stage before which to stop.

        Returns:
            The states `(batch, frames, channels * bands)`, their mask, and the input of every stage that ran and then
            the output. The frames are fewer after each stage but the first.
        """
        hidden_states = _as_picture(states, self.hidden_sizes[max(start - 1, 0)])
        all_states = [states]
        for stage in self.layers[start:stop]:
            for block in stage:
                mask = mask[:, :: block.stride]
                if self.gradient_checkpointing and self.training:
                    hidden_states = self._gradient_checkpointing_func(block, hidden_states, mask)
                else:
                    hidden_states = block(hidden_states, mask)
            all_states.append(_as_frames(hidden_states))
        return all_states[-1], mask, tuple(all_states)


def _as_picture(states: torch.Tensor, channels: int) -> torch.Tensor:
    """`(batch, frames, channels * bands)` to `(batch, channels, bands, frames)`."""
    return states.unflatten(2, (channels, -1)).permute(0, 2, 3, 1)


def _as_frames(hidden_states: torch.Tensor) -> torch.Tensor:
    return hidden_states.permute(0, 3, 1, 2).flatten(2)
