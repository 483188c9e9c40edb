"""A function over many items in several threads: results in order, a bounded number of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

WINDOW = 8
"""Items a thread that may be under way or finished out of order: what bounds the memory, and so do..."""

ROOM = 1 << 28
"""... the bytes that they hold together, the last one not counted: 256 MiB, as many as one file may have by default."""


def ordered_map(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    threads: int,
    window: int = WINDOW,
    weigh: Callable[[_Item], int] = lambda item: 0,  # noqa: ARG005 - light ones
    room: int = ROOM,
) -> Generator[tuple[_Item, _Result], None, None]:
    """Apply a function in threads to items of `weigh` bytes, read as the work goes on; yield both in their order."""
    if threads == 1:
        yield from ((item, function(item)) for item in items)
        return
    remaining = iter(items)
    under_way: deque[tuple[_Item, int, Future[_Result]]] = deque()
    weight = 0
    exhausted = False
    executor = ThreadPoolExecutor(threads, thread_name_prefix="nsfw_caffe")
    try:
        while True:
            while not exhausted and len(under_way) < window * threads and weight < room:
                try:
                    item = next(remaining)
                except StopIteration:
                    exhausted = True
                else:
                    under_way.append((item, weigh(item), executor.submit(function, item)))
                    weight += under_way[-1][1]
            if not under_way:
                return
            item, size, future = under_way.popleft()
            yield item, future.result()
            weight -= size
            del item, future  # large ones are not to wait for the next
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
