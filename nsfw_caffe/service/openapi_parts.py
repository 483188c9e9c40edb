"""What the OpenAPI document's operations refer to: schemas, and the answers that are errors."""

from __future__ import annotations

from typing import Any

from nsfw_caffe.service.answers import Json
from nsfw_caffe.service.refusals import STATUS, Reason

_MESSAGES: dict[Reason, str] = {
    "bad_request": "the query has block twice",
    "unauthorized": "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY",
    "url_refused": "the URL's host has no address that may be fetched from",
    "not_found": "there is no such path: see /docs",
    "method_not_allowed": "this path has other methods: see Allow",
    "body_timeout": "the body did not arrive within 10 seconds",
    "body_too_large": "the body has more than 20971520 bytes: that is the limit (--max-size)",
    "unsupported_media_type": "bodies with a Content-Encoding are not read: send them as they are",
    "not_a_picture": "the file is empty",
    "not_a_video": "there is no video in it, nothing but sound",
    "over_limit": "268402689 pixels: the limit is 60000000 (Limits.pixels, --max-pixels)",
    "overtime": "the picture takes more than 10 s",
    "worker_lost": "the worker process died of the picture, 2 times",
    "no_score": "the network's output is no probability",
    "fault": "something went wrong: see the service's log",
    "no_decoder": "this service reads animations, and no videos: PyAV is not installed",
    "fetch_failed": "the URL's host answered with status 404",
    "busy": "too many pictures are waiting",
    "draining": "the service is about to end",
    "not_ready": "no picture can be scored at the moment",
    "fetch_timed_out": "the fetch took longer than 10 s",
}
"""What the message of each reason may be."""

_TEXTS = {
    400: "The request is malformed.",
    401: "The request has no key, where keys are asked for.",
    403: "The URL is none that may be fetched.",
    404: "There is no such path.",
    405: "The path has other methods.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The body's type or coding is not read.",
    422: "There is no score: it is no picture or no video, or it asks for more than it may.",
    500: "A fault of the service, which its log tells more of.",
    501: "Videos are not read here, only animations: what decodes videos is not installed.",
    502: "The URL's host did not give what is there.",
    503: "The service is busy, or about to end: ask again later.",
    504: "The URL's host took too long.",
}

_RETRY = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
}
_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    405: {"Allow": {"required": True, "schema": {"type": "string"}}},
    503: _RETRY,
}

_SCORE = {"type": "number", "minimum": 0, "maximum": 1, "description": "The probability of `score_class`, unrounded."}
_STRING = {"type": "string"}


def error(status: int) -> str:
    """Return the name of the answer that is the error with this status."""
    return f"Error{status}"


def errors() -> Json:
    """Return the answers that are errors, by their names."""
    return {error(status): _error(status, text) for status, text in _TEXTS.items()}


def _error(status: int, text: str) -> Json:
    reasons = [reason for reason, its_status in STATUS.items() if its_status == status]
    schema = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["reason", "message"],
                "properties": {"reason": {"enum": reasons}, "message": _STRING},
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    }
    examples = {reason: {"value": {"error": {"reason": reason, "message": _MESSAGES[reason]}}} for reason in reasons}
    answer: dict[str, Any] = {
        "description": text,
        "x-status": status,
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }
    if status in _HEADERS:
        answer["headers"] = _HEADERS[status]
    return answer


def schemas(made_by: Json) -> Json:
    """Return the schemas, by their names; `made_by` is what is said with every score."""
    return {
        "Source": {
            "description": "A picture or video: in base64, or where it is, if the service fetches URLs.",
            "oneOf": [
                _object({"base64": {**_STRING, "contentEncoding": "base64"}}, "base64"),
                _object({"url": _STRING}, "url"),
            ],
        },
        "Score": _with_provenance({"score": _SCORE}, made_by),
        "Scores": _with_provenance({"results": {"type": "array", "items": _result()}}, made_by),
        "Verdict": _with_provenance({"verdict": {"enum": ["pass", "review", "block"]}, "score": _SCORE}, made_by),
        "Explanation": _with_provenance(_explanation(), made_by),
        "Video": _with_provenance(_video(), made_by),
    }


