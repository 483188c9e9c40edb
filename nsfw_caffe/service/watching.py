"""What surrounds every request: the headers of its answer, its count, its line in the log, and errors of all kinds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nsfw_caffe.service import logs
from nsfw_caffe.service.answers import error_answer
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.refusals import Reason, Refused, refusal

GONE = 499
"""What stands for a status where the client did not wait for one; nginx writes the same."""

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"

_NOTES = "nsfw_caffe.notes"


@dataclass
class Notes:
    """What is found out about a request, for the log."""

    fields: dict[str, object] = field(default_factory=dict)
    reason: Reason | None = None


def notes(scope: Scope) -> Notes:
    """Return the notes of a request."""
    found: Notes = scope[_NOTES]
    return found


class Watching:
    """The middleware that does it.

    Parameters
    ----------
    app
        What answers.
    metrics : Metrics
        Where requests are counted.
    routes : frozenset of str
        The paths that there are; a request for any other counts as one for "other".
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted = scope[_NOTES] = Notes()
        start = time.perf_counter()
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with_policy(message.get("headers", ()))}
            await send(message)

        try:
            try:
                await self._app(scope, receive, sending)
            except ClientDisconnect:
                pass
            except Exception as error:
                logs.log_fault(error)
                if status is not None:
                    raise  # half an answer is out: the server breaks the connection off
                await refuse(scope, Refused("fault", "something went wrong: see the service's log"))(
                    scope, receive, sending
                )
        finally:
            self._end(scope["path"], GONE if status is None else status, noted, time.perf_counter() - start)

    def _end(self, path: str, status: int, noted: Notes, seconds: float) -> None:
        route = path if path in self._routes else "other"
        self._metrics.count_request(route, status)
        fields: dict[str, object] = {"seconds": round(seconds, 6)} | noted.fields
        if noted.reason is not None:
            self._metrics.count_refusal(noted.reason)
            fields["reason"] = noted.reason
        logs.log_request(route, status, fields)


def refuse(scope: Scope, refused: Refused) -> Response:
    """Return the answer to what is refused, and note why."""
    notes(scope).reason = refused.reason
    return error_answer(refused)


def on_error(request: Request, error: Exception) -> Response:
    """Answer an error of a handler's that is expected."""
    refused = refusal(error)
    assert refused is not None
    return refuse(request.scope, refused)


def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refused = Refused("method_not_allowed", "this path has other methods: see Allow", dict(error.headers or {}))
    else:
        refused = Refused("not_found", "there is no such path: see /docs")
    return refuse(request.scope, refused)


def _with_policy(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with those that every answer has."""
    named = {name.lower(): value for name, value in headers}
    page = named.get(b"content-type", b"").startswith(b"text/html")
    every = {
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"no-referrer",
        b"content-security-policy": (_PAGE_POLICY if page else _DATA_POLICY).encode(),
        b"cache-control": b"no-store",
    }
    return [*headers, *((name, value) for name, value in every.items() if name not in named)]
