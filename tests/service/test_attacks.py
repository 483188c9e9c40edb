"""What asks for more time or memory than it may: refused within the limit, and the next picture is scored."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

import nsfw_caffe
from tests import bombs
from tests.service.running import BOUNDARY, FORM, JSON, Service, form

GRACE = 3.0
"""Seconds beyond a limit."""

SECONDS, BODY_SECONDS, HEADER_SECONDS = 3, 2, 5
BODY_BYTES = 2 << 20


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds + GRACE


@pytest.fixture(autouse=True)
def _the_next_one_is_right(service: Service, portable: nsfw_caffe.Classifier, photo: bytes) -> Iterator[None]:
    """Score a photograph after each attack, and see that the process in front has not grown by it."""
    service.post("/v1/score", photo)
    before = service.memory()
    yield
    assert service.post("/v1/score", photo).json["score"] == portable.classify(photo)
    assert service.memory() - before < 12 * BODY_BYTES


@pytest.mark.parametrize("name", ["webp", "gif", "eps", "jpeg_2000_within", "tiff_tile", "bmp_rle"])
def test_bombs(service: Service, name: str) -> None:
    make, said = bombs.BOMBS[name]
    with within(0):
        reply = service.post("/v1/score", make())
    assert reply.status == 422
    assert reply.reason == ("not_a_picture" if name == "eps" else "over_limit")
    assert said.partition(": the limit is 1000")[0] in reply.json["error"]["message"]


def test_a_scan_bomb(service: Service) -> None:
    with within(0):
        reply = service.post("/v1/score", bombs.jpeg_of_many_scans(210, 1000))
    assert (reply.status, reply.reason) == (422, "over_limit")


def test_a_webp_of_64_megapixels(service: Service) -> None:
    """It has no more pixels than pictures may have elsewhere, in 2.5 kB."""
    picture = bombs.saved(Image.new("RGB", (8000, 8000)), "WEBP", lossless=True)
    reply = service.post("/v1/score", picture)
    assert (reply.status, reply.reason) == (422, "over_limit")


def test_a_picture_that_takes_too_long(lenient: Service, portable: nsfw_caffe.Classifier, photo: bytes) -> None:
    replaced = lenient.metric("nsfw_caffe_workers_replaced_total")
    with within(SECONDS):
        reply = lenient.post("/v1/score", bombs.png_of_many_chunks(bombs.SLOW))
    assert (reply.status, reply.reason) == (422, "overtime")
    with within(SECONDS):
        assert lenient.post("/v1/score", photo).json["score"] == portable.classify(photo)
    assert lenient.metric("nsfw_caffe_workers_replaced_total") == replaced + 1


def test_five_gigabytes_are_refused_by_their_declaration(service: Service) -> None:
    with within(0), service.connect() as connection:
        connection.sendall(service.head("Content-Length: 5000000000"))
        assert _answer(connection) == (413, "body_too_large")


def test_who_is_refused_while_sending_has_the_answer(service: Service) -> None:
    """The connection stays open for a moment: closing it would take the answer with it on its way to the client."""
    with service.connect() as connection:
        connection.sendall(service.head(f"Content-Length: {BODY_BYTES + 1}"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        for _ in range(10):
            connection.sendall(bytes(BODY_BYTES // 20))
            time.sleep(0.02)


@pytest.mark.parametrize("kind", ["image/jpeg", FORM["Content-Type"], "application/json"])
def test_chunks_without_an_end(service: Service, kind: str) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    if kind == FORM["Content-Type"]:
        start = form(("endless", b"")).partition(f"\r\n--{BOUNDARY}--".encode())[0]
        chunk = f"{len(start):x}\r\n".encode() + start + b"\r\n" + chunk
    sent = 0
    with within(0), service.connect() as connection:
        connection.sendall(service.head("Transfer-Encoding: chunked", f"Content-Type: {kind}"))
        try:
            while sent < 100 << 20:
                sent += connection.send(chunk)
        except OSError:  # the service has closed it
            pass
        assert _answer(connection) == (413, "body_too_large")
    assert sent < 50 << 20


def test_a_body_that_drips(service: Service) -> None:
    with within(BODY_SECONDS), service.connect() as connection:
        connection.sendall(service.head("Content-Length: 1000"))
        for _ in range(10 * BODY_SECONDS):
            connection.sendall(b"x")
            time.sleep(0.1)
        assert _answer(connection) == (408, "body_timeout")


def test_a_body_shorter_than_its_length(service: Service) -> None:
    with within(BODY_SECONDS), service.connect() as connection:
        connection.sendall(service.head("Content-Length: 1000") + b"short")
        assert _answer(connection) == (408, "body_timeout")


@pytest.mark.slow
def test_headers_that_drip(service: Service) -> None:
    with within(HEADER_SECONDS), service.connect() as connection:
        connection.sendall(service.head().removesuffix(b"\r\n"))
        connection.settimeout(0.2)
        while True:
            try:
                connection.sendall(b"X")
                if not connection.recv(100):
                    break
            except TimeoutError:
                continue
            except OSError:
                break


@pytest.mark.parametrize("idle", [100])
def test_idle_connections(service: Service, photo: bytes, idle: int) -> None:
    connections = [service.connect() for _ in range(idle)]
    try:
        with within(1):
            assert service.get("/livez").status == 200
            assert service.post("/v1/score", photo).status == 200
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(("a", b"\r" * 2_000_000)), 422),
        (form(("a", f"\r\n--{BOUNDARY}x".encode() * 130_000)), 400),
        (form(("a", f"\r\n--{BOUNDARY[:-1]}".encode() * 130_000)), 422),
        (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'.encode() * 30_000, 400),
        (f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 300_000, 400),
        (f"--{BOUNDARY}\r\n".encode() + b"a" * 2_000_000, 400),
    ],
    ids=["line ends", "nearly boundaries", "beginnings of boundaries", "parts", "headers", "a long header"],
)
def test_forms_that_are_slow_to_read(service: Service, body: bytes, status: int) -> None:
    with within(0):
        assert service.post("/v1/score", body, FORM).status == status


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 600_000 + b"[]]",
        b'{"a":' * 300_000,
        b'{"base64": ' + b"9" * 2_000_000 + b"}",
        b'{"base64": "' + b"\\u0041" * 300_000 + b'"}',
    ],
    ids=["many values", "deep", "a number", "escapes"],
)
def test_json_that_is_large_in_memory(service: Service, body: bytes) -> None:
    with within(0):
        assert service.post("/v1/score", body, JSON).status in (400, 422)


def _answer(connection: socket.socket) -> tuple[int, str]:
    head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    return int(head.split()[1]), str(json.loads(body)["error"]["reason"])
