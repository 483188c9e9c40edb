from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.service.listening import Listening
from tests.service.pools import workers_of
from tests.service.running import until
from tests.support import PHOTOS

PROGRAM = """
import contextlib, sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.service.jobs import Draining, Job
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.server import serve
from nsfw_caffe.service.set_up import WorkerSetUp

@contextlib.asynccontextmanager
async def application(pool, options):
    async def score(request):
        try:
            return JSONResponse((await pool.run(Job(await request.body()))).score)
        except Draining:
            return PlainTextResponse("draining", 503)

    async def ready(request):
        return PlainTextResponse("", 200 if await pool.ready() else 503)

    async def read(request):
        await request.body()
        return PlainTextResponse("read")

    post = {"methods": ["POST"]}
    yield Starlette(routes=[Route("/score", score, **post), Route("/read", read, **post), Route("/ready", ready)])
    print("closed", flush=True)

options = ServiceOptions(port=0, workers=2, queue=50, drain_seconds=float(sys.argv[1]))
set_up = WorkerSetUp(ScoringOptions(engine="onnxruntime"))
answered = serve(set_up, options, lambda url: print(url, flush=True), application)
print("answered" if answered else "not answered", flush=True)
"""
"""A service with an application as small as can be."""

BODY_TO_COME = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n12"

PHOTO = (PHOTOS / "rocket.jpg").read_bytes()


@dataclass
class Running:
    """A service that runs."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def said(self) -> list[str]:
        """Wait for the end, and return the rest of what was printed."""
        output, _ = self.process.communicate(timeout=30)
        return output.splitlines()


@contextmanager
def served(drain_seconds: float = 20) -> Iterator[Running]:
    """Run a service; what is left of it is killed."""
    command = [sys.executable, "-c", PROGRAM, str(drain_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", line)
            assert found, line + process.stdout.read()
            yield Running(process, int(found[1]))
        finally:
            process.kill()


@pytest.fixture(scope="module", autouse=True)
def model(model_files: ModelFiles) -> ModelFiles:
    """Fetch the model before the services ask for it."""
    return model_files


@dataclass
class Client(threading.Thread):
    """Posts one picture after the other, on one connection as long as that is left open, or each on its own."""

    port: int
    keep: bool
    statuses: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = object.__hash__

    def run(self) -> None:
        """Go on until no connection is to be had."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.connect()
            except OSError:
                self.refused += 1
                return
            more = True
            while more:
                try:
                    connection.request("POST", "/score", PHOTO)
                    response = connection.getresponse()
                    response.read()
                except (OSError, http.client.HTTPException) as error:
                    self.lost.append(repr(error))
                    return
                self.statuses.append(response.status)
                more = self.keep and not response.will_close
            connection.close()


def test_at_the_end_every_request_is_answered() -> None:
    with served() as service:
        clients = [Client(service.port, keep=number % 2 == 0) for number in range(16)]
        for client in clients:
            client.start()
        time.sleep(1)
        service.end()
        for client in clients:
            client.join(30)
        assert service.said() == ["closed", "answered"]
        assert service.process.returncode == 0
    assert [lost for client in clients for lost in client.lost] == []
    assert {status for client in clients for status in client.statuses} == {200}
    assert all(client.refused == 1 and client.statuses for client in clients)


def test_a_connection_that_was_idle_is_answered_and_closed_then() -> None:
    """Meanwhile the service is not ready, and does not listen any more."""
    with served() as service, service.connect() as busy:
        idle = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
        idle.request("GET", "/ready")
        assert idle.getresponse().read() == b""
        busy.sendall(BODY_TO_COME)
        time.sleep(0.3)
        service.end()
        until(lambda: _refused(service.port))
        idle.request("GET", "/ready")
        response = idle.getresponse()
        assert (response.status, response.getheader("connection")) == (503, "close")
        busy.sendall(b"34")
        answer = b"".join(iter(lambda: busy.recv(1000), b""))
        assert answer.endswith(b"read")
        assert b"\r\nconnection: close\r\n" in answer
        assert service.said() == ["closed", "answered"]
        assert service.process.returncode == 0


