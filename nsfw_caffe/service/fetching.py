"""Fetching a picture or video by its URL, from hosts on the public internet and none else.

Whoever sends a URL chooses where this machine connects to. So the address is checked where the socket is made that is
about to connect to it: there it is the very one, whatever the URL looked like and whatever its name resolved to before.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from yarl import URL

from nsfw_caffe._version import __version__
from nsfw_caffe.service.addresses import may_be_fetched
from nsfw_caffe.service.options import ServiceOptions

PORTS = {80, 443}
"""Those of the web: any other is another service's, a database or a mail server."""
REDIRECTS = 5
URL_CHARACTERS = 8190
HEADERS = 128
HEADER_BYTES = 8190
_INFORMATIONAL = 10
"""Answers of status 1xx before the one that counts: aiohttp would pass over them for ever, and let nothing else run."""
_LOOKUPS = 64  # at once, in a thread each
_NO_ADDRESS = "the URL's host has no address that may be fetched from"
_HEADERS = {
    "Accept": "image/*,video/*,*/*;q=0.5",
    "Accept-Encoding": "identity",
    "User-Agent": f"nsfw_caffe/{__version__}",
}
_REDIRECTED = {301, 302, 303, 307, 308}


class FetchError(Exception):
    """What a URL names could not be had; the text tells neither the URL nor what its name resolved to."""


class FetchRefused(FetchError):  # noqa: N818 - a state, named as one
    """The URL is none that may be fetched from."""


class FetchFailed(FetchError):  # noqa: N818
    """The URL's host did not answer with the bytes of a file."""


class FetchTimedOut(FetchError):  # noqa: N818
    """It took longer than it may."""


class _AddressRefusedError(OSError):
    """The socket was about to connect to an address that is refused."""


def host_name(text: str) -> str:
    """Return a host's name or address as URLs are compared by: IDNA, lower case, no dot at the end.

    Raises
    ------
    ValueError
        It is none.
    """
    with suppress(ValueError):
        host = (URL.build(scheme="http", host=text).raw_host or "").removesuffix(".")
        if re.fullmatch(r"[0-9a-z:._-]+", host):
            return host
    raise ValueError(f"{text!r} is no host's name: leave out scheme, port and path")


def _parsed(text: str) -> URL:
    if len(text) > URL_CHARACTERS:
        raise FetchRefused(f"the URL has more than {URL_CHARACTERS} characters")
    # Parsers disagree about these, and one that disagrees may have let the URL through before.
    if not text.isprintable() or " " in text or "\\" in text:
        raise FetchRefused("the URL has spaces, control characters or backslashes")
    return URL(text)


class _Response(aiohttp.ClientResponse):
    """An answer that has to come at last."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the answer's headers."""
        assert connection.protocol is not None
        read, left = connection.protocol.read, _INFORMATIONAL

        async def read_few() -> Any:  # noqa: ANN401 - as aiohttp has it
            nonlocal left
            left -= 1
            if left < 0:
                raise aiohttp.ClientPayloadError
            return await read()

        connection.protocol.read = read_few  # type: ignore[method-assign]
        return await super().start(connection)


