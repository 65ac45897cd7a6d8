"""Training batches with as many utterances of each class, and of each corpus (ours)."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch
from datasets import Dataset

from .arguments import EmotionTrainingArguments


def find_sampler(args: EmotionTrainingArguments, rows: Dataset, has_classes: bool = True) -> "BalancedSampler | None":
    """Return the sampler that the arguments ask for; None for Trainer's own.

    Args:
        args: The training arguments.
        rows: The training split.
        has_classes: Whether classes are learned. Without classes only corpora can be balanced.

    Raises:
        ValueError: If some utterances have no label.
    """
    if args.sampler == "random":
        return None
    labels, levels = rows["label"][:], []
    if args.sampler == "balanced_corpora":
        corpora = rows["corpus"][:] if "corpus" in rows.column_names else []
        levels += [corpora] if len(set(corpora)) > 1 else []
    if has_classes:
        if None in labels:
            raise ValueError(
                f"sampler is {args.sampler!r}, but training utterances without a label belong to no class; leave it out."
            )
        levels.append(labels)
    if not levels:  # one corpus, and no classes
        return None
    return BalancedSampler(*levels, seed=args.seed if args.data_seed is None else args.data_seed)


class BalancedSampler(torch.utils.data.Sampler):
    """Yields as many utterances of each group in an epoch, and as many in all as there are.

    With two groupings, such as by corpus and by class, each group of the first gets the same number, and inside it each
    group of the second that it has. An utterance of a small group occurs several times in an epoch, one of a large group
    at most once. The order depends only on the seed and the epoch, so that all processes draw the same one and a resumed
    run continues it.

    Args:
        *groupings: The group of each utterance, `(utterances,)`.
        seed: Seed of the draws.
    """

    def __init__(self, *groupings: Sequence[Hashable], seed: int = 0):
        self.groupings = [np.unique(np.asarray(groups), return_inverse=True)[1] for groups in groupings]
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.groupings[0])

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        drawn = _draw(np.arange(len(self)), len(self), self.groupings, random)
        yield from random.permutation(drawn).tolist()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next iteration yields."""
        self.epoch = epoch


def _draw(rows: np.ndarray, number: int, groupings: Sequence[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Return `number` of the rows, as many of each group."""
    if not groupings:
        times = -(-number // len(rows))
        return np.concatenate([random.permutation(rows) for _ in range(times)] or [rows])[:number]
    groups, others = groupings[0][rows], groupings[1:]
    names = random.permutation(np.unique(groups))  # who gets the remainder changes
    shares = np.array_split(np.arange(number), len(names))
    return np.concatenate(
        [_draw(rows[groups == name], len(share), others, random) for name, share in zip(names, shares, strict=True)]
    )
