"""Results of a function over steps, computed ahead by threads and handed out in the order of the steps.

Threads suffice: reading memory-mapped tokens and copying them into tensors releases the interpreter lock.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Loaded = TypeVar("Loaded")


@contextmanager
def in_order(
    load: Callable[[int], Loaded], steps: Iterable[int], workers: int, depth: int
) -> Iterator[Iterator[Loaded]]:
    """`load(step)` of every step, at most `depth` of them ahead of the reader.

    An exception of `load` is raised to the reader at its step's turn. Leaving the context cancels what has not
    begun and waits for what has, so no thread outlives it.
    """
    executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="loquela-loader")
    try:
        yield _results(executor, load, iter(steps), depth)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _results(
    executor: ThreadPoolExecutor, load: Callable[[int], Loaded], steps: Iterator[int], depth: int
) -> Iterator[Loaded]:
    waiting: deque[Future[Loaded]] = deque(executor.submit(load, step) for step in itertools.islice(steps, depth))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(executor.submit(load, step) for step in itertools.islice(steps, 1))
        yield result
