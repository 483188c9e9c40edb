"""What the service answers, over HTTP."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import nsfw_caffe
from nsfw_caffe._version import __version__
from nsfw_caffe.results.record import Provenance
from tests import bombs
from tests.service.running import FORM, JSON, Reply, Service, form, until
from tests.support import PHOTOS

PICTURES = ["rocket.jpg", "chelsea.png", "coffee.png"]

FORMS: dict[str, Callable[[bytes], tuple[bytes, dict[str, str]]]] = {
    "raw": lambda content: (content, {"Content-Type": "image/jpeg"}),
    "raw, as curl --data-binary has it": lambda content: (
        content,
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    "form": lambda content: (form(("photo.jpg", content)), FORM),
    "base64": lambda content: (json.dumps({"base64": base64.b64encode(content).decode()}).encode(), JSON),
}

MADE_BY = [name for name in Provenance._fields if name != "every"]
"""What made a score, as far as a picture has it."""

PROVENANCE = ["score_class", *MADE_BY, "version"]


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kind", FORMS)
def test_scores_are_those_of_the_library(
    service: Service, portable: nsfw_caffe.Classifier, name: str, kind: str
) -> None:
    content = (PHOTOS / name).read_bytes()
    reply = service.post("/v1/score", *FORMS[kind](content))
    assert reply.status == 200
    assert reply.json["score"] == portable.classify(content)


def test_a_score_says_what_made_it(service: Service, portable: nsfw_caffe.Classifier, photo: bytes) -> None:
    answer = service.post("/v1/score", photo).json
    assert list(answer) == ["score", *PROVENANCE]
    made_by = Provenance.of(portable.options, portable.model_sha256)._asdict()
    assert {name: answer[name] for name in MADE_BY} == {name: made_by[name] for name in MADE_BY}
    assert (answer["score_class"], answer["version"]) == ("nsfw", __version__)


def test_a_body_of_chunks_is_scored(service: Service, portable: nsfw_caffe.Classifier, photo: bytes) -> None:
    pieces = [photo[start : start + 10_000] for start in range(0, len(photo), 10_000)]
    head = "POST /v1/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    with service.connect() as connection:
        connection.sendall(head.encode() + chunks + b"0\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["score"] == portable.classify(photo)


class TestMany:
    def test_each_has_its_own(self, service: Service, portable: nsfw_caffe.Classifier) -> None:
        contents = [(PHOTOS / name).read_bytes() for name in PICTURES]
        files = [*zip(PICTURES, contents, strict=True), ("text.txt", b"no picture"), ("empty", b"")]
        reply = service.post("/v1/scores", form(*files), FORM)
        assert reply.status == 200
        assert list(reply.json) == ["results", *PROVENANCE]
        *found, text, empty = reply.json["results"]
        scores = [portable.classify(content) for content in contents]
        assert found == [{"name": name, "score": score} for name, score in zip(PICTURES, scores, strict=True)]
        assert (text["name"], text["error"]["reason"]) == ("text.txt", "not_a_picture")
        assert empty["error"] == {"reason": "not_a_picture", "message": "the file is empty"}

    def test_as_json(self, service: Service, portable: nsfw_caffe.Classifier, photo: bytes) -> None:
        items = [{"base64": base64.b64encode(photo).decode()}, {"base64": "?"}, {"url": "http://127.0.0.1/"}]
        results = service.post_json("/v1/scores", {"items": items}).json["results"]
        assert results[0] == {"name": None, "score": portable.classify(photo)}
        assert [each["error"]["reason"] for each in results[1:]] == ["bad_request", "url_refused"]

    def test_names_are_given_back_as_they_are(self, service: Service, photo: bytes) -> None:
        names = ["\x00\x1b[31m", "</script>", "\u202eقطة.jpg", "a/../b"]
        reply = service.post("/v1/scores", form(*((name, photo) for name in names)), FORM)
        assert [each["name"] for each in reply.json["results"]] == names
        assert reply.content.isascii()
        assert not any(byte < 0x20 for byte in reply.content)

    def test_a_name_that_is_no_utf8_is_no_fault(self, service: Service, photo: bytes) -> None:
        body = form(("x.jpg", photo)).replace(b"x.jpg", b"\xff.jpg", 1)
        assert service.post("/v1/scores", body, FORM).json["results"][0]["name"] == "\ufffd.jpg"

    def test_others_have_their_turn(self, service: Service, photo: bytes) -> None:
        """Five pictures of one request are at no time more than one in the pool of one worker."""
        done = threading.Event()
        waiting: list[float] = []

        def watch() -> None:
            while not done.is_set():
                waiting.append(service.metric("nsfw_caffe_waiting"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            assert service.post("/v1/scores", form(*[("photo", photo)] * 5), FORM).status == 200
        finally:
            done.set()
            watcher.join()
        assert max(waiting) == 0


class TestExplain:
    def test_it_is_the_explanation_of_the_library(
        self, service: Service, portable: nsfw_caffe.Classifier, photo: bytes
    ) -> None:
        reply = service.post("/v1/explain", photo)
        assert reply.status == 200
        expected = portable.explain(photo).to_json()
        assert {name: reply.json[name] for name in expected} == expected
        assert set(reply.json) == {*expected, *PROVENANCE}

    def test_in_detail(self, service: Service, photo: bytes) -> None:
        answer = service.post("/v1/explain?detail=fine", photo).json
        assert answer["detail"] == "fine"
        assert answer["score_range"][0] <= answer["score"] <= answer["score_range"][1]

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("image/png", "image/png"),
            ("image/png, */*;q=0.5", "image/png"),
            ("image/*;q=0.9, application/json;q=0.1", "image/png"),
            ("*/*", "application/json"),
            ("application/json, image/png;q=0.5", "application/json"),
            ("image/png;q=0", "application/json"),
            ("", "application/json"),
        ],
    )
    def test_as_what_is_accepted(self, service: Service, photo: bytes, accept: str, kind: str) -> None:
        reply = service.post("/v1/explain", photo, {"Accept": accept})
        assert (reply.status, reply.headers["content-type"]) == (200, kind)
        if kind == "image/png":
            with Image.open(io.BytesIO(reply.content)) as picture:
                assert picture.format == "PNG"

    def test_another_detail_is_refused(self, service: Service, photo: bytes) -> None:
        assert service.post("/v1/explain?detail=coarse", photo).reason == "bad_request"


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        ("", b"", 422, "not_a_picture"),
        ("", b"no picture", 422, "not_a_picture"),
        ("multipart/form-data", b"", 400, "bad_request"),
        ("multipart/form-data; boundary=" + "b" * 5000, b"", 400, "bad_request"),
        (FORM["Content-Type"], b"", 400, "bad_request"),
        (FORM["Content-Type"], b"no form", 400, "bad_request"),
        (FORM["Content-Type"], form(), 400, "bad_request"),
        (FORM["Content-Type"], form(("a", b""))[:-10], 400, "bad_request"),
        (FORM["Content-Type"], form(("a", b""), ("b", b"")), 400, "bad_request"),
        (FORM["Content-Type"], form(("a", b"")), 422, "not_a_picture"),
        (FORM["Content-Type"], form(("a" * 5000, b"")), 400, "bad_request"),
        (FORM["Content-Type"], form(("a", b"")).replace(b'; filename="a"', b""), 400, "bad_request"),
        ("multipart/mixed; boundary=b", b"", 415, "unsupported_media_type"),
        ("application/json", b"", 400, "bad_request"),
        ("application/json", b"[]", 400, "bad_request"),
        ("application/json", b"null", 400, "bad_request"),
        ("application/json", b"{}", 400, "bad_request"),
        ("application/json", b'{"base64": 1}', 400, "bad_request"),
        ("application/json", b'{"base64": "", "url": ""}', 400, "bad_request"),
        ("application/json", b'{"base64": "", "base64": ""}', 400, "bad_request"),
        ("application/json", b'{"picture": ""}', 400, "bad_request"),
        ("application/json", b'{"base64": "AAA"}', 400, "bad_request"),
        ("application/json", b'{"base64": "iVBO Rw0="}', 400, "bad_request"),
        ("application/json", b'{"base64": "iVBO\\nRw0="}', 400, "bad_request"),
        ("application/json", b'{"base64": "-_-_"}', 400, "bad_request"),
        ("application/json", b'{"base64": "data:image/png;base64,AAAA"}', 400, "bad_request"),
        ("application/json", b'{"base64": ""}', 422, "not_a_picture"),
        ("application/json", b'{"base64": "\xff"}', 400, "bad_request"),
        ("application/json", '{"base64": ""}'.encode("utf-16"), 400, "bad_request"),
        ("application/json", b'{"base64": "\\ud800"}', 400, "bad_request"),
        ("application/json", b'{"url": "\\ud800"}', 403, "url_refused"),
        ("application/json", b'{"url": "http://127.0.0.1/"}', 403, "url_refused"),
        ("application/json", b"[" * 150 + b"]" * 150, 400, "bad_request"),
        ("application/json", b"[" * 100_000, 400, "bad_request"),
        ("application/json", b"[" + b"[]," * 100_000 + b"[]]", 400, "bad_request"),
        ("application/json", b'{"base64": ' + b"9" * 100_000 + b"}", 400, "bad_request"),
        ("application/json", b'{"base64": NaN}', 400, "bad_request"),
    ],
)
def test_what_is_no_request_has_an_answer(service: Service, kind: str, body: bytes, status: int, reason: str) -> None:
    reply = service.post("/v1/score", body, {"Content-Type": kind} if kind else {})
    assert (reply.status, reply.reason) == (status, reason)


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("image/jpeg", b"", "unsupported_media_type"),
        ("application/json", b'{"items": []}', "bad_request"),
        ("application/json", json.dumps({"items": [{"base64": ""}] * 6}).encode(), "bad_request"),
        ("application/json", b'{"items": [{"base64": "", "url": ""}]}', "bad_request"),
        ("application/json", b'{"items": {}}', "bad_request"),
        ("application/json", b'{"items": [], "more": 1}', "bad_request"),
        (FORM["Content-Type"], form(*[("a", b"")] * 6), "bad_request"),
        (FORM["Content-Type"], form(), "bad_request"),
    ],
)
def test_what_is_no_request_for_many_has_an_answer(service: Service, kind: str, body: bytes, reason: str) -> None:
    assert service.post("/v1/scores", body, {"Content-Type": kind}).reason == reason


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_a_compressed_body_is_refused(service: Service, encoding: str) -> None:
    reply = service.post("/v1/score", b"", {"Content-Encoding": encoding})
    assert (reply.status, reply.reason) == (415, "unsupported_media_type")


def test_a_query_that_is_not_known_is_refused(service: Service, photo: bytes) -> None:
    for path in ("/v1/score?frames=2", "/v1/scores?a", "/v1/explain?Detail=fine", "/v1/gate?block=0.9&reveiw=0.5"):
        assert service.post(path, photo).reason == "bad_request"


class TestPaths:
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
    @pytest.mark.parametrize("path", ["/v1", "/v1/score/", "/v2/score", "/page/index.html", "/..%2f..%2fetc/passwd"])
    def test_there_is_no_other(self, service: Service, method: str, path: str) -> None:
        reply = service.ask(method, path)
        assert (reply.status, reply.reason) == (404, "not_found")

    @pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "TRACE", "PATCH"])
    def test_a_score_is_posted(self, service: Service, method: str) -> None:
        reply = service.ask(method, "/v1/score")
        assert (reply.status, reply.reason, reply.headers["allow"]) == (405, "method_not_allowed", "POST")

    def test_a_head_has_no_body(self, service: Service) -> None:
        for path, status in (("/livez", 200), ("/", 200), ("/v1/score", 405), ("/none", 404)):
            reply = service.ask("HEAD", path)
            assert (reply.status, reply.content) == (status, b"")

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/", "text/html; charset=utf-8"),
            ("/page.js", "text/javascript; charset=utf-8"),
            ("/page.css", "text/css; charset=utf-8"),
            ("/favicon.svg", "image/svg+xml"),
            ("/docs", "text/html; charset=utf-8"),
            ("/docs.css", "text/css; charset=utf-8"),
            ("/openapi.json", "application/json"),
        ],
    )
    def test_files_are_served(self, service: Service, path: str, kind: str) -> None:
        reply = service.get(path)
        assert (reply.status, reply.headers["content-type"]) == (200, kind)
        again = service.ask("GET", path, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status, again.content) == (304, b"")

    def test_health(self, service: Service) -> None:
        assert service.get("/livez").json == {"status": "alive"}
        assert service.get("/readyz").json == {"status": "ready"}


def test_every_answer_has_the_headers_of_safety(service: Service, photo: bytes) -> None:
    replies = [service.get(path) for path in ("/", "/docs", "/page.js", "/metrics", "/none", "/v1/score")]
    for reply in [*replies, service.post("/v1/score", photo), service.post("/v1/score", b"")]:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert not {name for name in reply.headers if name.startswith("access-control") or name == "set-cookie"}
    assert service.post("/v1/score", photo).headers["cache-control"] == "no-store"


class TestBusy:
    def test_forty_clients_of_eight_places(
        self, service: Service, portable: nsfw_caffe.Classifier, photo: bytes
    ) -> None:
        def several() -> Reply:
            while (reply := service.post("/v1/scores", form(*[("photo", photo)] * 5), FORM)).status == 503:
                time.sleep(0.05)
            return reply

        with concurrent.futures.ThreadPoolExecutor(40) as clients:
            many = clients.submit(several)
            replies = list(clients.map(lambda _: service.post("/v1/score", photo), range(80)))
        assert {reply.status for reply in replies} == {200, 503}
        score = portable.classify(photo)
        for reply in replies:
            if reply.status == 200:
                assert reply.json["score"] == score
            else:
                assert reply.reason == "busy"
                assert int(reply.headers["retry-after"]) >= 1
        # What has been let in waits for its turn.
        assert [each["score"] for each in many.result().json["results"]] == [score] * 5

    def test_who_goes_away_gives_the_place_to_others(self, lenient: Service, photo: bytes) -> None:
        gone = lenient.metric("nsfw_caffe_requests_total", route="/v1/score", status="499")
        with lenient.begin(bombs.png_of_many_chunks(bombs.SLOW)) as slow:
            until(lambda: lenient.metric("nsfw_caffe_busy") == 1)
            waiting = lenient.begin(photo)
            until(lambda: lenient.metric("nsfw_caffe_waiting") == 1)
            waiting.close()
            until(lambda: lenient.metric("nsfw_caffe_waiting") == 0, 2)
            assert lenient.metric("nsfw_caffe_busy") == 1
            until(lambda: lenient.metric("nsfw_caffe_requests_total", route="/v1/score", status="499") == gone + 1)
            assert slow.recv(1000).startswith(b"HTTP/1.1 422 ")

    def test_health_is_answered_meanwhile(self, lenient: Service) -> None:
        with lenient.begin(bombs.png_of_many_chunks(bombs.SLOW)) as slow:
            until(lambda: lenient.metric("nsfw_caffe_busy") == 1)
            assert lenient.get("/livez").status == 200
            assert lenient.metric("nsfw_caffe_busy") == 1
            assert slow.recv(1000).startswith(b"HTTP/1.1 422 ")

    @pytest.mark.slow
    def test_what_finds_no_place_is_refused_before_it_is_sent(self, lenient: Service, photo: bytes) -> None:
        with contextlib.ExitStack() as open_ones:
            slow = open_ones.enter_context(lenient.begin(bombs.png_of_many_chunks(bombs.SLOW)))
            until(lambda: lenient.metric("nsfw_caffe_busy") == 1)
            waiting = [open_ones.enter_context(lenient.begin(photo)) for _ in range(2)]
            until(lambda: lenient.metric("nsfw_caffe_waiting") == 2)
            late = open_ones.enter_context(lenient.connect())
            late.sendall(lenient.head("Content-Length: 1000"))
            assert late.recv(1000).startswith(b"HTTP/1.1 503 ")
            many = lenient.post("/v1/scores", form(("a", photo)), FORM)
            assert (many.status, many.reason) == (503, "busy")
            assert slow.recv(1000).startswith(b"HTTP/1.1 422 ")
            for connection in waiting:
                assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_nothing_is_written_to_disk(service: Service, photo: bytes) -> None:
    """Files that are deleted as soon as they are opened would be among those that the process has open."""
    folder = service.log.parent
    with service.connect() as connection:
        body = form(("photo.jpg", photo * 10))
        head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['Content-Type']}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        time.sleep(0.3)
        links = [_target(link) for link in Path(f"/proc/{service.process.pid}/fd").iterdir()]
        files = [link for link in links if link.startswith("/") and not link.startswith(("/memfd:", "/dev/"))]
    assert set(files) == {str(service.log)}
    assert [path.name for path in folder.iterdir()] == ["log"]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""
