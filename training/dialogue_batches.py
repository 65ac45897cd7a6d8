"""Batches of dialogues, for models in which an utterance depends on earlier ones (ours)."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import ProcessorMixin

from .arguments import EmotionTrainingArguments
from .sampler import lengths_of, load_batches

COLUMNS = ("id", "dialogue", "turn", "speaker")


class DialogueHistory:
    """The dialogues of a split, and for rows of it the earlier rows that they depend on.

    A row without dialogue or turn is a dialogue of its own.

    Args:
        rows: The split.
        reach: The number of earlier utterances that the scores of an utterance depend on.

    Attributes:
        dialogues: The numbers of the rows of each dialogue, in the order of their turns.

    Raises:
        ValueError: If the rows lack a column, or a dialogue has a turn twice.
    """

    def __init__(self, rows: Dataset, reach: int):
        if missing := [name for name in COLUMNS if name not in getattr(rows, "column_names", ())]:
            raise ValueError(
                f"The model reads earlier utterances of a dialogue (context_layers), and the rows have no column {missing[0]!r}; "
                f"give a Dataset with the columns {', '.join(COLUMNS)}."
            )
        self.rows, self.reach = rows, reach
        found, names = defaultdict(list), rows["id"][:]
        for row, (dialogue, turn) in enumerate(zip(rows["dialogue"][:], rows["turn"][:], strict=True)):
            found[row if dialogue is None or turn is None else dialogue].append((turn or 0, row))
        self.dialogues, self._places = [], {}
        for dialogue, turns in found.items():
            turns.sort()
            for (turn, row), (following, _) in pairwise(turns):
                if turn == following:
                    raise ValueError(
                        f"The dialogue {dialogue!r} has the turn {turn} twice, such as {names[row]!r}, so that the utterances "
                        "before another are unknown: number the turns of a dialogue, or leave context_layers out."
                    )
            self._places |= {names[row]: (len(self.dialogues), rank) for rank, (_, row) in enumerate(turns)}
            self.dialogues.append([row for _, row in turns])

    def complete(self, rows: Sequence[Mapping]) -> tuple[list[Mapping], dict[str, tuple[int, ...]]]:
        """Return rows with the earlier rows that they depend on behind them, and the places of all.

        Args:
            rows: Rows of the split, in any order.

        Returns:
            The rows; and the argument `dialogues` of a model.

        Raises:
            ValueError: If a row is not of the split.
        """
        places, wanted, asked = [], {}, set()
        for row in rows:
            if (name := row.get("id")) not in self._places:
                raise ValueError(
                    f"The row {name!r} is not among those whose dialogues are known; give these rows alone."
                )
            dialogue, rank = self._places[name]
            # A row that occurs twice, as where processes share a small split, has a history of its own.
            number = dialogue if name not in asked else len(self.dialogues) + len(places)
            asked.add(name)
            places.append((number, rank))
            for earlier in range(max(0, rank - self.reach), rank):
                wanted[number, earlier] = self.dialogues[dialogue][earlier]
        wanted = {place: row for place, row in wanted.items() if place not in set(places)}
        completed = [*rows, *(self.rows.__getitems__(list(wanted.values())) if wanted else ())]
        names = {None: -1}
        speakers = tuple(names.setdefault(row["speaker"], len(names)) for row in completed)
        dialogues, turns = zip(*places, *wanted, strict=True)
        return completed, {"dialogue": dialogues, "turn": turns, "speaker": speakers, "asked": (len(rows),)}


class Piece(NamedTuple):
    """Consecutive utterances of a dialogue.

    Args:
        rows: The numbers of their rows.
        count: What they count in a batch: their number, or with a limit in seconds that with their history.
        longest: The length of the longest in seconds; 0 without such a limit.
    """

    rows: tuple[int, ...]
    count: int
    longest: float


@dataclass
class Limit:
    """The largest batch of one process.

    Args:
        batch_size: Utterances, their history not counted. Give this or `max_seconds`.
        max_seconds: Seconds with padding, history included.
    """

    batch_size: int | None = None
    max_seconds: float | None = None

    def fits(self, count: int, longest: float) -> bool:
        """Return whether `count` utterances, none longer than `longest`, are within the limit."""
        return count <= self.batch_size if self.max_seconds is None else count * longest <= self.max_seconds


class DialogueBatchSampler(torch.utils.data.BatchSampler):
    """Yields every utterance once per epoch, in batches of whole dialogues or of pieces of long ones.

    A dialogue that exceeds the limit is cut into pieces of consecutive utterances; the utterances before a piece that it
    depends on come with it as history. Batches are filled with pieces, longest first, drawn anew in each epoch among those
    of equal size, and shuffled. Every epoch has the same number of batches, which the processes share evenly.

    Args:
        history: The dialogues.
        limit: The largest batch of one process.
        lengths: Lengths of the utterances in seconds, `(utterances,)`, for a limit in seconds.
        num_processes: Number of processes.
        seed: Seed of the shuffling.

    Raises:
        ValueError: If an utterance with its history exceeds the limit, or there are too few utterances for all processes.
    """

    def __init__(
        self,
        history: DialogueHistory,
        limit: Limit,
        lengths: np.ndarray | None = None,
        num_processes: int = 1,
        seed: int = 0,
    ):
        self.limit, self.num_processes, self.seed, self.epoch = limit, num_processes, seed, 0
        self.batch_size = None  # for accelerate: batches differ in size
        self.drop_last = False
        self._pieces = [
            piece for dialogue in history.dialogues for piece in self._cut(dialogue, history.reach, lengths)
        ]
        self._count = len(self._pack(np.random.default_rng(0)))

    def __len__(self) -> int:
        """Number of batches of all processes."""
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        batches = sorted(self._pack(random), key=len)  # those of one step are of similar size
        for step in random.permutation(len(batches) // self.num_processes):
            yield from batches[step * self.num_processes : (step + 1) * self.num_processes]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next iteration yields."""
        self.epoch = epoch

    def _cut(self, dialogue: list[int], reach: int, lengths: np.ndarray | None) -> Iterator[Piece]:
        if self.limit.max_seconds is None:
            for part in np.array_split(dialogue, math.ceil(len(dialogue) / self.limit.batch_size)):
                yield Piece(tuple(part.tolist()), len(part), 0.0)
            return
        start = 0
        while start < len(dialogue):
            first, end = max(0, start - reach), start
            longest = max(lengths[dialogue[first:end]], default=0.0)
            while end < len(dialogue) and self.limit.fits(end + 1 - first, max(longest, lengths[dialogue[end]])):
                longest, end = max(longest, lengths[dialogue[end]]), end + 1
            if end == start:
                seconds = (end + 1 - first) * max(longest, lengths[dialogue[end]])
                raise ValueError(
                    f"max_batch_seconds is {self.limit.max_seconds:g}, and an utterance with the {start - first} before it takes "
                    f"{seconds:.1f} s; give more, or a smaller context_window."
                )
            yield Piece(tuple(dialogue[start:end]), end - first, float(longest))
            start = end

    def _pack(self, random: np.random.Generator) -> list[list[int]]:
        """Return the batches of an epoch."""
        shuffled = [self._pieces[number] for number in random.permutation(len(self._pieces))]
        batches, open_batches = [], []  # each as its count, longest length and rows
        for piece in sorted(shuffled, key=lambda piece: (-piece.count, -piece.longest)):
            for batch in open_batches:
                if self.limit.fits(batch[0] + piece.count, max(batch[1], piece.longest)):
                    break
            else:
                batch = [0, 0.0, []]
                batches.append(batch)
                open_batches.append(batch)
            batch[0] += piece.count
            batch[1] = max(batch[1], piece.longest)
            batch[2] += piece.rows
            if not self.limit.fits(batch[0] + 1, batch[1]):
                open_batches.remove(batch)
        return self._even([rows for _, _, rows in batches])

    def _even(self, batches: list[list[int]]) -> list[list[int]]:
        """Halve the largest batches until the processes can share them."""
        while len(batches) % self.num_processes:
            largest = max(batches, key=len)
            if len(largest) < 2:
                raise ValueError(f"{len(batches)} utterances are too few for {self.num_processes} processes.")
            batches.remove(largest)
            batches += [largest[: len(largest) // 2], largest[len(largest) // 2 :]]
        return batches


def check_batches(args: EmotionTrainingArguments) -> None:
    """Raise a `ValueError` if the arguments ask for other batches than dialogues."""
    if args.group_by_length or args.sampler != "random":
        name = "group_by_length" if args.group_by_length else "sampler"
        raise ValueError(f"{name} is given, but a model with context_layers is trained in dialogues; leave it out.")


def group_by_dialogue(
    rows: Dataset, processor: ProcessorMixin, collator: Callable, args: EmotionTrainingArguments
) -> DataLoader:
    """Return a data loader with batches of dialogues.

    Args:
        rows: The training split.
        processor: The processor of the model.
        collator: The collator, with the history of the split.
        args: The arguments of the run.

    Raises:
        ValueError: As in `DialogueBatchSampler` and `lengths_of`, or if the arguments ask for other batches.
    """
    check_batches(args)
    seconds = args.max_batch_seconds
    sampler = DialogueBatchSampler(
        collator.history,
        Limit(args.per_device_train_batch_size) if seconds is None else Limit(max_seconds=seconds),
        None if seconds is None else lengths_of(rows, processor, in_seconds=True),
        args.world_size,
        args.seed if args.data_seed is None else args.data_seed,
    )
    return load_batches(rows, sampler, collator, args)
