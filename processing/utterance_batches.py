"""Batches of utterances, which are read ahead of the model."""

from collections.abc import Iterator, Sized
from contextlib import closing
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


def read_batches(
    source: ReadUtterances, num_workers: int, batch_size: int, batch_seconds: float | None = None
) -> Iterator[Batch]:
    """Yield the batches of all utterances.

    A list or a dataset is read ahead, in threads or processes, and batches are of similar length. A stream is read one batch
    at a time.

    Args:
        source: The utterances.
        num_workers: The number of processes that read; 0 means threads of this process.
        batch_size: The number of utterances in a batch.
        batch_seconds: The largest number of seconds in a batch, padding included; None for no limit.

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
        yield from _form_batches(group, batch_size, batch_seconds)


def batch_rows(
    rows: Iterator[dict | Failure], is_stream: bool, batch_size: int, batch_seconds: float | None = None
) -> Iterator[Batch]:
    """Yield the batches of rows that are read elsewhere.

    Args:
        rows: The rows, or their failures.
        is_stream: Whether no more is read than one batch needs.
        batch_size: See `read_batches`.
        batch_seconds: See `read_batches`.

    Yields:
        The batches; those that are formed together follow each other.
    """
    windows, group, seconds = 1 if is_stream or batch_size == 1 else WINDOW, [], 0.0
    with closing(rows):
        for row in rows:
            group.append(row)
            seconds += _seconds(row)
            if len(group) == windows * batch_size or (batch_seconds and seconds >= windows * batch_seconds):
                yield from _form_batches(group, batch_size, batch_seconds)
                group, seconds = [], 0.0
    yield from _form_batches(group, batch_size, batch_seconds)


def _form_batches(group: list[dict | Failure], batch_size: int, batch_seconds: float | None) -> Iterator[Batch]:
    """Yield the batches of utterances that were read together, of similar length."""
    lengths, numbers = list(map(_length, group)), []
    for number in sorted(range(len(group)), key=lengths.__getitem__):
        is_full = len(numbers) == batch_size
        if batch_seconds is not None:  # the next one is the longest
            is_full |= bool(numbers) and (len(numbers) + 1) * _seconds(group[number]) > batch_seconds
        if is_full:
            yield Batch(group, numbers)
            numbers = []
        numbers.append(number)
    if numbers:
        yield Batch(group, numbers)


def _seconds(row: dict | Failure) -> float:
    """Return the length of a recording in seconds; 0.0 without one."""
    audio = None if isinstance(row, Failure) else row["audio"]
    return 0.0 if audio is None else len(audio["array"]) / audio["sampling_rate"]


def _length(row: dict | Failure) -> tuple[int, int]:
    """Return the sort key of an utterance for batches of similar length: samples, then characters."""
    if isinstance(row, Failure):
        return 0, 0
    return 0 if row["audio"] is None else len(row["audio"]["array"]), len(row["text"] or "")
