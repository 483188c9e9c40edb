"""The OpenAPI document: all that may be asked and answered, with examples that are real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nsfw_caffe._version import __version__
from nsfw_caffe.service.answers import Json, provenance
from nsfw_caffe.service.jobs import Kind
from nsfw_caffe.service.openapi_parts import error, errors, schemas
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.set_up import Description

EXAMPLE_PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAGklEQVR42mMUYIAAFnkYQxHGUCDMYHwPZQAALeQB2gvqqowAAAAASUVORK5CYII="
)
"""A PNG file of 8x8 pixels in base64: black at the top, white at the bottom."""

EXAMPLE_SCORE = 0.3849
"""What the original network gives it, to the digits that are the same in every engine."""

EXAMPLE_EXPLANATION: Json = {
    "score": EXAMPLE_SCORE,
    "others": ["sfw"],
    "log_odds": -0.4688,
    "bias": 2.0382,
    "heat_map": [
        [-6.29, -5.25, -4.56, -5.45, -5.4, -5.23, -4.64],
        [-4.62, -4.74, -0.66, -1.81, 0.67, 0.1, -2.11],
        [-7.65, -1.73, -1.18, -4.29, -0.9, -0.06, -2.29],
        [-7.57, -2.26, 1.79, 0.12, 1.92, -1.01, -4.12],
        [-7.22, -1.82, 3.14, 1.86, 4.16, -0.6, -3.92],
        [-7.18, -2.52, 1.15, 0.81, 1.48, -0.2, -2.8],
        [-7.77, -5.51, -3.23, -2.52, -3.0, -2.53, -5.41],
    ],
    "box": [0.0625, 0.0625, 0.9375, 0.9375],
    "detail": "exact",
    "score_range": None,
}
"""What is said of it, in the same way."""

EXAMPLE_VIDEO = (
    "R0lGODlhCAAIAIIAABAQEC8vL1BQUHBwcJCQkLCwsNDQ0O/v7yH/C05FVFNDQVBFMi4wAwEAAAAh+QQAZAAAACwAAAAACAAIAAAIJwABCBwoMIDBgwYF"
    "KFyocIDDhw4JSJwosYDFixYNaNyo8YDHjx4DAgAh+QQBZAAIACwAAAAACAAIAIIQEBAvLy9QUFBwcHCQkJCwsLDQ0NDv7+8IJwAPCBwo0IDBgwYLKFyo"
    "kIDDhw4HSJwoUYDFixYDaNyoEYDHjx4DAgA7"
)
"""A GIF file in base64, of that picture for a second, and for another one turned upside down."""

EXAMPLE_VIDEO_RESULT: Json = {
    "max_score": EXAMPLE_SCORE,
    "max_time": 0.0,
    "p95": EXAMPLE_SCORE,
    "mean": 0.2644,
    "share": 0.0,
    "threshold": 0.8,
    "segments": [],
    "every": 1.0,
    "duration": None,
    "ended": 2.0,
    "complete": True,
    "warnings": [],
    "times": [0.0, 1.0],
    "scores": [EXAMPLE_SCORE, 0.1438],
}
"""What is said of it, in the same way."""

_OF_A_PICTURE = (400, 401, 403, 408, 413, 415, 422, 500, 502, 503, 504)
_OF_MANY = (400, 401, 408, 413, 415, 500, 503)
_OF_A_VIDEO = (400, 401, 403, 408, 413, 415, 422, 500, 501, 502, 503, 504)

_FILE = {"type": "string", "format": "binary"}
_THRESHOLD = {"type": "number", "minimum": 0, "maximum": 1, "description": "0 to 1"}


def document(options: ServiceOptions, description: Description) -> Json:
    """Return the document of a service with these options, whose scores are of what is described."""
    made_by = provenance(description)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nsfw_caffe",
            "version": __version__,
            "summary": "How likely a picture is not safe for work, by the open_nsfw network.",
            "description": _about(options),
            "license": {"name": "BSD-2-Clause", "identifier": "BSD-2-Clause"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"key": []}] if options.api_key_file is not None else [],
        "paths": {
            "/v1/score": {"post": _score(made_by)},
            "/v1/scores": {"post": _scores(made_by, options.items)},
            "/v1/explain": {"post": _explain(made_by)},
            "/v1/gate": {"post": _gate(made_by)},
            "/v1/video": {"post": _video(made_by, options)},
            "/livez": {"get": _health("livez", "Whether the service runs", "alive")},
            "/readyz": {"get": _health("readyz", "Whether pictures can be scored", "ready", 503)},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _itself()},
        },
        "components": {
            "schemas": schemas(made_by),
            "responses": errors(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "One of the keys of `--api-key-file`."},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
            },
        },
    }


def _about(options: ServiceOptions) -> str:
    urls = "is fetched" if options.allow_url else "is not fetched here: the service runs without `--allow-url`"
    keys = (
        ""
        if options.api_key_file is None
        else " Whoever asks for a score sends a key: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."
    )
    return (
        "A picture or video is sent as the body itself, as a file of a form, or in JSON. Nothing of it is kept, and "
        "nothing is written to disk. Scores are those of the library, to the bit; each comes with the model and the "
        "options that made it, without which two scores cannot be compared.\n\n"
        f"A body may have {options.body_bytes} bytes and take {options.body_seconds:g} seconds to arrive; a picture "
        f"may take {options.seconds:g} seconds to score, a video {options.video_seconds:g}. What is named by its URL "
        f"{urls}.{keys}\n\n"
        "A score is no verdict: where the threshold lies is for whoever uses it to find out, with pictures of their "
        "own."
    )


def _score(made_by: Json) -> Json:
    return {
        "operationId": "score",
        "summary": "The score of one picture",
        "description": "The picture is the body, whatever its Content-Type, unless that is one of the two others.",
        "x-codeSamples": _shell("--data-binary @photo.jpg", "/v1/score"),
        "requestBody": _one_file("picture", EXAMPLE_PICTURE, "photo.jpg"),
        "responses": {
            "200": _json("The score.", "Score", {"score": EXAMPLE_SCORE, **made_by}),
            **_refused(_OF_A_PICTURE),
        },
    }


def _scores(made_by: Json, items: int) -> Json:
    files = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": items}
    unreadable = {"reason": "not_a_picture", "message": "the file is empty"}
    results = [{"name": None, "score": EXAMPLE_SCORE}, {"name": None, "error": unreadable}]
    many = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Source"},
                "minItems": 1,
                "maxItems": items,
            }
        },
        "additionalProperties": False,
    }
    return {
        "operationId": "scores",
        "summary": "The scores of many pictures",
        "description": (
            f"Up to {items} pictures, in a body that is no larger than one for a single picture. They are scored a few "
            "at a time, so that others have their turn, and answered in their order. A picture without a score has an "
            "error in its place, and the others have their scores. Where the service is busy, all are refused at once; "
            "later each waits for its turn, as long as a picture may take."
        ),
        "x-codeSamples": _shell("-F file=@one.jpg -F file=@two.png", "/v1/scores"),
        "requestBody": _body(
            {
                "multipart/form-data": _form(files, "Files, in fields of any names; other fields are ignored."),
                "application/json": {
                    "schema": many,
                    "example": {"items": [{"base64": EXAMPLE_PICTURE}, {"base64": ""}]},
                },
            }
        ),
        "responses": {
            "200": _json("The scores, in the pictures' order.", "Scores", {"results": results, **made_by}),
            **_refused(_OF_MANY),
        },
    }


def _explain(made_by: Json) -> Json:
    detail = {
        "name": "detail",
        "in": "query",
        "schema": {"enum": ["exact", "fine"], "default": "exact", "description": "exact or fine"},
        "description": "`exact` is the map of the score, `fine` the mean of the maps of 25 shifted crops.",
    }
    answer = _json(
        "The heat map; with `Accept: image/png` a picture of it.", "Explanation", {**EXAMPLE_EXPLANATION, **made_by}
    )
    answer["content"]["image/png"] = {"schema": {**_FILE, "description": "The picture under its heat map."}}
    return {
        "operationId": "explain",
        "summary": "The score of one picture, and which parts of it make it",
        "description": (
            "The heat map is exact: its mean and `bias` are together the log-odds of the score. It covers the part of "
            "the picture that `box` says, as it is stored, without the turn of its EXIF data."
        ),
        "x-codeSamples": _shell("-H 'Accept: image/png' --data-binary @photo.jpg -o heat.png", "/v1/explain"),
        "parameters": [detail],
        "requestBody": _one_file("picture", EXAMPLE_PICTURE, "photo.jpg"),
        "responses": {"200": answer, **_refused(_OF_A_PICTURE)},
    }


def _gate(made_by: Json) -> Json:
    def verdict(text: str, name: str, query: str) -> dict[str, Any]:
        example = {"summary": f"With ?{query}", "value": {"verdict": name, "score": EXAMPLE_SCORE, **made_by}}
        answer = _json(text, "Verdict")
        answer["content"]["application/json"]["examples"] = {name: example}
        return answer

    return {
        "operationId": "gate",
        "summary": "A verdict on an upload, as a status code",
        "description": (
            "For software that asks before it takes an upload, and goes on after any 2xx. A threshold is the lowest "
            "score that it takes. What is no picture is answered with 422, so it does not pass either."
        ),
        "x-codeSamples": _shell("--data-binary @photo.jpg", "/v1/gate?block=0.9&review=0.5"),
        "parameters": [
            {
                "name": "block",
                "in": "query",
                "required": True,
                "schema": _THRESHOLD,
                "description": "From this score on the verdict is `block`.",
                "example": 0.9,
            },
            {
                "name": "review",
                "in": "query",
                "schema": _THRESHOLD,
                "description": "From this score on it is `review`; no more than `block`.",
                "example": 0.5,
            },
        ],
        "requestBody": _one_file("picture", EXAMPLE_PICTURE, "photo.jpg"),
        "responses": {
            "200": verdict("Let it pass.", "pass", "block=0.9&review=0.5"),
            "202": verdict("Let it pass, and have it looked at.", "review", "block=0.9&review=0.3"),
            "409": verdict("Block it.", "block", "block=0.3"),
            **_refused(_OF_A_PICTURE),
        },
    }


def _video(made_by: Json, options: ServiceOptions) -> Json:
    every = {"anyOf": [{"const": 0}, {"minimum": 0.001}], "default": 1, "description": "0, or 0.001 or more"}
    start = {"minimum": 0, "default": 0, "description": "0 or more"}
    end = {"exclusiveMinimum": 0, "description": "more than 0"}
    threshold = {**_THRESHOLD, "default": 0.8}
    return {
        "operationId": "video",
        "summary": "The scores of a video's frames, over time",
        "description": (
            "The video, or an animated GIF, PNG, WebP or AVIF file, is sent as a picture is. The frames that are shown "
            f"every so many seconds are scored as pictures are, {options.video_frames} of them at most. Where there "
            "are more, or the file is damaged, the answer has what was looked at; `complete` is false then, and "
            "`warnings` says why. A video has no score of its own: what it shows for a moment is in `max_score` and "
            "`segments`; what is shorter than the step may be missed. A few videos are taken at a time, so that "
            "pictures need not wait for them, and others are refused with 503."
        ),
        "x-codeSamples": _shell("--data-binary @clip.mp4", "/v1/video?every=0.5"),
        "parameters": [
            _number("every", every, "Seconds from one frame to the next, by default 1; 0 for every frame."),
            _number("start", start, "Seconds from the beginning: the first frame."),
            _number("end", end, "Seconds from the beginning: frames before it are looked at. More than `start`."),
            _number("threshold", threshold, "From this score on a frame is in a segment, by default from 0.8 on."),
            _number("stop_at", _THRESHOLD, "The first frame with this score, or a higher one, is the last one."),
        ],
        "requestBody": _one_file("video", EXAMPLE_VIDEO, "clip.mp4"),
        "responses": {
            "200": _json("The scores, and what they say.", "Video", {**EXAMPLE_VIDEO_RESULT, **made_by}),
            **_refused(_OF_A_VIDEO),
        },
    }


def _number(name: str, schema: Json, text: str) -> Json:
    return {"name": name, "in": "query", "schema": {"type": "number", **schema}, "description": text}


def _health(name: str, summary: str, status: str, *refused: int) -> Json:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"const": status}}}
    answer = {"description": "It is so.", "content": {"application/json": {"schema": schema}}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {"200": answer, **_refused((500, *refused))},
    }


def _metrics() -> Json:
    answer = {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "operationId": "metrics",
        "summary": "What Prometheus is told",
        "security": [],
        "responses": {"200": answer, **_refused((500,))},
    }


def _itself() -> Json:
    answer = {"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "operationId": "openapi",
        "summary": "This document",
        "security": [],
        "responses": {"200": answer, **_refused((500,))},
    }


def _one_file(kind: Kind, base64: str, name: str) -> Json:
    return _body(
        {
            "application/octet-stream": {"schema": {**_FILE, "description": f"The {kind}."}},
            "multipart/form-data": _form(_FILE, "One file, in a field of any name; other fields are ignored."),
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Source"},
                "examples": {
                    "base64": {"value": {"base64": base64}},
                    "url": {"value": {"url": f"https://example.org/{name}"}},
                },
            },
        }
    )


def _body(content: Json) -> Json:
    return {"required": True, "content": content}


def _form(files: Json, text: str) -> Json:
    return {"schema": {"type": "object", "required": ["file"], "properties": {"file": files}, "description": text}}


def _json(text: str, schema: str, example: Json | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if example is not None:
        content["example"] = example
    return {"description": text, "content": {"application/json": content}}


def _refused(statuses: Iterable[int]) -> Mapping[str, Json]:
    return {str(status): {"$ref": f"#/components/responses/{error(status)}"} for status in statuses}


def _shell(arguments: str, path: str) -> list[Json]:
    url = f"http://127.0.0.1:8000{path}"
    return [{"lang": "Shell", "source": f"curl {arguments} {chr(39) + url + chr(39) if '?' in url else url}"}]
