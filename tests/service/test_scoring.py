"""How much is held and asked for at once, whatever requests ask."""

from __future__ import annotations

import asyncio

import pytest

from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.service.fetching import Fetcher, FetchFailed
from nsfw_caffe.service.jobs import Busy, Draining
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.requests import Item
from nsfw_caffe.service.scoring import Scoring
from nsfw_caffe.service.set_up import WorkerSetUp

OPTIONS = ServiceOptions(workers=1, queue=1, body_bytes=10, allow_url=True)


class SlowFetcher(Fetcher):
    """Waits to be told, and then has nothing."""

    def __init__(self) -> None:
        super().__init__(OPTIONS)
        self.go_on = asyncio.Event()
        self.fetches = 0

    async def fetch(self, url: str) -> bytes:
        self.fetches += 1
        await self.go_on.wait()
        raise FetchFailed(url)


def scoring(fetcher: Fetcher) -> tuple[Scoring, Pool]:
    """Return what scores in a pool that has not been started."""
    pool = Pool(WorkerSetUp(ScoringOptions()), OPTIONS)
    return Scoring(pool, OPTIONS, fetcher, Metrics(pool)), pool


def test_no_more_is_fetched_at_once_than_may_be_held() -> None:
    async def fetch() -> None:
        fetcher = SlowFetcher()
        scorer, _ = scoring(fetcher)
        item = Item(url="https://example.org/")
        first = [asyncio.ensure_future(scorer.one(item)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await scorer.one(item)
        fetcher.go_on.set()
        assert [type(error) for error in await asyncio.gather(*first, return_exceptions=True)] == [FetchFailed] * 2
        with pytest.raises(FetchFailed):  # there is room again
            await scorer.one(item)
        assert fetcher.fetches == 3

    asyncio.run(fetch())


def test_a_service_that_is_about_to_end_takes_no_more() -> None:
    async def ask() -> None:
        scorer, pool = scoring(SlowFetcher())
        scorer.require_room()
        pool.draining = True
        with pytest.raises(Draining):
            scorer.require_room()

    asyncio.run(ask())
