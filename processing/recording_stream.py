"""Recordings of any length as a stream of rows for the model, and the rows of each as its answer."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import closing
from typing import Any

from .long_recordings import Recording, RecordingReader
from .read_ahead import one_ahead, run_ahead
from .utterance_reader import Failure, ReadUtterances
from .windows import Span

AHEAD = 4  # stretches that are read ahead of the model (ours)


class ReadRecordings:
    """Recordings that are read lazily, as the rows of their windows.

    Args:
        reader: The reader.
        inputs: The utterances.
        on_error: See the pipeline.

    Attributes:
        plans: The recordings, or their failures, that are not answered yet.
    """

    def __init__(self, reader: RecordingReader, inputs: Iterable[Any], on_error: str = "raise"):
        self.reader, self.inputs = reader, ReadUtterances(reader.reader, inputs, reader.options)
        self.plans, self.on_error = deque(), on_error

    def rows(self) -> Iterator[dict | Failure]:
        """Yield the rows of all windows; those of a list or a dataset are read ahead, in threads."""
        ahead = AHEAD if isinstance(self.inputs.inputs, Sized) else 0
        with (
            closing(self._stretches()) as stretches,
            closing(run_ahead(self.reader.read, stretches, 1, ahead)) as read,
        ):
            for (rows,) in read:
                yield from rows

    def _stretches(self) -> Iterator[tuple[Recording, list[int]]]:
        with closing(self._plans()) as plans:
            for recording in plans:
                if isinstance(recording, Failure) and self.on_error == "raise":
                    raise recording.error
                self.plans.append(recording)
                if not isinstance(recording, Failure):
                    yield from ((recording, numbers) for numbers in recording.stretches())

    def _plans(self) -> Iterator[Recording | Failure]:
        """Yield the recordings with their spans; that of the next one of a list or a dataset are found in a thread."""
        inputs = self.inputs

        def plan(item: tuple[int, Any]) -> Recording | Failure:
            return self.reader.plan(item[1], inputs.place(item[0]))

        if not isinstance(inputs.inputs, Sized):
            yield from map(plan, enumerate(inputs.inputs))
            return
        with closing(one_ahead(plan, ((number, inputs.get(number)) for number in range(len(inputs))))) as planned:
            for _, recording in planned:
                yield recording

    def number_rows(self, outputs: Iterator[Any], answer: Callable[[Span, Any], dict]) -> Iterator[dict]:
        """Yield each row as soon as it is there, with `input`, the position of its recording, its `row` and the number of `rows`.

        A recording without rows is `{"input": ..., "rows": 0}`, one that cannot be used `{"input": ..., "error": ...}`.

        Args:
            outputs: See `join`.
            answer: See `join`.
        """
        number, row = 0, 0

        def without_rows() -> Iterator[dict]:
            nonlocal number
            for found in self._without_rows():
                yield {"input": number, **(found or {"rows": 0})}
                number += 1

        for output in outputs:
            yield from without_rows()
            spans = self.plans[0].spans
            yield {"input": number, "row": row, "rows": len(spans), **answer(spans[row], output)}
            row += 1
            if row == len(spans):
                self.plans.popleft()
                number, row = number + 1, 0
        yield from without_rows()

    def join(self, outputs: Iterator[Any], answer: Callable[[Span, Any], dict]) -> Iterator[list | dict]:
        """Yield the answer for each recording, in order: its rows, or its error.

        Args:
            outputs: The outputs of the model for the rows, in order.
            answer: A function that returns the row of a span and its output.
        """
        rows = []
        for output in outputs:
            yield from self._without_rows()
            rows.append(answer(self.plans[0].spans[len(rows)], output))
            if len(rows) == len(self.plans[0].spans):
                self.plans.popleft()
                yield rows
                rows = []
        yield from self._without_rows()

    def _without_rows(self) -> Iterator[list | dict]:
        """Yield the answers for recordings that have no rows, up to the first that has."""
        while self.plans and (isinstance(self.plans[0], Failure) or not self.plans[0].spans):
            recording = self.plans.popleft()
            yield {"error": recording.message} if isinstance(recording, Failure) else []
