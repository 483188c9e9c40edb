"""The service as a whole: a socket, workers, the application, and the server between them; how it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import granian.net
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.service.app import create_app
from nsfw_caffe.service.fetching import Fetcher
from nsfw_caffe.service.listening import BACKLOG, Listening
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.set_up import WorkerSetUp
from nsfw_caffe.system.reading import reason

CONNECTIONS = 512
"""How many may be open at once; more wait to be accepted."""

HEADER_SECONDS = 5
"""How long a request's headers may take to arrive, and how long a connection may be idle before them."""

_QUIET_SECONDS = 0.5
"""How long no request has come, at the end, when connections are closed that are open and have none."""

_STEP_SECONDS = 0.02

_LAST_SECONDS = 1.0
"""How long answers may take to be sent once the service has no more time."""

Application: TypeAlias = Callable[[Pool, ServiceOptions], AbstractAsyncContextManager[ASGIApp]]


@contextlib.asynccontextmanager
async def application(pool: Pool, options: ServiceOptions) -> AsyncIterator[ASGIApp]:
    """Create the application, with what it needs as long as it runs; NsfwCaffeError where keys or hosts are none."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            fetcher = Fetcher(options)
        except ValueError as error:
            raise NsfwCaffeError(f"--allow-host: {error}") from error
        stack.push_async_callback(fetcher.close)
        try:
            app = create_app(pool, options, fetcher)
        except (OSError, ValueError) as error:
            raise NsfwCaffeError(f"--api-key-file: {reason(error)}") from error
        yield app


def serve(
    create: WorkerSetUp,
    options: ServiceOptions,
    announce: Callable[[str], object],
    application: Application = application,
) -> bool:
    """Serve until SIGTERM or SIGINT comes, and tell whether all that was under way then has been answered.

    A second signal ends the process at once.

    Parameters
    ----------
    create : WorkerSetUp
        What each worker makes its Classifier of.
    options : ServiceOptions
        What the service is asked to be.
    announce : callable
        Called with the service's URL when it answers.
    application : callable
        What makes the ASGI application, once there is a pool that can score.

    Raises
    ------
    NsfwCaffeError
        If the address cannot be had, or the workers cannot score.
    """
    listening = Listening(options.host, options.port)
    try:
        return uvloop.run(_Service(create, options, listening).run(application, announce))
    finally:
        listening.close()


class _Service:
    def __init__(self, create: WorkerSetUp, options: ServiceOptions, listening: Listening) -> None:
        self._pool = Pool(create, options)
        self._options = options
        self._listening = listening
        self._stop = asyncio.Event()

    async def run(self, application: Application, announce: Callable[[str], object]) -> bool:
        self._heed_signals()
        stopped = asyncio.create_task(self._stop.wait())
        starting = asyncio.create_task(self._pool.start())
        try:
            await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return True
            starting.result()
            async with application(self._pool, self._options) as app:
                requests = Requests(app)
                server = _Server(requests, self._listening.listen())
                serving = asyncio.create_task(server.serve())
                announce(self._listening.url)
                await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    serving.result()
                    raise NsfwCaffeError("the server has ended unasked")
                return await self._drain(requests, server, serving)
        finally:
            for task in (starting, stopped):
                task.cancel()
            await asyncio.gather(starting, stopped, return_exceptions=True)
            await self._pool.close()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._stop.is_set():
            os._exit(128 + number)  # as shells have it
        self._stop.set()

    async def _drain(self, requests: Requests, server: Server, serving: asyncio.Task[None]) -> bool:
        """Answer what is under way, and what still comes on connections that there are; then end the server."""
        end = time.monotonic() + self._options.drain_seconds
        self._pool.retiring = True
        requests.last = True
        with contextlib.suppress(TimeoutError):  # so many connections are open that others still wait
            await asyncio.wait_for(self._listening.stop(), self._options.drain_seconds)
        while time.monotonic() < min(end, requests.quiet_since + _QUIET_SECONDS):
            await asyncio.sleep(_STEP_SECONDS)
        in_time = not requests.under_way
        if not in_time:  # what waits for a worker is refused, and what has not come yet is given up
            self._pool.draining = True
            await self._pool.close()
            await asyncio.sleep(_STEP_SECONDS)
            requests.cancel()
        server.signal_handler_interrupt()  # type: ignore[no-untyped-call]
        # Connections that have sent a part of their first request's headers have time for the rest.
        await asyncio.wait((serving,), timeout=max(_LAST_SECONDS, end - time.monotonic()))
        return in_time and serving.done()


class Requests:
    """The middleware next to the server, which knows how many requests are under way.

    Attributes
    ----------
    under_way : set of asyncio.Task
        Those that answer requests.
    last : bool
        Whether connections are closed when they have had their answer.
    """

    def __init__(self, application: ASGIApp) -> None:
        self.under_way: set[asyncio.Task[Any]] = set()
        self.last = False
        self._application = application
        self._ended = -math.inf

    @property
    def quiet_since(self) -> float:
        """When the last request had its answer, on the clock of `time.monotonic`; now, while some have none."""
        return time.monotonic() if self.under_way else self._ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer."""

        async def closing(message: Message) -> None:
            if self.last and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        task = asyncio.current_task()
        assert task is not None
        self.under_way.add(task)
        try:
            await self._application(scope, receive, closing)
        finally:
            self.under_way.remove(task)
            self._ended = time.monotonic()

    def cancel(self) -> None:
        """Give up what has no answer."""
        for task in self.under_way:
            task.cancel()


class _Server(Server):
    """Granian in this process and loop, on a socket that is there already."""

    def __init__(self, application: Requests, descriptor: int) -> None:
        self._descriptor = descriptor
        super().__init__(
            application,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
            log_enabled=False,
        )

    def _init_shared_socket(self) -> None:
        holder: Any = granian.net  # whose types lack what its socket is made of
        self._shd = holder.SocketHolder(self._descriptor, False, BACKLOG)
