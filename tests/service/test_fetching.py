"""Fetching by URL: what comes, what is refused before a socket connects, and hosts that mean harm.

The public internet, and networks within, are a server on 127.0.0.1: the socket that is about to connect is the tests'
own, notes the address and connects there.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.service import fetching
from nsfw_caffe.service.fetching import Fetcher, FetchError, FetchFailed, FetchRefused, FetchTimedOut
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.server import application
from nsfw_caffe.service.set_up import WorkerSetUp
from tests.service.stand_ins import ANSWERS, PICTURE, Hosts, Names, at_once
from tests.support import run

T = TypeVar("T")
Fetch = Callable[[str], Awaitable[bytes]]
OPTIONS = ServiceOptions(allow_url=True, body_bytes=1 << 20, fetch_seconds=5)
IPV4, IPV6 = "1.2.3.4", "2606:4700::7"
NAMES: dict[str, list[list[str]]] = {
    "public.test": [[IPV4]],
    "other.test": [["5.6.7.8"]],
    "six.test": [[IPV6]],
    "both.test": [[IPV6, IPV4]],
    "nat64.test": [["64:ff9b::102:304"]],
    "xn--bcher-kva.test": [[IPV4]],
    "a.test": [["127.0.0.1"]],
    "a10.test": [["10.0.0.1"]],
    "metadata.test": [["169.254.169.254"]],
    "aaaa.test": [["::1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "teredo.test": [["2001:0:4136:e378:8000:63bf:80ff:fffe"]],
    "within.test": [["10.0.0.1", "fd00::2", "192.168.1.1"]],
    "mixed.test": [["127.0.0.1", "::1", IPV4]],
    "mixed-6.test": [["fd00:ec2::254", IPV6]],
    "rebinding.test": [[IPV4], ["127.0.0.1"]],
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate of its own authority for public.test and other.test, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    names = "subjectAltName=DNS:public.test,DNS:other.test"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-days", "2", "-subj", "/CN=public.test", "-addext", names, "-keyout", str(path), "-out", str(path)]
    assert shutil.which("openssl"), "these tests make a certificate with openssl"
    subprocess.run([*command[:-1], str(path.with_suffix(".crt"))], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture(scope="module")
def web() -> Iterator[Hosts]:
    with Hosts() as hosts:
        yield hosts


@pytest.fixture
def hosts(web: Hosts, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Return hosts that nobody has asked yet; a file of one authority is read faster than the system's of them all."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    web.forget()
    return web


def with_fetcher(
    hosts: Hosts,
    do: Callable[[Fetch], Awaitable[T]],
    options: ServiceOptions = OPTIONS,
    resolver: AbstractResolver | None = None,
) -> T:
    """Return what is done with a fetcher for which the internet is the stand-in."""

    async def run() -> T:
        fetcher = Fetcher(options, resolver=resolver or Names(NAMES), make_socket=hosts.socket)
        try:
            return await do(fetcher.fetch)
        finally:
            await fetcher.close()

    return uvloop.run(run())  # as the service does


def fetched(hosts: Hosts, url: str, options: ServiceOptions = OPTIONS) -> bytes:
    """Return what a URL holds."""
    return with_fetcher(hosts, lambda fetch: fetch(url), options)


async def outcome(fetch: Fetch, url: str) -> FetchError:
    """Return the error of a fetch that has to have one."""
    try:
        await fetch(url)
    except FetchError as error:
        return error.with_traceback(None)  # whose frames hold what has come so far
    raise AssertionError("the fetch succeeded")


# ---- what comes ----


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("public.test", IPV4),
        ("PUBLIC.test.", IPV4),
        (IPV4, IPV4),
        ("six.test", IPV6),
        (f"[{IPV6}]", IPV6),
        ("both.test", IPV6),
        ("nat64.test", "64:ff9b::102:304"),
        ("b\u00fccher.test", IPV4),
        ("public.test:80", IPV4),
        ("public.test:443", IPV4),
        ("mixed.test", IPV4),
        ("mixed-6.test", IPV6),
    ],
)
def test_a_picture_comes_from_a_public_address(host: str, address: str, hosts: Hosts) -> None:
    assert fetched(hosts, f"http://{host}/picture?a=b#c") == PICTURE
    assert hosts.connected_to == [address]
    assert hosts.connections == 1


@pytest.mark.parametrize(
    ("path", "body"), [("until-closed", PICTURE), ("chunked", b"abcde"), ("count-down?5", PICTURE)]
)
def test_ways_to_send_a_picture(path: str, body: bytes, hosts: Hosts) -> None:
    assert fetched(hosts, f"http://public.test/{path}") == body


def test_what_is_sent(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cookies, no proxy, no passwords from the environment, nothing encoded, no trace of the page before."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    fetched(hosts, "http://public.test/redirect?302&/picture%3Fa=b")
    first, second = hosts.requests
    assert first[0] == b"GET /redirect?302&/picture?a=b HTTP/1.1"
    assert second[0] == b"GET /picture?a=b HTTP/1.1"
    for lines in first, second:
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        assert set(headers) == {b"Host", b"Accept", b"Accept-Encoding", b"User-Agent", b"Connection"}
        assert headers[b"Host"] == b"public.test"
        assert headers[b"Accept-Encoding"] == b"identity"


def test_nothing_is_fetched_unless_it_is_allowed(hosts: Hosts) -> None:
    with pytest.raises(FetchRefused, match="--allow-url"):
        fetched(hosts, "http://public.test/picture", ServiceOptions())
    assert not hosts.connected_to


def test_nothing_is_left_open(hosts: Hosts, recwarn: pytest.WarningsRecorder) -> None:
    """aiohttp warns of what is not closed when it is collected."""
    fetched(hosts, "http://public.test/picture")
    gc.collect()
    assert [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)] == []


# ---- what is refused, before there is a connection ----

UNLIKELY = ["a..test", f"{'a' * 70}.test"]
WITHIN = (
    rb"""