class Fetcher:
    """Fetches pictures, as the options allow it.

    Parameters
    ----------
    options : ServiceOptions
        Whether to fetch at all, from which hosts, how many bytes, and how long it may take. As many fetches run at
        once as pictures may wait or be worked on.
    resolver : AbstractResolver, optional
        What looks names up; the system's, if it is left out.
    make_socket : callable
        What makes the socket that connects, from family, type and protocol.

    Raises
    ------
    ValueError
        One of `allow_hosts` is no host's name.
    """

    def __init__(
        self,
        options: ServiceOptions,
        *,
        resolver: AbstractResolver | None = None,
        make_socket: Callable[[int, int, int], socket.socket] = socket.socket,
    ) -> None:
        self._options = options
        self._hosts = frozenset(map(host_name, options.allow_hosts))
        self._resolver = resolver or _Resolver()
        self._make_socket = make_socket
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """Return what a URL holds.

        Raises
        ------
        FetchRefused
            URLs are not fetched, or not this one, or it redirects to one that is not.
        FetchFailed
            No connection, no answer with status 200, an encoded or too large one, or one that ends early.
        FetchTimedOut
            It takes longer than `fetch_seconds`, all redirects together.
        """
        if not self._options.allow_url:
            raise FetchRefused("this service fetches nothing by its URL: it runs without --allow-url")
        try:
            return await asyncio.wait_for(self._follow(self._checked(url)), self._options.fetch_seconds)
        except TimeoutError:
            raise FetchTimedOut(f"the fetch took longer than {self._options.fetch_seconds:g} s") from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    def _checked(self, text: str, base: URL | None = None) -> URL:
        """Return a URL that may be asked for, as far as that can be told before its name is looked up."""
        try:
            url = _parsed(text) if base is None else base.join(_parsed(text))
            host = host_name(url.raw_host or "")
        except ValueError:
            raise FetchRefused("the URL is malformed") from None
        if url.scheme not in ("http", "https"):
            raise FetchRefused("only http and https are fetched")
        if url.raw_user is not None or url.raw_password is not None:
            raise FetchRefused("the URL has a user's name or a password")
        if url.port not in PORTS:
            raise FetchRefused("only the ports 80 and 443 are fetched from")
        if self._hosts and host not in self._hosts:
            raise FetchRefused("the URL's host is not among those that are fetched from")
        return url

    async def _follow(self, url: URL) -> bytes:
        for _ in range(REDIRECTS + 1):
            answer = await self._ask(url)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise FetchFailed(f"the URL redirects more than {REDIRECTS} times")

    async def _ask(self, url: URL) -> bytes | URL:
        """Return what the URL holds, or the URL that it redirects to, checked."""
        try:
            async with self._opened().get(url, allow_redirects=False, headers=_HEADERS) as response:
                if response.status in _REDIRECTED:
                    return self._target(url, response.headers.get("Location", ""))
                return await self._body(response)
        except aiohttp.ClientConnectorError as error:
            # A name that is not known is answered as one of an address within: else one could find out which there are.
            if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(error.os_error, _AddressRefusedError):
                raise FetchRefused(_NO_ADDRESS) from None
            raise FetchFailed("the URL's host cannot be connected to") from None
        except aiohttp.InvalidURL:  # 127.1 and its like
            raise FetchRefused(_NO_ADDRESS) from None
        except (aiohttp.ClientError, OSError):
            raise FetchFailed("the URL's host broke off, or its answer is malformed") from None

    def _target(self, url: URL, location: str) -> URL:
        if not location:
            raise FetchFailed("the URL redirects to nowhere")
        target = self._checked(location, url)
        if url.scheme == "https" and target.scheme == "http":
            raise FetchRefused("the URL redirects from https to http")
        return target

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status != 200:
            raise FetchFailed(f"the URL's host answered with status {response.status}")
        if any(coding.lower() != "identity" for coding in response.headers.getall("Content-Encoding", ())):
            raise FetchFailed("the URL's host sent an encoded body, which it was asked not to")
        most = self._options.body_bytes
        too_large = f"what is at the URL has more than {most} bytes"
        if (response.content_length or 0) > most:
            raise FetchFailed(too_large)
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > most:
                raise FetchFailed(too_large)
            chunks.append(chunk)
        return b"".join(chunks)

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made at the first fetch, since it belongs to the loop that runs then."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._options.workers + self._options.queue,
                force_close=True,
                resolver=self._resolver,
                use_dns_cache=False,
                socket_factory=self._socket,
                ssl=ssl.create_default_context(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                response_class=_Response,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,  # no proxy, which would connect in this process's stead, and no passwords
                timeout=aiohttp.ClientTimeout(),  # none of its own
                max_line_size=HEADER_BYTES,
                max_field_size=HEADER_BYTES,
                max_headers=HEADERS,
            )
        return self._session

    def _socket(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """Make the socket that connects to an address right after this, if it may."""
        family, kind, protocol, _, address = info
        if not may_be_fetched(address[0]):
            raise _AddressRefusedError(_NO_ADDRESS)
        return self._make_socket(family, kind, protocol)


class _Resolver(AbstractResolver):
    """Looks names up by the system's resolver, in threads of its own.

    A name server that does not answer holds a thread for half a minute. They are no executor's, since those are waited
    for when the process ends, and others use the loop's.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def end(results: list[ResolveResult], error: Exception | None) -> None:
            self._free.release()
            if found.done():  # nobody waits any more
                return
            if error is None:
                found.set_result(results)
            else:
                found.set_exception(OSError(str(error)))

        def look_up() -> None:
            results, failure = [], None
            try:
                results = _look_up(host, port, family)
            except (OSError, UnicodeError) as error:  # the latter for a label that is empty or too long
                failure = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(end, results, failure)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        return await found

    async def close(self) -> None:
        pass


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=family,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for family, _, protocol, _, address in found
    ]
