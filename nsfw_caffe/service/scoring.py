"""From what a request asks to the pool's answers, one picture at a time or many."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Iterator, Sequence
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from nsfw_caffe.service.bodies import Share
from nsfw_caffe.service.fetching import Fetcher
from nsfw_caffe.service.jobs import Answer, Busy, Job, Task
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.refusals import Refused, later, refusal
from nsfw_caffe.service.requests import Item

_PAUSE = 0.05
"""Seconds until one of many pictures asks again for a place in the queue."""

_Value = TypeVar("_Value")


class Scoring:
    """What has pictures scored.

    Parameters
    ----------
    pool : Pool
        What does it.
    options : ServiceOptions
        How many at a time, and what may be fetched.
    fetcher : Fetcher or None
        What fetches; None where nothing may be.
    metrics : Metrics
        Where it is counted.
    """

    def __init__(self, pool: Pool, options: ServiceOptions, fetcher: Fetcher | None, metrics: Metrics) -> None:
        self._pool = pool
        self._options = options
        self._fetcher = fetcher
        self._metrics = metrics

    def require_room(self) -> None:
        """Raise Refused where a picture would be refused: before its body is read."""
        if self._pool.draining:
            raise later("draining", "the service is about to end")
        if self._pool.waiting >= self._options.queue:
            raise later("busy", "too many pictures are waiting")

    async def one(self, item: Item, share: Share, task: Task = "score", fine: bool = False) -> Answer:
        """Return the answer for one picture; what it raises is known to `refusal`."""
        content = await self._content(item, share)
        answer = await self._pool.run(Job(content, task, fine))
        self._metrics.count_score(answer.score, answer.seconds)
        return answer

    async def many(self, items: Sequence[Item], share: Share) -> list[Answer | Refused]:
        """Return the answer for each of many pictures, or why there is none.

        As many are under way as there are workers, so that others have their turn. Each waits for a place in the queue
        for as long as a picture may take.
        """
        found: dict[int, Answer | Refused] = {}
        pending = iter(enumerate(items))
        tasks = [asyncio.ensure_future(self._some(pending, share, found)) for _ in range(self._options.workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _cancel(tasks)
        return [found[index] for index in range(len(items))]

    async def _some(
        self, pending: Iterator[tuple[int, Item]], share: Share, found: dict[int, Answer | Refused]
    ) -> None:
        for index, item in pending:
            try:
                found[index] = await self._patiently(item, share)
            except Exception as error:
                refused = refusal(error)
                if refused is None:
                    raise
                self._metrics.count_refusal(refused.reason)
                found[index] = refused

    async def _patiently(self, item: Item, share: Share) -> Answer:
        end = time.monotonic() + self._options.seconds
        while True:
            try:
                return await self.one(item, share)
            except Busy:
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(_PAUSE)

    async def _content(self, item: Item, share: Share) -> bytes:
        if item.refused is not None:
            raise item.refused
        if item.content is not None:
            return item.content
        if self._fetcher is None:
            raise Refused("url_refused", "pictures are not fetched by their URLs here (--allow-url)")
        share.take(self._options.body_bytes)  # as much as a fetch may bring
        start = time.perf_counter()
        try:
            return await self._fetcher.fetch(item.url or "")
        finally:
            self._metrics.count_seconds("fetch", time.perf_counter() - start)


async def while_wanted(receive: Receive, work: Awaitable[_Value]) -> _Value:
    """Return what work gives; when the client goes away before that, cancel it and raise ClientDisconnect.

    The request's body must have been read.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        await _cancel([working, leaving])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(tasks: Sequence[asyncio.Future[object]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
