"""From what a request asks to the pool's answers, one picture at a time or many."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from nsfw_caffe.service.bodies import Held, Share
from nsfw_caffe.service.fetching import Fetcher
from nsfw_caffe.service.jobs import Answer, Busy, Draining, Job, Task
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.refusals import Refused, refusal
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
    fetcher : Fetcher
        What fetches.
    metrics : Metrics
        Where it is counted.
    """

    def __init__(self, pool: Pool, options: ServiceOptions, fetcher: Fetcher, metrics: Metrics) -> None:
        self._pool = pool
        self._options = options
        self._fetcher = fetcher
        self._metrics = metrics
        self.held = Held((options.queue + options.workers) * options.body_bytes)

    def require_room(self) -> None:
        """Raise what a picture would be refused with: before its body is read."""
        if self._pool.draining:
            raise Draining("the service is about to end")
        if self._pool.waiting >= self._options.queue:
            raise Busy(self._pool.retry_after)

    async def one(self, item: Item, task: Task = "score", fine: bool = False) -> Answer:
        """Return the answer for one picture; what it raises is known to `refusal`."""
        if item.refused is not None:
            raise item.refused
        if item.content is not None:
            return await self._run(Job(item.content, task, fine))
        with Share(self.held) as share:
            share.take(self._options.body_bytes)  # as much as a fetch may bring
            start = time.perf_counter()
            try:
                content = await self._fetcher.fetch(item.url or "")
            finally:
                self._metrics.count_seconds("fetch", time.perf_counter() - start)
            return await self._run(Job(content, task, fine))

    async def many(self, items: Sequence[Item]) -> list[Answer | Refused]:
        """Return the answer for each of many pictures, or why there is none.

        As many are under way as there are workers, so that others have their turn. Each waits for a place in the queue
        for as long as a picture may take.
        """
        found: dict[int, Answer | Refused] = {}
        pending = iter(enumerate(items))
        tasks = [asyncio.ensure_future(self._some(pending, found)) for _ in range(self._options.workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _cancel(*tasks)
        return [found[index] for index in range(len(items))]

    async def _some(self, pending: Iterator[tuple[int, Item]], found: dict[int, Answer | Refused]) -> None:
        for index, item in pending:
            try:
                found[index] = await self._patiently(item)
            except Exception as error:
                refused = refusal(error)
                if refused is None:
                    raise
                self._metrics.count_refusal(refused.reason)
                found[index] = refused

    async def _patiently(self, item: Item) -> Answer:
        end = time.monotonic() + self._options.seconds
        while True:
            # Not by being refused again and again: what is fetched would be fetched again.
            if self._pool.waiting < self._options.queue:
                with contextlib.suppress(Busy):
                    return await self.one(item)
            if time.monotonic() > end:
                raise Busy(self._pool.retry_after)
            await asyncio.sleep(_PAUSE)

    async def _run(self, job: Job) -> Answer:
        answer = await self._pool.run(job)
        self._metrics.count_score(answer.score, answer.seconds)
        return answer


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
        await _cancel(working, leaving)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