127.0.0.1 127.0.0.2 127.0.0.1. localhost LOCALHOST. 2130706433 0x7f000001 0177.0.0.1 017700000001 0x7f.1 127.0.1 127.1 0
0.0.0.0 [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1]
[64:ff9b:1::7f00:1] [2002:7f00:1::] [2001:0:4136:e378:8000:63bf:80ff:fffe] [2606:4700::5efe:7f00:1]
[::1%25lo] [::1%lo] [fe80::1%25eth0] 127.0.0.1.test
\u2460\u2461\u2466.\u24ea.\u24ea.\u2460 127\u30020\u30020\u30021 \uff11\uff12\uff17.\uff10.\uff10.\uff11
169.254.169.254 169.254.170.2 168.63.129.16 100.100.100.200 192.0.0.192 [fd00:ec2::254] [64:ff9b::a9fe:a9fe]
10.0.0.1 172.16.0.1 172.31.255.254 192.168.0.1 100.64.0.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255
[fe80::1] [fc00::1] [fd00::2] [ff02::1] [2001:db8::1] [100::1] [5f00::1]
a.test a10.test metadata.test aaaa.test mapped.test teredo.test within.test unknown.test
""".decode("unicode_escape").split()
    + UNLIKELY
)


class Looking(AbstractResolver):
    """The names of the tests, and the system's own answers for what needs no name server: numbers and localhost."""

    def __init__(self) -> None:
        self._names, self._system = Names(NAMES), fetching._Resolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        is_name = host.endswith(".test") and host not in UNLIKELY
        return await (self._names if is_name else self._system).resolve(host, port, family)

    async def close(self) -> None:
        await self._system.close()


@pytest.mark.parametrize("host", WITHIN, ids=ascii)
def test_no_socket_connects_to_an_address_within(host: str, hosts: Hosts) -> None:
    async def both(fetch: Fetch) -> list[FetchError]:
        redirect = f"http://public.test/redirect?302&http://{host}/picture"
        return [await outcome(fetch, f"http://{host}/picture?secret"), await outcome(fetch, redirect)]

    for error in with_fetcher(hosts, both, resolver=Looking()):
        assert type(error) is FetchRefused
        assert not {"127", "10.0", "169.254", "secret", "fd00"} & set(str(error).replace("/", " ").split())
    assert hosts.connected_to == [IPV4]  # of the redirect
    assert hosts.connections == len(hosts.requests) == 1


def test_the_text_does_not_tell_a_name_that_is_known_within_from_one_that_is_not(hosts: Hosts) -> None:
    texts = {
        str(with_fetcher(hosts, partial(outcome, url=f"http://{name}/?secret")))
        for name in ("a.test", "a10.test", "unknown.test", "127.0.0.1", "127.1")
    }
    assert texts == {fetching._NO_ADDRESS}


