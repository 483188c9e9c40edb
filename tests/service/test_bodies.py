"""Bodies as they arrive, and what surrounds requests: what a server's client cannot bring about at will."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from nsfw_caffe.errors import ImageError, ScoreError
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.service.bodies import Body, Held, Lingering, Share
from nsfw_caffe.service.fetching import FetchFailed, FetchRefused, FetchTimedOut
from nsfw_caffe.service.jobs import Busy, Draining, Overtime, Unable, WorkerLost
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.multipart import Form
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.refusals import Refused, refusal
from nsfw_caffe.service.scoring import while_wanted
from nsfw_caffe.service.set_up import WorkerSetUp
from nsfw_caffe.service.watching import Watching
from tests.service.running import BOUNDARY, FORM, form

MOST = 100


def receiving(*pieces: bytes, then: Message | None = None) -> Receive:
    """Return what gives these pieces of a body, and then a message; nothing more ever where there is none."""
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if then is not None:
        messages.append(then)

    async def receive() -> Message:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    return receive


END: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


def body(receive: Receive, declared: int | None = None, held: Held | None = None) -> Body:
    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    share = Share(held or Held(10 * MOST))
    return Body({"headers": headers}, receive, most=MOST, seconds=0.1, share=share)


def refused(receive: Receive, declared: int | None = None) -> str:
    with pytest.raises(Refused) as caught:
        asyncio.run(body(receive, declared).read())
    return caught.value.reason


class TestBody:
    @pytest.mark.parametrize("declared", [None, 6])
    def test_it_is_what_was_sent(self, declared: int | None) -> None:
        assert asyncio.run(body(receiving(b"abc", b"def", then=END), declared).read()) == b"abcdef"

    def test_as_much_as_may_be(self) -> None:
        assert len(asyncio.run(body(receiving(b"x" * MOST, then=END), MOST).read())) == MOST

    def test_what_is_declared_as_too_much_is_not_read(self) -> None:
        assert refused(receiving(), MOST + 1) == "body_too_large"

    def test_what_is_too_much_is_not_read_to_its_end(self) -> None:
        assert refused(receiving(b"x" * MOST, b"x")) == "body_too_large"

    def test_time_is_for_all_of_it(self) -> None:
        pieces = receiving(*[b"x"] * 20)

        async def dripping() -> Message:
            await asyncio.sleep(0.02)
            return await pieces()

        assert refused(dripping) == "body_timeout"

    def test_less_than_was_declared(self) -> None:
        assert refused(receiving(b"abc", then=END), 6) == "bad_request"

    def test_who_is_gone_has_no_answer(self) -> None:
        with pytest.raises(ClientDisconnect):
            asyncio.run(body(receiving(b"abc", then=GONE), 6).read())


class TestHeld:
    def test_bodies_together_are_bounded(self) -> None:
        held = Held(10)
        with Share(held) as first, Share(held) as second:
            first.take(6)
            second.take(4)
            with pytest.raises(Busy):
                second.take(1)

    def test_what_ends_gives_its_share_back(self) -> None:
        held = Held(10)
        for _ in range(3):
            with pytest.raises(RuntimeError), Share(held) as share:  # noqa: PT012 - it ends by an error
                share.take(10)
                raise RuntimeError
        with Share(held) as share:
            share.take(10)

    def test_a_body_is_counted_as_it_arrives(self) -> None:
        with pytest.raises(Busy):
            asyncio.run(body(receiving(b"x" * 60, b"x" * 60), held=Held(50)).read())


class TestLingering:
    """What a refused client still sends is read, for a while."""

    @staticmethod
    def read(pieces: int, answers: Callable[[Scope, Receive, Send], Any], length: bytes = b"1000") -> int:
        """Return how many of these pieces, of ten bytes each, are read."""
        count = 0

        async def receive() -> Message:
            nonlocal count
            count += 1
            return {"type": "http.request", "body": b"x" * 10, "more_body": count < pieces}

        async def send(message: Message) -> None:
            pass

        scope = {"type": "http", "headers": [(b"content-length", length)] if length else []}
        asyncio.run(Lingering(answers, most=MOST)(scope, receive, send))
        return count

    @staticmethod
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    @staticmethod
    async def read_one(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    def test_it_is_read_to_its_end(self) -> None:
        assert self.read(5, self.refuse) == 5

    def test_but_no_more_than_a_body_may_have(self) -> None:
        assert self.read(1000, self.refuse) == MOST / 10 + 1

    def test_what_was_read_is_not_read_again(self) -> None:
        assert self.read(1, self.read_one) == 1

    def test_where_there_is_no_body_nothing_is(self) -> None:
        assert self.read(5, self.refuse, b"") == 0


class TestForm:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
    def test_pieces_may_be_cut_anywhere(self, size: int) -> None:
        content = bytes(range(256)) * 3 + f"\r\n--{BOUNDARY[:-1]}".encode() + b"\r\n\r"
        whole = form(("a.jpg", content), ("b.png", b""))
        taken = Form(FORM["Content-Type"], 2)
        for start in range(0, len(whole), size):
            taken.feed(whole[start : start + size])
        assert [(file.name, file.content) for file in taken.files()] == [("a.jpg", content), ("b.png", b"")]

    def test_other_fields_are_ignored(self) -> None:
        field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="text"\r\n\r\nvalue\r\n'.encode()
        taken = Form(FORM["Content-Type"], 1)
        taken.feed(field + form(("a", b"content")))
        assert [file.content for file in taken.files()] == [b"content"]

    def test_a_boundary_in_quotes(self) -> None:
        taken = Form('multipart/form-data; boundary="a b"', 1)
        taken.feed(form(("a", b"content"), boundary="a b"))
        assert len(taken.files()) == 1


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (ImageError("<3 bytes>", "not in any picture format"), "not_a_picture", 422),
        (ImageError("<3 bytes>", "2 pixels: the limit is 1 (Limits.pixels, --max-pixels)"), "over_limit", 422),
        (ScoreError("<3 bytes>", "the output is no probability"), "no_score", 422),
        (Overtime("too long"), "overtime", 422),
        (WorkerLost("lost"), "worker_lost", 422),
        (FetchRefused("no"), "url_refused", 403),
        (FetchFailed("no"), "fetch_failed", 502),
        (FetchTimedOut("no"), "fetch_timed_out", 504),
        (Busy(7), "busy", 503),
        (Unable("gone"), "not_ready", 503),
        (Draining("ends"), "draining", 503),
    ],
)
def test_every_error_of_the_parts_is_known(error: Exception, reason: str, status: int) -> None:
    found = refusal(error)
    assert found is not None
    assert (found.reason, found.status) == (reason, status)
    assert "<3 bytes>" not in found.message
    assert ("Retry-After" in found.headers) == (status == 503)


def test_retry_after_is_the_pools() -> None:
    found = refusal(Busy(7))
    assert found is not None
    assert found.headers == {"Retry-After": "7"}


def test_others_are_not() -> None:
    assert refusal(RuntimeError("surprise")) is None


class TestWhileWanted:
    def test_it_gives_what_work_gives(self) -> None:
        async def work() -> int:
            return 3

        assert asyncio.run(while_wanted(receiving(), work())) == 3

    def test_it_raises_what_work_raises(self) -> None:
        async def work() -> int:
            raise ValueError("surprise")

        with pytest.raises(ValueError, match="surprise"):
            asyncio.run(while_wanted(receiving(), work()))

    def test_it_cancels_work_that_nobody_wants(self) -> None:
        cancelled = []

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        with pytest.raises(ClientDisconnect):
            asyncio.run(while_wanted(receiving(then=GONE), work()))
        assert cancelled == [True]


class TestFaults:
    """An error that nobody expects is answered, logged, and not told."""

    @staticmethod
    def answer(application: Callable[[Scope, Receive, Send], Any]) -> tuple[list[Message], str]:
        metrics = Metrics(Pool(WorkerSetUp(ScoringOptions()), ServiceOptions()))
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        watching = Watching(application, metrics=metrics, routes=frozenset({"/v1/score"}))
        scope = {"type": "http", "path": "/v1/score", "method": "POST", "headers": []}
        asyncio.run(watching(scope, receiving(), send))
        return sent, metrics.to_text().decode()

    def test_before_the_answer(self, caplog: pytest.LogCaptureFixture) -> None:
        async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise RuntimeError("surprise")

        (start, content), metrics = self.answer(application)
        assert start["status"] == 500
        assert json.loads(content["body"])["error"]["reason"] == "fault"
        assert b"surprise" not in content["body"]
        assert 'nsfw_caffe_requests_total{route="/v1/score",status="500"} 1.0' in metrics
        assert 'nsfw_caffe_refusals_total{reason="fault"} 1.0' in metrics
        assert caplog.records[0].getMessage() == "fault"

    def test_within_it(self) -> None:
        async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise RuntimeError("surprise")

        with pytest.raises(RuntimeError):  # which the server has to see
            self.answer(application)

    def test_a_client_that_has_gone_is_none(self) -> None:
        async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise ClientDisconnect

        sent, metrics = self.answer(application)
        assert sent == []
        assert 'nsfw_caffe_requests_total{route="/v1/score",status="499"} 1.0' in metrics
        assert "} 1.0" not in metrics.partition("nsfw_caffe_refusals_total")[2].partition("# ")[0]
