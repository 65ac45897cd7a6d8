"""Mixup of training utterances (Zhang 2018, arXiv 1710.09412), of waveforms or of utterance embeddings (Verma 2019, arXiv 1806.05236)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..configuration.modalities import MODALITIES
from ..configuration.value_checks import is_number
from ..evaluation.prediction_records import UNKNOWN
from ..modeling.fusion_mixup import mix_rows

PLACES = ("waveform", "embedding")


class Mixup:
    """Mixes every row of a training batch with another row of it, and their labels in the same shares.

    The share of a row is drawn from Beta(alpha, alpha), and is the larger of the draw and its complement (Berthelot 2019,
    arXiv 1905.02249, equation 9): the mixture contains the same pairs, and the most probable class of a row stays its own.
    The random numbers depend only on the seed, the epoch and the ids of the batch, and are drawn on the host.

    - `waveform` mixes recordings after the processor; the shorter one of a pair is followed by silence.
    - `embedding` mixes the fused embeddings inside the model, which gets the draw as the input `mixup`.

    Args:
        options: The place and its alpha, such as `{"embedding": 0.2}`.
        seed: Seed of the random numbers.

    Raises:
        ValueError: If the options are bad.
    """

    def __init__(self, options: Mapping, seed: int):
        check_mixup(options)
        self.options = dict(options)
        ((self.place, self.alpha),) = self.options.items()
        self.seed = seed
        # In shared memory, because workers may live longer than an epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the random numbers depend on."""
        self._epoch.fill_(epoch)

    def draw(self, ids: Sequence[str]) -> dict[str, list]:
        """Return the partners of rows, as numbers of rows, and the shares of the rows themselves, from 0.5 to 1."""
        rng = np.random.default_rng([self.seed, int(self._epoch), *"\n".join(map(str, ids)).encode()])
        shares = rng.beta(self.alpha, self.alpha, size=len(ids))
        return {
            "partners": rng.permutation(len(ids)).tolist(),
            "shares": np.maximum(shares, 1 - shares).tolist(),
        }

    def __call__(self, batch: dict[str, Any], ids: Sequence[str], classes: Mapping[str, int]) -> dict[str, Any]:
        """Mix a batch in place and return it.

        Args:
            batch: A batch of the forward contract with `lengths` and labels.
            ids: The ids of its rows.
            classes: For each key of class numbers in the batch, the number of classes.
        """
        mixup = self.draw(ids)
        if self.place == "embedding":
            batch["mixup"] = mixup
        else:
            _mix_waveforms(batch, mixup)
        for key in ("labels", "dimension_labels"):
            if key in batch:
                batch[key] = mix_labels(batch[key], classes.get(key), mixup)
        for key, labels in batch.get("auxiliary_labels", {}).items():
            batch["auxiliary_labels"][key] = mix_labels(labels, classes[key], mixup)
        return batch


def mix_labels(labels: torch.Tensor, classes: int | None, mixup: Mapping[str, list]) -> torch.Tensor:
    """Return mixed labels in float32.

    Args:
        labels: `(batch,)` class numbers, -100 where unknown; `(batch, classes)` shares, all 0 where unknown; or values
            `(batch, dimensions)`, NaN where unknown.
        classes: The number of classes; None for values.
        mixup: From [`Mixup.draw`].

    Returns:
        `(batch, classes)`, all 0 where the row or its partner is unknown; or `(batch, dimensions)`, NaN there.
    """
    if classes is None:
        return mix_rows(labels, mixup)
    if not labels.is_floating_point():
        labels = F.one_hot(labels.clamp_min(0), classes).float() * (labels != UNKNOWN)[:, None]
    known = labels.any(dim=-1)
    return mix_rows(labels, mixup) * (known & known[mixup["partners"]])[:, None]


def _mix_waveforms(batch: dict[str, Any], mixup: Mapping[str, list]) -> None:
    audio, partners = MODALITIES["audio"], mixup["partners"]
    batch[audio.main_input] = mix_rows(batch[audio.main_input], mixup)
    batch[audio.mask] = torch.maximum(batch[audio.mask], batch[audio.mask][partners])
    lengths = batch["lengths"]["audio"]
    batch["lengths"]["audio"] = tuple(
        max(length, lengths[number]) for length, number in zip(lengths, partners, strict=True)
    )


def check_mixup(options: Mapping) -> None:
    """Check the options of mixup; none are right.

    Raises:
        ValueError: If a place is unknown, several are given, or alpha is no positive number.
    """
    if not options:
        return
    if len(options) != 1 or not set(options) <= set(PLACES):
        raise ValueError(
            f"mixup is {dict(options)!r}; name one of {' and '.join(PLACES)} with its alpha, such as {{embedding: 0.2}}."
        )
    ((place, alpha),) = options.items()
    if not is_number(alpha) or not 0 < alpha <= 100:
        raise ValueError(f"mixup.{place} is {alpha!r}; it must be a number above 0 and at most 100, such as 0.2.")


def check_mixup_fits(options: Mapping, processor: Any) -> None:
    """Raise a ValueError if waveforms are mixed for a model that reads more than speech, or no speech."""
    if "waveform" not in options:
        return
    others = [
        m.word
        for name, m in MODALITIES.items()
        if name != "audio" and getattr(processor, m.processor_part) is not None
    ]
    if processor.feature_extractor is None or others:
        raise ValueError(
            f"mixup.waveform mixes recordings, but the model reads {' and '.join(others)}"
            f"{' too' if processor.feature_extractor is not None else ''}; use mixup.embedding."
        )
