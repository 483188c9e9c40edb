"""A request's body, as it arrives: no more of it than may be, in no more time, and never on disk.

A body that is refused by what its headers say is not read. What is refused has its answer at once, and what the client
goes on to send is then thrown away for a moment, since a connection that is closed on a client that is still sending
may take the answer with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nsfw_caffe.service.jobs import Busy
from nsfw_caffe.service.refusals import RETRY_SECONDS, Refused

_LINGER_SECONDS = 2.0
"""How long what a refused client goes on to send is thrown away."""


class Held:
    """The bytes of all bodies that are in memory: of as many pictures as may wait and be worked on, at their largest.

    A client that sends slowly holds what it has sent, and not a place.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    def take(self, count: int) -> None:
        """Count bytes as held; Busy where that would be too many."""
        if self._now + count > self._most:
            raise Busy(RETRY_SECONDS)
        self._now += count

    def give(self, count: int) -> None:
        """Count bytes as no longer held."""
        self._now -= count


class Share:
    """One request's part of the bytes that are held, which ends with it."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._taken = 0

    def take(self, count: int) -> None:
        """Hold more; Busy where that would be too many."""
        self._held.take(count)
        self._taken += count

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *error: object) -> None:
        self._held.give(self._taken)


class Body:
    """One request's body, which can be read once.

    Parameters
    ----------
    scope, receive
        The request.
    most : int
        Its size, at most.
    seconds : float
        How long all of it may take to arrive.
    share : Share
        Where its bytes are counted.
    """

    def __init__(self, scope: Scope, receive: Receive, *, most: int, seconds: float, share: Share) -> None:
        self._receive = receive
        self._most = most
        self._seconds = seconds
        self._share = share
        self.declared = _declared(scope)
        self.received = 0

    async def feed(self, sink: Callable[[bytes], object]) -> None:
        """Give a function all of the body, piece by piece.

        Refused where it is too large or too slow, or ends too soon; Busy where too much is held already; and
        ClientDisconnect where nobody is there any more.
        """
        if self.declared is not None and self.declared > self._most:
            raise self._too_large()
        try:
            await asyncio.wait_for(self._feed(sink), self._seconds)
        except TimeoutError:
            raise Refused("body_timeout", f"the body did not arrive within {self._seconds:g} seconds") from None
        if self.declared is not None and self.received < self.declared:
            raise Refused("bad_request", "the body is shorter than its Content-Length says")

    async def read(self) -> bytes:
        """Return all of the body; errors as for `feed`."""
        stream = io.BytesIO()
        await self.feed(stream.write)
        return stream.getvalue()  # which shares the stream's memory

    async def _feed(self, sink: Callable[[bytes], object]) -> None:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece = message.get("body", b"")
            self.received += len(piece)
            if self.received > self._most:
                raise self._too_large()
            self._share.take(len(piece))
            sink(piece)
            more = message.get("more_body", False)

    def _too_large(self) -> Refused:
        return Refused("body_too_large", f"the body has more than {self._most} bytes: that is the limit (--max-size)")


def _declared(scope: Scope) -> int | None:
    """Return the Content-Length, which the server has checked; None where there is none."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else None


class Lingering:
    """Throws away what a client still sends once it has its answer; the middleware next to the server.

    Parameters
    ----------
    app
        What answers.
    most : int
        How many bytes are thrown away, at most.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and read the rest of the body."""
        ended = False

        async def receiving() -> Message:
            nonlocal ended
            message = await receive()
            ended = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self._app(scope, receiving, send)
        if scope["type"] == "http" and not ended and _has_body(scope):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._discard(receive), _LINGER_SECONDS)

    async def _discard(self, receive: Receive) -> None:
        discarded, more = 0, True
        while more and discarded <= self._most:
            message = await receive()
            discarded += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
