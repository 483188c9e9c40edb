"""A function over many items in several threads: results in order, a bounded number of them in memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

WINDOW = 8
"""Items a thread that may be under way or finished out of order: what bounds the memory."""


def ordered_map(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, window: int = WINDOW
) -> Generator[tuple[_Item, _Result], None, None]:
    """Apply a function in several threads.

    Parameters
    ----------
    function : callable
        It gains from threads where it releases the GIL.
    items : iterable
        Read in the caller's thread as the work goes on, and may be endless.
    threads : int
        How many; with one, everything is done in the caller's thread.
    window : int, default WINDOW
        Items a thread that may be under way or finished out of order.

    Yields
    ------
    tuple
        The item and its result, in the order of the items.
    """
    if threads == 1:
        yield from ((item, function(item)) for item in items)
        return
    remaining = iter(items)
    under_way: deque[tuple[_Item, Future[_Result]]] = deque()
    executor = ThreadPoolExecutor(threads, thread_name_prefix="nsfw_caffe")
    try:
        while True:
            for item in itertools.islice(remaining, window * threads - len(under_way)):
                under_way.append((item, executor.submit(function, item)))
            if not under_way:
                return
            item, future = under_way.popleft()
            yield item, future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