def _object(properties: Json, *required: str) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _result() -> Json:
    name = {"type": ["string", "null"], "description": "The file's name in a form, as it was given."}
    refused = _object({"reason": {"enum": list(STATUS)}, "message": _STRING}, "reason", "message")
    return {
        "oneOf": [
            _object({"name": name, "score": _SCORE}, "name", "score"),
            _object({"name": name, "error": refused}, "name", "error"),
        ]
    }


def _explanation() -> Json:
    number = {"type": "number"}
    numbers = {"type": "array", "items": number}
    return {
        "score": _SCORE,
        "others": {"type": "array", "items": _STRING, "description": "The classes that the log-odds are against."},
        "log_odds": {**number, "description": "Of the score."},
        "bias": {**number, "description": "What is added to the map's mean, whatever the picture is."},
        "heat_map": {"type": "array", "items": numbers, "description": "Rows of log-odds, from top left."},
        "box": {
            **numbers,
            "minItems": 4,
            "maxItems": 4,
            "description": "Left, top, right and bottom of what the map covers, 0 to 1.",
        },
        "detail": {"enum": ["exact", "fine"]},
        "score_range": {
            "type": ["array", "null"],
            "items": number,
            "description": "The lowest and the highest score of the crops, where `detail` is `fine`.",
        },
    }


def _video() -> Json:
    seconds, share = {"type": "number", "minimum": 0}, {"type": "number", "minimum": 0, "maximum": 1}
    segment = _object({"start": seconds, "end": seconds, "score": share}, "start", "end", "score")
    return {
        "max_score": {**share, "description": "The highest score: what to moderate by."},
        "max_time": {**seconds, "description": "The seconds at which it is reached first."},
        "p95": {**share, "description": "What the score does not exceed for 95 % of the time."},
        "mean": {**share, "description": "The mean score, which hides short scenes."},
        "share": {**share, "description": "The share of the time that is at or above the threshold."},
        "threshold": share,
        "segments": {
            "type": "array",
            "items": segment,
            "description": "The parts at or above the threshold, with the highest score of each.",
        },
        "every": {**seconds, "description": "The step: by so much the edges of segments may be off."},
        "duration": {"type": ["number", "null"], "description": "Seconds, as the file says."},
        "ended": {**seconds, "description": "Seconds to where it was looked at."},
        "complete": {"type": "boolean", "description": "Whether all was looked at that was asked for."},
        "warnings": {"type": "array", "items": _STRING, "description": "Why not, and what else is to be known."},
        "times": {"type": "array", "items": seconds, "description": "The seconds at which frames were looked at."},
        "scores": {"type": "array", "items": share, "description": "Their scores, unrounded."},
    }


def _with_provenance(properties: Json, made_by: Json) -> Json:
    texts = {name: {**_ABOUT.get(name, {}), "type": _TYPES[type(value)]} for name, value in made_by.items()}
    return _object({**properties, **texts}, *properties, *texts)


_TYPES = {str: "string", int: "integer"}

_ABOUT = {
    "score_class": {"description": "The class whose probability the score is."},
    "engine": {"description": "What computes the network."},
    "precision": {"description": "What it computes in."},
    "decode": {"description": "Whether large JPEG files are decoded smaller."},
    "frames": {"description": "Of how many frames of an animation the score is."},
    "model": {"description": "SHA-256 of the model's two files."},
    "device": {"description": "Where it computes."},
    "jpeg": {"description": "The JPEG library of the preprocessing."},
    "blas": {"description": "The BLAS that Caffe computes with; no other engine uses it."},
    "version": {"description": "The library's version."},
}
"""What is said of each field that comes with every score; they are the columns of RESULTS."""
