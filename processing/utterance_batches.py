"""Batches of utterances, which are read ahead of the model."""

from collections.abc import Iterator, Sized
from itertools import islice
from typing import NamedTuple

from torch.utils.data import DataLoader

from .read_ahead import run_ahead
from .utterance_reader import Failure, ReadUtterances, unchanged

# Number of batches that are read together, so that recordings of similar length share a batch; as many are read ahead.
WINDOW = 4


class Batch(NamedTuple):
    """A batch of utterances.

    Attributes:
        window: The utterances that were read together, or their failures.
        numbers: The positions of the batch in the window.
    """

    window: list[dict | Failure]
    numbers: list[int]

    @property
    def rows(self) -> list[dict | Failure]:
        """The utterances of the batch."""
        return [self.window[number] for number in self.numbers]


def read_batches(source: ReadUtterances, num_workers: int, batch_size: int) -> Iterator[Batch]:
    """Yield the batches of all utterances.

    A list or a dataset is read ahead, in threads or processes, and batches are of similar length. A stream is read one batch
    at a time.

    Args:
        source: The utterances.
        num_workers: The number of processes that read; 0 means threads of this process.
        batch_size: The number of utterances in a batch.

    Yields:
        The batches; those of one window follow each other.
    """
    window = batch_size if batch_size == 1 else WINDOW * batch_size
    if not isinstance(source.inputs, Sized):
        windows = run_ahead(source.read, enumerate(source.inputs), batch_size, 0)
    elif num_workers:
        rows = iter(DataLoader(source, batch_size=None, collate_fn=unchanged, num_workers=num_workers))
        windows = iter(lambda: list(islice(rows, window)), [])
    else:
        items = ((number, source.get(number)) for number in range(len(source)))
        windows = run_ahead(source.read, items, window, WINDOW * batch_size)
    for group in windows:
        lengths = list(map(_length, group))
        order = sorted(range(len(group)), key=lengths.__getitem__)
        for first in range(0, len(order), batch_size):
            yield Batch(group, order[first : first + batch_size])


def _length(row: dict | Failure) -> tuple[int, int]:
    """Return the sort key of an utterance for batches of similar length: samples, then characters."""
    if isinstance(row, Failure):
        return 0, 0
    return 0 if row["audio"] is None else len(row["audio"]["array"]), len(row["text"] or "")
