"""Hosts of the public internet, and of networks within, as the fetch's tests have them: all of them on 127.0.0.1."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

PICTURE = bytes(range(256)) * 8
CHUNK = b"10000\r\n" + bytes(1 << 16) + b"\r\n"


class Hosts:
    """A server for every address that is connected to, and a record of those addresses and of the requests."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.connected_to: list[str] = []
        """What sockets were told to connect to."""
        self.connections = 0
        """What the server has accepted."""
        self.requests: list[list[bytes]] = []
        """Their lines."""
        self._context = context
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._started = threading.Event()

    def __enter__(self) -> Hosts:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def forget(self) -> None:
        """Begin the record anew."""
        self.connected_to, self.connections, self.requests = [], 0, []

    def socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        """Make a socket that notes which address it is to connect to, and connects to the server instead."""
        hosts = self

        class StandIn(socket.socket):
            def connect(self, address: Any) -> None:
                hosts.connected_to.append(address[0])
                super().connect(("127.0.0.1" if self.family == socket.AF_INET else "::ffff:127.0.0.1", hosts.port))

        return StandIn(family, kind, protocol)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port: int = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()
        unfinished = asyncio.all_tasks() - {asyncio.current_task()}
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
            self.requests.append(lines)
            answering = asyncio.ensure_future(self._answer(lines[0].split()[1].decode(), writer))
            hung_up = asyncio.ensure_future(reader.read())
            await asyncio.wait({answering, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            answering.cancel()
            hung_up.cancel()
        writer.close()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        path, _, query = target.partition("?")
        with suppress(OSError):
            async for piece in ANSWERS[path](query):
                writer.write(piece)
                await writer.drain()


def _answer(*headers: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def at_once(*headers: str, body: bytes = b"", status: str = "200 OK") -> Callable[[str], AsyncIterator[bytes]]:
    """Return what answers with a status, headers and a body, whatever is asked."""

    async def answer(_: str) -> AsyncIterator[bytes]:
        yield _answer(*headers, body=body, status=status)

    return answer


def _for_ever(first: bytes, then: bytes, seconds: float = 0) -> Callable[[str], AsyncIterator[bytes]]:
    async def answer(_: str) -> AsyncIterator[bytes]:
        yield first
        while True:
            yield then
            await asyncio.sleep(seconds)

    return answer


async def _redirect(query: str) -> AsyncIterator[bytes]:
    status, _, target = query.partition("&")
    yield _answer(f"Location: {target}", "Set-Cookie: a=b", "Content-Length: 0", status=f"{status} Elsewhere")


async def _count_down(query: str) -> AsyncIterator[bytes]:
    left = int(query)
    yield _answer(f"Location: /count-down?{left - 1}" if left > 1 else "Location: /picture", status="302 Elsewhere")


async def _many_headers(_: str) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for first in range(0, 200_000, 1000):
        yield b"".join(b"X-%d: 1\r\n" % number for number in range(first, first + 1000))
    yield b"Content-Length: 0\r\n\r\n"


async def _hang_up(_: str) -> AsyncIterator[bytes]:
    yield b""


ANSWERS: dict[str, Callable[[str], AsyncIterator[bytes]]] = {
    "/picture": at_once(f"Content-Length: {len(PICTURE)}", body=PICTURE),
    "/until-closed": at_once(body=PICTURE),
    "/chunked": at_once("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    "/redirect": _redirect,
    "/count-down": _count_down,
    "/loop": at_once("Location: /loop", status="302 Elsewhere"),
    "/nowhere": at_once(status="302 Elsewhere"),
    "/missing": at_once("Content-Length: 4", body=b"none", status="404 Not Found"),
    "/part": at_once("Content-Length: 4", body=b"part", status="206 Partial Content"),
    "/switch": at_once("Connection: upgrade", "Upgrade: x", status="101 Switching Protocols"),
    "/gzip": at_once("Content-Encoding: gzip", body=gzip.compress(bytes(10 << 20))),
    "/br": at_once("Content-Encoding: identity", "Content-Encoding: br", body=b"abc"),
    "/short": at_once("Content-Length: 1000", body=b"abc"),
    "/long": at_once("Content-Length: 3", body=b"abcdef"),
    "/two-lengths": at_once("Content-Length: 3", "Content-Length: 6", body=b"abcdef"),
    "/no-length": at_once("Content-Length: three", body=b"abc"),
    "/cut-chunk": at_once("Transfer-Encoding: chunked", body=b"100\r\nabc"),
    "/bad-chunk": at_once("Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"),
    "/100-GB": at_once(f"Content-Length: {100 << 30}", body=PICTURE),
    "/endless": _for_ever(_answer(), bytes(1 << 16)),
    "/endless-chunks": _for_ever(_answer("Transfer-Encoding: chunked"), CHUNK),
    "/endless-continue": _for_ever(b"", _answer(status="100 Continue") * 100),
    "/endless-headers": _for_ever(b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n" * 100),
    "/large-header": at_once("X-Large: " + "a" * (1 << 20), "Content-Length: 0"),
    "/large-reason": at_once(status="200 " + "a" * (1 << 20)),
    "/many-headers": _many_headers,
    "/no-http": at_once(status="\x00\x01\x02"),
    "/hang-up": _hang_up,
    "/silence": _for_ever(b"", b"", 60),
    "/silent-body": _for_ever(_answer("Content-Length: 1000"), b"", 60),
    "/drip": _for_ever(_answer("Content-Length: 100000"), b"a", 0.05),
    "/drip-headers": _for_ever(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n", 0.05),
}


class Names(AbstractResolver):
    """A name server: the answers that it gives about a name one after the other, the last one for ever."""

    def __init__(self, names: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {name: list(answers) for name, answers in names.items()}
        self.looked_up: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.looked_up.append(host)
        answers = self._answers.get(host.removesuffix("."))
        if answers is None:
            raise OSError(f"{family!r}: there is no {host}")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass
