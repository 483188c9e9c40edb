"""From what a request asks to the pool's answers, one picture or video at a time, or many pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from nsfw_caffe.service.bodies import Held, Share
from nsfw_caffe.service.fetching import Fetcher
from nsfw_caffe.service.jobs import Answer, Busy, Draining, Job, Kind
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.refusals import Refused, refusal
from nsfw_caffe.service.requests import Item

_PAUSE = 0.05
"""Seconds until one of many pictures asks again for a place in the queue."""

_Value = TypeVar("_Value")


class Scoring:
    """What has pictures and videos scored.

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

    def require_room(self, kind: Kind = "picture") -> None:
        """Raise what a picture or video would be refused with: before its body is read."""
        if self._pool.draining:
            raise Draining("the service is about to end")
        self._pool.require_room(kind)

    async def one(self, item: Item, job: Callable[[bytes], Job] = Job) -> Answer:
        """Return the answer to the job that is made of an item's content; what it raises is known to `refusal`."""
        if item.refused is not None:
            raise item.refused
        if item.content is not None:
            return await self._run(job(item.content))
        with Share(self.held) as share:
            share.take(self._options.body_bytes)  # as much as a fetch may bring
            start = time.perf_counter()
            try:
                content = await self._fetcher.fetch(item.url or "")
            finally:
                self._metrics.count_seconds("fetch", time.perf_counter() - start)
            return await self._run(job(content))

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
            try:
                # Not by being refused again and again: what is fetched would be fetched again.
                self._pool.require_room()
                return await self.one(item)
            except Busy:
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(_PAUSE)

    async def _run(self, job: Job) -> Answer:
        answer = await self._pool.run(job)
        self._metrics.count_score(job.kind, answer.score, answer.seconds)
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
