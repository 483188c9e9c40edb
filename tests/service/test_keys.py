"""Who may ask, where there is a file of keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from nsfw_caffe.service.keys import Keys
from nsfw_caffe.service.refusals import Refused
from tests.service.running import Service


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "first-key"},
        {"X-API-Key": " second-key "},
        {"Authorization": "Bearer first-key"},
        {"Authorization": "bearer second-key"},
    ],
)
def test_a_key_opens(lenient: Service, photo: bytes, headers: dict[str, str]) -> None:
    assert replace(lenient, key=None).post("/v1/score", photo, headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "first-ke"},
        {"X-API-Key": "first-key2"},
        {"X-API-Key": "# of the tests"},
        {"X-API-Key": "first-key\xff"},
        {"Authorization": "first-key"},
        {"Authorization": "Basic first-key"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer other", "X-API-Key": "first-key"},
    ],
)
def test_nothing_else_does(lenient: Service, photo: bytes, headers: dict[str, str]) -> None:
    reply = replace(lenient, key=None).post("/v1/score", photo, headers)
    assert (reply.status, reply.reason) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/v1/scores", "/v1/explain", "/v1/gate?block=1", "/v1/gate", "/v1/video", "/v1/none"])
def test_all_that_scores_is_closed(lenient: Service, path: str) -> None:
    assert replace(lenient, key=None).post(path, b"").status == 401


@pytest.mark.parametrize("path", ["/", "/page.js", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics"])
def test_all_else_is_open(lenient: Service, path: str) -> None:
    assert replace(lenient, key=None).get(path).status == 200


def test_a_key_is_asked_for_before_the_body(lenient: Service) -> None:
    with lenient.connect() as connection:
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_the_document_says_so(lenient: Service, service: Service) -> None:
    assert lenient.get("/openapi.json").json["security"] == [{"bearer": []}, {"key": []}]
    assert service.get("/openapi.json").json["security"] == []


@pytest.mark.parametrize("content", [b"", b"\n# none\n", b"two words\n", b"key\n\xff\n", b"a\x00b\n"])
def test_a_file_that_has_none_is_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=str(file)):
        Keys.of_file(file)


def test_a_file_of_windows_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"first\r\nsecond\r\n")
    Keys.of_file(file).check(Headers({"X-API-Key": "second"}))
    with pytest.raises(Refused):
        Keys.of_file(file).check(Headers({"X-API-Key": "third"}))