@pytest.mark.parametrize("host", ["a.test", "127.0.0.1", "[::1]", "mapped.test", "rebinding.test"])
def test_without_the_check_there_would_be_a_connection(
    host: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above count is what there would be to count."""
    monkeypatch.setattr(fetching, "may_be_fetched", lambda _: True)
    assert fetched(hosts, f"http://{host}/picture") == PICTURE
    assert hosts.connections == len(hosts.connected_to) == 1


def test_a_name_that_is_bound_to_another_address_later(hosts: Hosts) -> None:
    """The first answer is public and the second one, between check and connection as it may be, is not."""

    async def twice(fetch: Fetch) -> FetchError:
        assert await fetch("http://rebinding.test/picture") == PICTURE
        return await outcome(fetch, "http://rebinding.test/picture")

    names = Names(NAMES)
    assert type(with_fetcher(hosts, twice, resolver=names)) is FetchRefused
    assert names.looked_up == ["rebinding.test"] * 2
    assert hosts.connected_to == [IPV4]


MALFORMED = [
    *("file:///etc/passwd", "ftp://public.test/picture", "gopher://public.test/_x", "data:image/png;base64,AAAA"),
    *("ws://public.test/picture", "wss://public.test/picture", "ftp://public.test:80/picture"),
    *(
        "//public.test/picture",
        "public.test/picture",
        "http:public.test",
        "http:///picture",
        "http://",
        "https://:443/",
    ),
    *("", " ", "http", "unix:///run/docker.sock", "jar:http://public.test!/", "HTTP+unix://x/"),
    *(
        "http://user@public.test/",
        "http://user:word@public.test/",
        "http://:@public.test/",
        "http://:word@public.test/",
    ),
    *("http://public.test\\@127.0.0.1/", "http://127.0.0.1\\@public.test/", "http://public.test%2f@127.0.0.1/"),
    *("http://127.0.0.1%2f@public.test/", "http://public.test@127.0.0.1/", "http://127.0.0.1#@public.test/"),
    *(
        "\thttp://public.test/picture",
        "http://public.test/picture\n",
        "http://pub\tlic.test/",
        "http://public.test/a b",
    ),
    *(
        "http://public.test/\r\nX: y",
        "http://public.test\x00.evil.test/",
        "http://public.test/\u2028",
        "\u3000http://x/",
    ),
    *(
        "http://127.0.0.1%00.public.test/",
        "http://a%b.test/",
        "http://a,b.test/",
        "http://[::1/",
        "http://[public.test]/",
    ),
    *("http://public.test:22/", "http://public.test:8080/", "http://public.test:0/", "http://public.test:6379/"),
    *("http://public.test:65536/", "http://public.test:-1/", "http://public.test:80:80/", "http://public.test:a/"),
    *("http://public.test/" + "a" * 8200, "https://public.test:22/"),
]

RELATIVE = {"http:///picture", "http://"}  # as a redirect's target: to the host itself
ABSOLUTE = [url for url in MALFORMED if "://" in url and url.isascii() and url.isprintable() and url not in RELATIVE]


@pytest.mark.parametrize("url", MALFORMED, ids=lambda url: ascii(url[:60]))
def test_a_url_that_is_refused_as_it_stands(url: str, hosts: Hosts) -> None:
    names = Names(NAMES)
    error = with_fetcher(hosts, partial(outcome, url=url), resolver=names)
    assert type(error) is FetchRefused
    assert not names.looked_up
    assert not hosts.connected_to


@pytest.mark.parametrize("url", ABSOLUTE, ids=lambda url: url[:60])
def test_a_redirect_to_one_that_is_refused(url: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/there", at_once(f"Location: {url}", status="302 Elsewhere"))
    error = with_fetcher(hosts, partial(outcome, url="http://public.test/there"))
    assert type(error) is (FetchRefused if len(url) < 8190 else FetchFailed)  # as a header, the long one is too long
    assert hosts.connected_to == [IPV4]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_looked_at(status: int, hosts: Hosts) -> None:
    async def both(fetch: Fetch) -> FetchError:
        assert await fetch(f"http://public.test/redirect?{status}&//other.test/picture") == PICTURE
        return await outcome(fetch, f"http://public.test/redirect?{status}&//a.test/picture")

    assert type(with_fetcher(hosts, both)) is FetchRefused
    assert hosts.connected_to == [IPV4, "5.6.7.8", IPV4]


@pytest.mark.parametrize(("path", "requests"), [("loop", 6), ("count-down?6", 6), ("nowhere", 1)])
def test_redirects_that_lead_to_nothing(path: str, requests: int, hosts: Hosts) -> None:
    error = with_fetcher(hosts, partial(outcome, url=f"http://public.test/{path}"))
    assert type(error) is FetchFailed
    assert hosts.connections == requests


# ---- https ----


@pytest.fixture(scope="module")
def secure_web(certificate: Path) -> Iterator[Hosts]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Hosts(context) as hosts:
        yield hosts


@pytest.fixture
def secure_hosts(secure_web: Hosts, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Return hosts whose certificate this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure_web.forget()
    return secure_web


def test_https(secure_hosts: Hosts) -> None:
    assert fetched(secure_hosts, "https://public.test/redirect?302&https://other.test/picture") == PICTURE
    assert secure_hosts.connected_to == [IPV4, "5.6.7.8"]


@pytest.mark.parametrize("target", ["http://public.test/picture", "http://other.test:443/picture"])
def test_https_does_not_redirect_to_http(target: str, secure_hosts: Hosts) -> None:
    error = with_fetcher(secure_hosts, partial(outcome, url=f"https://public.test/redirect?302&{target}"))
    assert (type(error), str(error)) == (FetchRefused, "the URL redirects from https to http")
    assert secure_hosts.connected_to == [IPV4]


def test_a_certificate_of_another_host(secure_hosts: Hosts) -> None:
    error = with_fetcher(secure_hosts, partial(outcome, url="https://six.test/picture"))
    assert type(error) is FetchFailed
    assert not secure_hosts.requests


def test_a_certificate_that_nobody_trusts(secure_web: Hosts) -> None:
    secure_web.forget()
    assert type(with_fetcher(secure_web, partial(outcome, url="https://public.test/picture"))) is FetchFailed
    assert not secure_web.requests


def test_no_socket_connects_to_an_address_within_for_https_either(secure_hosts: Hosts) -> None:
    assert type(with_fetcher(secure_hosts, partial(outcome, url="https://a.test/picture"))) is FetchRefused
    assert not secure_hosts.connected_to


# ---- the hosts that are allowed ----


@pytest.mark.parametrize(
    "host", ["public.test", "PUBLIC.TEST", "public.test.", "B\u00dcCHER.test", "xn--bcher-kva.test."]
)
def test_an_allowed_host(host: str, hosts: Hosts) -> None:
    options = replace(OPTIONS, allow_hosts=("Public.Test.", "b\u00fccher.test"))
    assert fetched(hosts, f"http://{host}/picture", options) == PICTURE


@pytest.mark.parametrize(
    "host", ["other.test", "sub.public.test", "public.test.other.test", "xpublic.test", IPV4, "test"]
)
def test_any_other_host(host: str, hosts: Hosts) -> None:
    async def both(fetch: Fetch) -> list[FetchError]:
        redirect = f"http://public.test/redirect?302&http://{host}/picture"
        return [await outcome(fetch, f"http://{host}/picture"), await outcome(fetch, redirect)]

    for error in with_fetcher(hosts, both, replace(OPTIONS, allow_hosts=("public.test",))):
        assert type(error) is FetchRefused
    assert hosts.connected_to == [IPV4]


def test_an_allowed_host_within_is_none(hosts: Hosts) -> None:
    error = with_fetcher(hosts, partial(outcome, url="http://a.test/"), replace(OPTIONS, allow_hosts=("a.test",)))
    assert type(error) is FetchRefused
    assert not hosts.connected_to


@pytest.mark.parametrize(
    "host", ["", "http://public.test", "public.test/picture", "public.test:80", "*.test", "a b", "."]
)
def test_what_is_no_host_to_allow(host: str) -> None:
    with pytest.raises(ValueError, match=r"host"):
        Fetcher(replace(OPTIONS, allow_hosts=(host,)))


def test_the_service_does_not_start_with_what_is_no_host() -> None:
    async def start() -> None:
        async with application(Pool(WorkerSetUp(ScoringOptions()), OPTIONS), replace(OPTIONS, allow_hosts=("a b",))):
            pass

    with pytest.raises(NsfwCaffeError, match=r"^--allow-host: 'a b' is no host's name"):
        asyncio.run(start())


# ---- hosts that mean harm ----


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("missing", "status 404"),
        ("part", "status 206"),
        ("switch", "status 101"),
        ("gzip", "encoded"),
        ("br", "encoded"),
        ("short", "broke off"),
        ("long", "malformed"),
        ("two-lengths", "malformed"),
        ("no-length", "malformed"),
        ("cut-chunk", "broke off"),
        ("bad-chunk", "malformed"),
        ("100-GB", "more than 1048576 bytes"),
        ("endless", "more than 1048576 bytes"),
        ("endless-chunks", "more than 1048576 bytes"),
        ("endless-headers", "malformed"),
        ("endless-continue", "malformed"),
        ("large-header", "malformed"),
        ("large-reason", "malformed"),
        ("many-headers", "malformed"),
        ("no-http", "malformed"),
        ("hang-up", "broke off"),
    ],
)
def test_a_host_that_answers_with_something_else(path: str, text: str, hosts: Hosts) -> None:
    error = with_fetcher(hosts, partial(outcome, url=f"http://public.test/{path}?secret"))
    assert type(error) is FetchFailed
    assert text in str(error)
    assert not {"public", "secret", IPV4} & set(str(error).split())


@pytest.mark.parametrize("path", ["silence", "silent-body", "drip", "drip-headers", "loop"])
def test_a_host_that_takes_too_long(path: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it spends it, the time of the whole fetch is limited."""
    monkeypatch.setattr(fetching, "REDIRECTS", 1 << 30)
    started = time.monotonic()
    error = with_fetcher(hosts, partial(outcome, url=f"http://public.test/{path}"), replace(OPTIONS, fetch_seconds=0.3))
    assert type(error) is FetchTimedOut
    assert str(error) == "the fetch took longer than 0.3 s"
    assert time.monotonic() - started < 3


def test_a_name_server_that_takes_too_long(hosts: Hosts) -> None:
    class Slow(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            await asyncio.sleep(60)
            raise AssertionError(host, port, family)

    options = replace(OPTIONS, fetch_seconds=0.2)
    assert type(with_fetcher(hosts, partial(outcome, url="http://public.test/"), options, Slow({}))) is FetchTimedOut


def test_a_name_server_that_never_answers_holds_up_nobody() -> None:
    """Neither other look-ups, nor what others have threads for, nor the end of the process."""
    code = """
import asyncio, socket, time
from nsfw_caffe.service.fetching import Fetcher, FetchError
from nsfw_caffe.service.options import ServiceOptions

system = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: time.sleep(60) if "silent" in host else system(host, *rest, **more)

async def outcome(fetcher, url):
    try:
        await fetcher.fetch(url)
    except FetchError as error:
        return type(error).__name__

async def main():
    fetcher = Fetcher(ServiceOptions(allow_url=True, fetch_seconds=0.3, queue=100))
    print(set(await asyncio.gather(*(outcome(fetcher, f"http://silent-{n}.test/") for n in range(40)))))
    print(await outcome(fetcher, "http://localhost/"), await asyncio.to_thread(str, "a thread"))
    await fetcher.close()

asyncio.run(main())
"""
    started = time.monotonic()
    child = run("-c", code)
    assert (child.stdout, child.stderr) == ("{'FetchTimedOut'}\nFetchRefused a thread\n", "")
    assert time.monotonic() - started < 30


def test_a_host_that_lets_nobody_connect(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setattr(hosts, "port", unused.getsockname()[1])
        error = with_fetcher(hosts, partial(outcome, url="http://public.test/picture"))
    assert (type(error), str(error)) == (FetchFailed, "the URL's host cannot be connected to")


def test_as_many_fetches_run_at_once_as_pictures_may_wait_or_be_worked_on(hosts: Hosts) -> None:
    async def ten(fetch: Fetch) -> list[FetchError]:
        fetches = asyncio.gather(*(outcome(fetch, "http://public.test/drip") for _ in range(10)))
        await asyncio.sleep(0.3)
        assert hosts.connections == 3
        return await fetches

    errors = with_fetcher(hosts, ten, replace(OPTIONS, fetch_seconds=0.6, workers=1, queue=2))
    assert {type(error) for error in errors} == {FetchTimedOut}


def test_memory_is_flat_and_no_socket_stays_whatever_hosts_do(hosts: Hosts) -> None:
    harm = ["endless", "endless-chunks", "endless-headers", "many-headers", "large-header", "gzip", "silence", "100-GB"]

    async def many(fetch: Fetch) -> tuple[list[int], list[int]]:
        memory, descriptors = [], []
        for count in (24, 176):
            for _ in range(count // len(harm)):
                await asyncio.gather(*(outcome(fetch, f"http://public.test/{path}") for path in harm))
            await asyncio.sleep(0.2)  # the server's side closes
            memory.append(_memory())
            descriptors.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - no Path needed
        return memory, descriptors

    memory, descriptors = with_fetcher(hosts, many, replace(OPTIONS, fetch_seconds=0.1))
    assert memory[1] - memory[0] < 8 << 20
    assert descriptors[1] <= descriptors[0]


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
