"""What is said of a service that cannot score, which one that runs is only for moments."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.types import Message

from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.service.app import create_app
from nsfw_caffe.service.fetching import Fetcher
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.set_up import Description, WorkerSetUp


def ask(path: str, state: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], str]:
    """Ask an application whose pool has no worker, and is in a state: the status, the headers and the reason."""

    async def application() -> list[Message]:
        options = ServiceOptions()
        pool = Pool(WorkerSetUp(ScoringOptions()), options)
        pool.description = Description(ScoringOptions(engine="caffe"), "0" * 64, ("sfw", "nsfw"), "nsfw")
        if state is not None:
            setattr(pool, state, True)
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
        await create_app(pool, options, Fetcher(options))(scope, receive, send)
        return sent

    start, body = asyncio.run(application())
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, json.loads(body["body"]).get("error", {}).get("reason", "")


@pytest.mark.parametrize(("state", "reason"), [(None, "not_ready"), ("retiring", "draining"), ("draining", "draining")])
def test_it_is_not_ready(state: str | None, reason: str) -> None:
    status, headers, found = ask("/readyz", state)
    assert (status, found, headers["retry-after"]) == (503, reason, "1")


@pytest.mark.parametrize("state", [None, "retiring", "draining"])
def test_it_is_alive(state: str | None) -> None:
    assert ask("/livez", state)[0] == 200


@pytest.mark.parametrize("path", ["/v1/score", "/v1/scores", "/v1/explain", "/v1/video"])
def test_what_comes_too_late_is_refused(path: str) -> None:
    status, headers, reason = ask(path, "draining", "POST")
    assert (status, reason, headers["retry-after"]) == (503, "draining", "1")
