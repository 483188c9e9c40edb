"""The gate, whose status code is a verdict."""

from __future__ import annotations

import pytest

import nsfw_caffe
from nsfw_caffe.service.queries import Thresholds, Verdict
from tests.service.running import FORM, Service, form


@pytest.fixture(scope="module")
def score(portable: nsfw_caffe.Classifier, photo: bytes) -> float:
    return portable.classify(photo)


@pytest.mark.parametrize(
    ("block", "review", "status", "verdict"),
    [
        (2.0, None, 200, "pass"),
        (2.0, 1.5, 200, "pass"),
        (2.0, 1.0, 202, "review"),
        (2.0, 0.5, 202, "review"),
        (1.0, 0.5, 409, "block"),
        (1.0, None, 409, "block"),
        (0.5, 0.5, 409, "block"),
    ],
)
def test_a_threshold_is_the_lowest_score_that_it_takes(
    service: Service, photo: bytes, score: float, block: float, review: float | None, status: int, verdict: str
) -> None:
    """The thresholds are multiples of the score."""
    query = f"block={block * score!r}" + ("" if review is None else f"&review={review * score!r}")
    for body, headers in ((photo, {}), (form(("photo.jpg", photo)), FORM)):
        reply = service.post(f"/v1/gate?{query}", body, headers)
        assert (reply.status, reply.json["verdict"], reply.json["score"]) == (status, verdict, score)


@pytest.mark.parametrize("body", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_does_not_pass(service: Service, body: bytes) -> None:
    reply = service.post("/v1/gate?block=1", body)
    assert (reply.status, reply.reason) == (422, "not_a_picture")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "review=0.5",
        "block=",
        "block=nan",
        "block=NaN",
        "block=inf",
        "block=1.1",
        "block=-0.1",
        "block=0.9%20",
        "block=0_9",
        "block=.9",
        "block=0,9",
        "block=90%25",
        "block=%D9%A0",
        "block=1e999",
        "block=0.9&block=0.9",
        "block=0.9&review=0.5&review=0.6",
        "block=0.5&review=0.9",
        "block=0.9&review=",
        "Block=0.9",
        "block=0.9&treshold=0.5",
    ],
)
def test_what_are_no_thresholds_is_refused(service: Service, photo: bytes, query: str) -> None:
    reply = service.post(f"/v1/gate?{query}", photo)
    assert (reply.status, reply.reason) == (400, "bad_request")


@pytest.mark.parametrize(("score", "verdict"), [(0.0, "pass"), (0.5, "review"), (0.9, "block"), (1.0, "block")])
def test_verdicts(score: float, verdict: Verdict) -> None:
    assert Thresholds(0.9, 0.5).verdict(score) == verdict


def test_all_can_be_blocked_and_none() -> None:
    assert Thresholds(0.0).verdict(0.0) == "block"
    assert Thresholds(1.0).verdict(0.9999) == "pass"
