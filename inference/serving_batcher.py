"""Recordings that arrive together go through the pipeline together, in one thread."""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A recording that waits for the model.

    Args:
        inputs: The utterance for the pipeline.
        options: Options of the call, which recordings of one call share.
        future: Its answer; a job that is cancelled before it runs is dropped.
    """

    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    future: Future = field(default_factory=Future)


class Batcher:
    """A thread that runs the pipeline on the recordings that wait.

    Args:
        recognise: The pipeline.
        batch_size: The largest number of recordings in a call, and of utterances or windows in a batch of the model.
        batch_seconds: The largest number of seconds in a batch of the model.
        max_wait: Seconds for which the model waits for others before a call, unless the call before had only one recording.
    """

    def __init__(self, recognise: Any, batch_size: int, batch_seconds: float, max_wait: float):
        self.recognise, self.batch_size, self.max_wait = recognise, batch_size, max_wait
        self._call = {"batch_size": batch_size, "batch_seconds": batch_seconds, "on_error": "return"}
        self._jobs: deque[Job] = deque()
        self._changed, self._is_closed, self.running = threading.Condition(), False, 0
        self._expects_others = True
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs, and takes recordings."""
        return self._thread.is_alive() and not self._is_closed

    @property
    def waiting(self) -> int:
        """The number of recordings that wait for the model."""
        with self._changed:
            return sum(not job.future.cancelled() for job in self._jobs)

    def submit(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Future:
        """Return the answer that the pipeline will give for a recording. To drop it, cancel it.

        Args:
            inputs: The utterance.
            options: Options of the call, in which keys and values can be compared.
        """
        job = Job(inputs, options)
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
        return job.future

    def close(self) -> None:
        """Answer all that wait, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        while (jobs := self._collect()) is not None:
            self.running, groups = len(jobs), []
            for job in jobs:
                group = next((group for group in groups if group[0].options == job.options), None)
                if group is None:
                    groups.append([job])
                else:
                    group.append(job)
            for group in groups:
                self._answer(group)
            self.running = 0

    def _collect(self) -> list[Job] | None:
        """Return recordings that arrived together, once somebody waits for one; None at the end."""
        with self._changed:
            while not self._jobs and not self._is_closed:
                self._changed.wait()
            if not self._jobs:
                return None
            # Nobody waits for others if there are none: a client that sends one request after another loses no time.
            until = time.monotonic() + (self.max_wait if self._expects_others or len(self._jobs) > 1 else 0.0)
            while len(self._jobs) < self.batch_size and not self._is_closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            taken = []
            while self._jobs and len(taken) < self.batch_size:
                job = self._jobs.popleft()
                if job.future.set_running_or_notify_cancel():
                    taken.append(job)
            self._expects_others = len(taken) > 1
            return taken

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Give each recording its answer. If the pipeline fails on several, each is tried alone."""
        try:
            inputs = [job.inputs for job in jobs]
            options = self._call | jobs[0].options
            # One alone needs no threads that read ahead.
            answers = (
                list(self.recognise(inputs, **options)) if len(jobs) > 1 else [self.recognise(*inputs, **options)]
            )
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            logger.warning("A batch of %d recordings failed, and each is tried alone.", len(jobs), exc_info=True)
            for job in jobs:
                self._answer([job])
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.future.set_result(answer)
