"""What Prometheus and the log are told."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nsfw_caffe.service.logs import JsonLines
from nsfw_caffe.service.refusals import STATUS
from tests.service.running import FORM, Service, form, until


def test_it_is_prometheus_text(service: Service) -> None:
    reply = service.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family.type for family in text_string_to_metric_families(reply.content.decode())}
    expected = {
        "nsfw_caffe_requests": "counter",
        "nsfw_caffe_seconds": "histogram",
        "nsfw_caffe_score": "histogram",
        "nsfw_caffe_video_score": "histogram",
        "nsfw_caffe_refusals": "counter",
        "nsfw_caffe_waiting": "gauge",
        "nsfw_caffe_busy": "gauge",
        "nsfw_caffe_workers": "gauge",
        "nsfw_caffe_workers_replaced": "counter",
        "process_resident_memory_bytes": "gauge",
        "process_cpu_seconds": "counter",
    }
    assert expected.items() <= families.items()
    assert service.metric("nsfw_caffe_workers") == 1


def test_every_reason_and_stage_is_there_from_the_start(service: Service) -> None:
    text = service.get("/metrics").content.decode()
    assert set(re.findall(r'nsfw_caffe_refusals_total\{reason="(\w+)"\}', text)) == set(STATUS)
    assert set(re.findall(r'nsfw_caffe_seconds_count\{stage="(\w+)"\}', text)) == {
        *("body", "fetch", "queue", "score", "video")
    }


@pytest.mark.parametrize(
    ("name", "labels", "act"),
    [
        ("nsfw_caffe_requests_total", {"route": "/v1/score", "status": "200"}, "score"),
        ("nsfw_caffe_requests_total", {"route": "/v1/score", "status": "422"}, "none"),
        ("nsfw_caffe_requests_total", {"route": "other", "status": "404"}, "elsewhere"),
        ("nsfw_caffe_refusals_total", {"reason": "not_a_picture"}, "none"),
        ("nsfw_caffe_refusals_total", {"reason": "not_a_picture"}, "one of many"),
        ("nsfw_caffe_refusals_total", {"reason": "not_found"}, "elsewhere"),
        ("nsfw_caffe_seconds_count", {"stage": "body"}, "score"),
        ("nsfw_caffe_seconds_count", {"stage": "queue"}, "score"),
        ("nsfw_caffe_seconds_count", {"stage": "score"}, "score"),
        ("nsfw_caffe_score_count", {}, "score"),
        ("nsfw_caffe_score_bucket", {"le": "0.05"}, "score"),
        ("nsfw_caffe_score_count", {}, "one of many"),
    ],
)
def test_each_is_counted_once(service: Service, photo: bytes, name: str, labels: dict[str, str], act: str) -> None:
    acts: dict[str, Callable[[], object]] = {
        "score": lambda: service.post("/v1/score", photo),
        "none": lambda: service.post("/v1/score", b"no picture"),
        "one of many": lambda: service.post("/v1/scores", form(("a", b"no picture"), ("b", photo)), FORM),
        "elsewhere": lambda: service.get("/some/path/of/no/interest"),
    }
    before = service.metric(name, **labels)
    acts[act]()
    until(lambda: service.metric(name, **labels) == before + 1)


def test_a_fetch_is_counted(lenient: Service) -> None:
    before = lenient.metric("nsfw_caffe_seconds_count", stage="fetch")
    assert lenient.post_json("/v1/score", {"url": "http://127.0.0.1/"}).reason == "url_refused"
    until(lambda: lenient.metric("nsfw_caffe_seconds_count", stage="fetch") == before + 1)


def test_paths_and_methods_make_no_metrics_of_their_own(service: Service) -> None:
    for index in range(3):
        service.get(f"/made/up/{index}")
        service.ask(f"MADEUP{index}", "/v1/score")
    text = service.get("/metrics").content
    assert b"made" not in text.lower()


class TestLog:
    @staticmethod
    def new_lines(service: Service, before: int, count: int) -> list[dict[str, Any]]:
        """Return so many lines after those that there were, which come after the answers."""
        until(lambda: len(service.lines()) >= before + count)
        return service.lines()[before:]

    def test_a_request_is_a_line(self, service: Service, photo: bytes) -> None:
        before = len(service.lines())
        score = service.post("/v1/gate?block=0.9", photo).json["score"]
        (line,) = self.new_lines(service, before, 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert 0 < line.pop("seconds") < 60
        assert line == {
            "level": "info",
            "event": "request",
            "route": "/v1/gate",
            "status": 200,
            "bytes": len(photo),
            "score": score,
            "verdict": "pass",
        }

    def test_a_refusal_has_its_reason(self, service: Service) -> None:
        before = len(service.lines())
        service.post("/v1/score", b"no picture")
        (line,) = self.new_lines(service, before, 1)
        assert (line["status"], line["reason"], line["bytes"]) == (422, "not_a_picture", 10)
        assert "score" not in line

    def test_health_is_not_logged(self, service: Service) -> None:
        before = len(service.lines())
        for path in ("/livez", "/readyz", "/metrics", "/docs"):
            assert service.get(path).status == 200
        assert [line["route"] for line in self.new_lines(service, before, 1)] == ["/docs"]

    def test_it_has_nothing_of_what_is_sent(self, lenient: Service, photo: bytes) -> None:
        secret, before = "SECRET", len(lenient.lines())
        lenient.post("/v1/scores", form((f"{secret}.jpg", photo), (f"{secret}.txt", secret.encode())), FORM)
        lenient.post_json("/v1/score", {"url": f"http://127.0.0.1/{secret}?{secret}"})
        lenient.post_json("/v1/score", {"base64": secret + "!"})
        lenient.post(f"/v1/score?{secret}={secret}", secret.encode())
        lenient.post("/v1/score", secret.encode(), {"X-API-Key": secret, "User-Agent": secret, "Referer": secret})
        lenient.post(
            "/v1/score", f"--b\r\n{secret}\xff: x\r\n".encode(), {"Content-Type": "multipart/form-data; boundary=b"}
        )
        lenient.get(f"/{secret}")
        assert len(self.new_lines(lenient, before, 7)) == 7
        log = lenient.log.read_text()
        assert secret.lower() not in log.lower()
        assert "first-key" not in log

    def test_an_error_has_its_place_and_not_its_text(self) -> None:
        try:
            try:
                int("secret")
            except ValueError as error:
                raise RuntimeError("secret") from error
        except RuntimeError as error:
            record = logging.LogRecord(
                "x", logging.ERROR, "", 0, "fault", (), (type(error), error, error.__traceback__)
            )
        text = JsonLines().format(record)
        assert "secret" not in text
        outer, inner = json.loads(text)["error"]
        assert re.match(r"RuntimeError: .*test_metrics\.py:\d+ test_an_error", outer)
        assert inner.startswith("ValueError: ")
