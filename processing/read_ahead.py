"""Work in threads ahead of the model, with a bounded number of results in memory.

Decoders, resamplers and array operations compute without Python's lock, so threads suffice: nothing is pickled, and inputs
of any kind are taken.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

# Threads that decode: one for each core, and not more than this (ours).
MOST_THREADS = 8


def run_ahead(function: Callable[..., Any], items: Iterable[tuple], size: int, ahead: int) -> Iterator[list[Any]]:
    """Yield lists of `size` results in the order of the items; a shorter one at the end.

    Args:
        function: A function, which is called in threads.
        items: The arguments of each call. They are taken in this thread, one list and `ahead` items before they are
            needed and not earlier.
        size: The number of results of a list.
        ahead: The number of further calls that may be under way.

    Yields:
        The lists.
    """
    pending = deque()
    with _threads(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for item in items:
            pending.append(pool.submit(function, *item))
            if len(pending) == size + ahead:
                yield [pending.popleft().result() for _ in range(size)]
        while pending:
            yield [pending.popleft().result() for _ in range(min(size, len(pending)))]


def one_ahead(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each item with its result; that of the next one is computed in a thread in the meantime.

    Args:
        function: The function.
        items: The items.

    Yields:
        The pairs.
    """
    before = None
    with _threads(1) as pool:
        for item in items:
            started = item, pool.submit(function, item)
            if before is not None:
                yield before[0], before[1].result()
            before = started
        if before is not None:
            yield before[0], before[1].result()


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads, and end their work with the context: calls that have not begun are not made."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="emofusion")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
