"""Why a request is refused: the reasons, their status codes, and what becomes of the errors of other parts."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from nsfw_caffe.errors import ImageError, ScoreError, VideoError
from nsfw_caffe.service.fetching import FetchFailed, FetchRefused, FetchTimedOut
from nsfw_caffe.service.jobs import Busy, Draining, NoDecoder, Overtime, Unable, WorkerLost

Reason: TypeAlias = Literal[
    "bad_request",
    "unauthorized",
    "url_refused",
    "not_found",
    "method_not_allowed",
    "body_timeout",
    "body_too_large",
    "unsupported_media_type",
    "not_a_picture",
    "not_a_video",
    "over_limit",
    "overtime",
    "worker_lost",
    "no_score",
    "fault",
    "no_decoder",
    "fetch_failed",
    "busy",
    "draining",
    "not_ready",
    "fetch_timed_out",
]

STATUS: dict[Reason, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "url_refused": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_timeout": 408,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "not_a_picture": 422,
    "not_a_video": 422,
    "over_limit": 422,
    "overtime": 422,
    "worker_lost": 422,
    "no_score": 422,
    "fault": 500,
    "no_decoder": 501,
    "fetch_failed": 502,
    "busy": 503,
    "draining": 503,
    "not_ready": 503,
    "fetch_timed_out": 504,
}
"""The status code that each reason is answered with."""

RETRY_SECONDS = 1
"""When to come again where nothing tells how long it will take."""

_OF_A_LIMIT = " (Limits."
"""What every error of a limit of the library has in its text, and no other: the name of the option."""


class Refused(Exception):  # noqa: N818 - a state, named as one
    """A request, or one picture of it, is answered with an error.

    Attributes
    ----------
    reason : str
        One of `STATUS`, for programs.
    message : str
        For people.
    headers : dict of str to str
        What the answer's headers say besides.
    """

    def __init__(self, reason: Reason, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The answer's status code."""
        return STATUS[self.reason]

    def to_json(self) -> dict[str, str]:
        """Return what the answer says."""
        return {"reason": self.reason, "message": self.message}


def later(reason: Reason, message: str, seconds: float = RETRY_SECONDS) -> Refused:
    """Refuse what may be asked again after this many seconds."""
    return Refused(reason, message, {"Retry-After": str(max(1, math.ceil(seconds)))})


def refusal(error: Exception) -> Refused | None:
    """Return how an error is answered; None for one that nobody expects."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ImageError):
        none: Reason = "not_a_video" if isinstance(error, VideoError) else "not_a_picture"
        return Refused("over_limit" if _OF_A_LIMIT in error.reason else none, error.reason)
    if isinstance(error, Busy):
        return later("busy", str(error), error.retry_after)
    if isinstance(error, Unable):
        return later("not_ready", str(error))
    if isinstance(error, Draining):
        return later("draining", str(error))
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return Refused(reason, error.reason if isinstance(error, ScoreError) else str(error))
    return None


_REASONS: dict[type[Exception], Reason] = {
    ScoreError: "no_score",
    Overtime: "overtime",
    WorkerLost: "worker_lost",
    NoDecoder: "no_decoder",
    FetchRefused: "url_refused",
    FetchTimedOut: "fetch_timed_out",
    FetchFailed: "fetch_failed",
}
