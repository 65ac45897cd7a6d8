"""Training batches with as many utterances of each class (ours)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from datasets import Dataset

from .arguments import EmotionTrainingArguments


def find_sampler(args: EmotionTrainingArguments, rows: Dataset) -> "BalancedSampler | None":
    """Return the sampler that the arguments ask for; None for Trainer's own.

    Args:
        args: The training arguments.
        rows: The training split.

    Raises:
        ValueError: If an utterance has no label.
    """
    if args.sampler == "random":
        return None
    if None in (labels := rows["label"][:]):
        raise ValueError(
            "sampler is 'balanced', but training utterances without a label belong to no class; leave it out."
        )
    return BalancedSampler(labels, args.seed if args.data_seed is None else args.data_seed)


class BalancedSampler(torch.utils.data.Sampler):
    """Yields as many utterances of each class in an epoch, and as many in all as there are.

    An utterance of a rare class occurs several times in an epoch, one of a frequent class at most once. The order
    depends only on the seed and the epoch, so that all processes draw the same one and a resumed run continues it.

    Args:
        labels: Number of the class of each utterance.
        seed: Seed of the draws.
    """

    def __init__(self, labels: Sequence[int], seed: int = 0):
        self.labels = np.asarray(labels)
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        classes = random.permutation(np.unique(self.labels))  # who gets the remainder changes
        drawn = []
        for share in np.array_split(np.arange(len(self.labels)), len(classes)):
            rows = np.flatnonzero(self.labels == classes[len(drawn)])
            times = -(-len(share) // len(rows))
            drawn.append(np.concatenate([random.permutation(rows) for _ in range(times)])[: len(share)])
        yield from random.permutation(np.concatenate(drawn)).tolist()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next iteration yields."""
        self.epoch = epoch