def test_what_does_not_end_in_time_is_given_up() -> None:
    with served(1) as service, service.connect() as busy:
        busy.sendall(BODY_TO_COME)
        time.sleep(0.3)
        start = time.monotonic()
        service.end()
        assert service.process.stdout is not None
        assert service.process.stdout.readline() == "closed\n"
        assert service.process.stdout.readline() == "not answered\n"
        assert time.monotonic() < start + 1 + 3
        assert workers_of(service.process.pid) == []


def test_a_second_signal_ends_it_at_once() -> None:
    with served() as service, service.connect() as busy:
        busy.sendall(BODY_TO_COME)
        time.sleep(0.3)
        service.end()
        until(lambda: _refused(service.port))
        service.end()
        assert service.said() == []
        assert service.process.returncode == 128 + signal.SIGTERM


def test_slow_headers_and_idle_connections_are_closed() -> None:
    with served() as service, service.connect() as slow, service.connect() as silent, service.connect() as idle:
        slow.sendall(b"GET /ready HTTP/1.1\r\nHost: a\r\nX-A: ")
        idle.sendall(b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        for connection in (slow, silent, idle):
            connection.settimeout(10)
            while connection.recv(1000):
                pass
        assert time.monotonic() < start + 8


def test_a_signal_before_it_serves_ends_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "5"], stdout=subprocess.PIPE, text=True)
    with process:
        until(lambda: workers_of(process.pid) != [])
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert output == "answered\n"
    assert process.returncode == 0


def test_an_address_that_cannot_be_had_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NsfwCaffeError, match=f"--port {port}: Address already in use"):
            Listening("127.0.0.1", port)
    with pytest.raises(NsfwCaffeError, match=r"--host 192\.0\.2\.1 --port 0: Cannot assign"):
        Listening("192.0.2.1", 0)
    with pytest.raises(NsfwCaffeError, match="--host no address: "):
        Listening("no address", 0)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")])
def test_the_url_has_host_and_port(host: str, shown: str) -> None:
    try:
        listening = Listening(host, 0)
    except NsfwCaffeError as error:
        pytest.skip(str(error))  # a machine without IPv6
    descriptor = listening.listen()
    try:
        port = listening._socket.getsockname()[1]
        assert listening.url == f"http://{shown}:{port}/"
        socket.create_connection((host, port), 5).close()
    finally:
        os.close(descriptor)
        listening.close()


def test_who_waits_to_be_accepted_is_accepted_before_the_end() -> None:
    """The server accepts nobody meanwhile; new connections get no answer, not even a refusal, until it has."""

    async def test() -> None:
        listening = Listening("127.0.0.1", 0)
        address = listening._socket.getsockname()
        accepting = socket.socket(fileno=listening.listen())
        accepting.setblocking(False)
        waiting = [socket.create_connection(address, 5) for _ in range(3)]
        stopping = asyncio.create_task(listening.stop())
        await asyncio.sleep(0.8)
        assert not stopping.done()
        with pytest.raises(TimeoutError):
            socket.create_connection(address, 0.2)
        for client in waiting:
            server, _ = accepting.accept()
            server.sendall(b"welcome")
            assert client.recv(10) == b"welcome"
            server.close()
            client.close()
        await asyncio.wait_for(stopping, 5)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 5)
        with pytest.raises(BlockingIOError):  # the server has a socket still, to which nobody comes
            accepting.accept()
        accepting.close()
        listening.close()

    asyncio.run(test())


@pytest.mark.parametrize("told", [b"", bytes(20), OSError(92, "Protocol not available")])
def test_a_kernel_that_does_not_tell_who_waits_is_no_reason_to_fail(told: bytes | OSError) -> None:
    """As of emulators and sandboxes, whose TCP_INFO is shorter than Linux's."""

    class Odd(socket.socket):
        def getsockopt(self, *_: object) -> bytes:  # type: ignore[override]
            if isinstance(told, OSError):
                raise told
            return told

    async def test() -> None:
        listening = Listening("127.0.0.1", 0)
        listening._socket = Odd(fileno=listening._socket.detach())
        descriptor = listening.listen()
        await asyncio.wait_for(listening.stop(), 5)
        os.close(descriptor)
        listening.close()

    asyncio.run(test())


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False
