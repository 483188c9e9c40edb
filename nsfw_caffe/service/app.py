"""The application: which path is answered by what."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nsfw_caffe.errors import ImageError, ScoreError
from nsfw_caffe.service.answers import json_answer, provenance
from nsfw_caffe.service.bodies import Body, Lingering, Share
from nsfw_caffe.service.fetching import Fetcher, FetchError
from nsfw_caffe.service.jobs import Answer, Draining, Job, JobRefused, Kind
from nsfw_caffe.service.keys import KeyGuard, Keys
from nsfw_caffe.service.metrics import CONTENT_TYPE, Metrics
from nsfw_caffe.service.openapi import document
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pages import page_routes
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.queries import read_detail, read_nothing, read_thresholds, read_watch
from nsfw_caffe.service.refusals import Refused, later
from nsfw_caffe.service.requests import Item, read_many, read_one, wants_png
from nsfw_caffe.service.scoring import Scoring, while_wanted
from nsfw_caffe.service.watching import Watching, notes, on_error, on_http_error

_Value = TypeVar("_Value")


def create_app(pool: Pool, options: ServiceOptions, fetcher: Fetcher) -> Starlette:
    """Create the application.

    Parameters
    ----------
    pool : Pool
        What scores; it has been started, and is not closed here.
    options : ServiceOptions
        What the service is asked to be.
    fetcher : Fetcher
        What fetches pictures and videos by their URLs, where that is allowed; it is not closed here.

    Raises
    ------
    OSError
        If the file of keys cannot be read.
    ValueError
        If there is no key in it.
    """
    metrics = Metrics(pool)
    handlers = _Handlers(pool, options, fetcher, metrics)
    routes = [
        Route("/v1/score", handlers.score, methods=["POST"]),
        Route("/v1/scores", handlers.scores, methods=["POST"]),
        Route("/v1/explain", handlers.explain, methods=["POST"]),
        Route("/v1/gate", handlers.gate, methods=["POST"]),
        Route("/v1/video", handlers.video, methods=["POST"]),
        Route("/livez", handlers.livez),
        Route("/readyz", handlers.readyz),
        Route("/metrics", handlers.metrics),
        *page_routes(document(options, pool.description)),
    ]
    paths = frozenset(route.path for route in routes)
    middleware = [
        Middleware(Lingering, most=options.body_bytes),
        Middleware(Watching, metrics=metrics, routes=paths),
    ]
    if options.api_key_file is not None:
        middleware.append(Middleware(KeyGuard, keys=Keys.of_file(options.api_key_file)))
    app = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={HTTPException: on_http_error, **dict.fromkeys(_EXPECTED, on_error)},
    )
    app.router.redirect_slashes = False  # an upload is not sent twice
    return app


_EXPECTED: tuple[type[Exception], ...] = (Refused, ImageError, ScoreError, JobRefused, FetchError)

_VERDICTS = {"pass": 200, "review": 202, "block": 409}
"""The gate's status codes: an upload goes on after any 2xx."""


class _Handlers:
    """What answers each path; what a request is refused with is raised."""

    def __init__(self, pool: Pool, options: ServiceOptions, fetcher: Fetcher, metrics: Metrics) -> None:
        self._pool = pool
        self._options = options
        self._metrics = metrics
        self._scoring = Scoring(pool, options, fetcher, metrics)
        self._provenance = provenance(pool.description)

    async def score(self, request: Request) -> Response:
        """Answer with the score of one picture."""
        read_nothing(request.query_params)
        answer = await self._one(request)
        return json_answer({"score": answer.score, **self._provenance})

    async def scores(self, request: Request) -> Response:
        """Answer with the scores of many pictures, or what is wrong with each."""
        read_nothing(request.query_params)
        with self._admitted(request) as body:
            items = await self._timed(read_many(request.headers, body, self._options.items))
            answers = await while_wanted(request.receive, self._scoring.many(items))
        results = [_result(item, answer) for item, answer in zip(items, answers, strict=True)]
        notes(request.scope).fields["pictures"] = len(results)
        return json_answer({"results": results, **self._provenance})

    async def explain(self, request: Request) -> Response:
        """Answer with the heat map of one picture, as JSON or over it as a PNG file."""
        fine = read_detail(request.query_params)
        if wants_png(request.headers):
            answer = await self._one(request, partial(Job, task="overlay", fine=fine))
            return Response(answer.overlay, media_type="image/png")
        answer = await self._one(request, partial(Job, task="explain", fine=fine))
        return json_answer({**(answer.explanation or {}), **self._provenance})

    async def gate(self, request: Request) -> Response:
        """Answer with a verdict, which the status code says too."""
        thresholds = read_thresholds(request.query_params)
        answer = await self._one(request)
        verdict = thresholds.verdict(answer.score)
        notes(request.scope).fields["verdict"] = verdict
        return json_answer({"verdict": verdict, "score": answer.score, **self._provenance}, _VERDICTS[verdict])

    async def video(self, request: Request) -> Response:
        """Answer with the scores of a video's frames, and what they say of it."""
        watch = read_watch(request.query_params, self._options.video_frames)
        answer = await self._one(request, partial(Job, watch=watch), "video")
        found = answer.video
        assert found is not None
        notes(request.scope).fields |= {"frames": len(found["scores"]), "complete": found["complete"]}
        return json_answer({**found, **self._provenance})

    async def livez(self, _request: Request) -> Response:
        """Answer that the service runs."""
        return json_answer({"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        """Answer whether pictures can be scored."""
        if self._pool.retiring or self._pool.draining:
            raise Draining("the service is about to end")
        if not await self._pool.ready():
            raise later("not_ready", "no picture can be scored at the moment")
        return json_answer({"status": "ready"})

    async def metrics(self, _request: Request) -> Response:
        """Answer with what Prometheus is told."""
        return Response(self._metrics.to_text(), headers={"Content-Type": CONTENT_TYPE})

    async def _one(self, request: Request, job: Callable[[bytes], Job] = Job, kind: Kind = "picture") -> Answer:
        with self._admitted(request, kind) as body:
            item = await self._timed(read_one(request.headers, body))
            answer = await while_wanted(request.receive, self._scoring.one(item, job))
        notes(request.scope).fields["score"] = answer.score
        return answer

    @contextlib.contextmanager
    def _admitted(self, request: Request, kind: Kind = "picture") -> Iterator[Body]:
        """Give a request's body, for as long as it is worked on."""
        self._scoring.require_room(kind)
        most, seconds = self._options.body_bytes, self._options.body_seconds
        with Share(self._scoring.held) as share:
            body = Body(request.scope, request.receive, most=most, seconds=seconds, share=share)
            try:
                yield body
            finally:
                notes(request.scope).fields["bytes"] = body.received

    async def _timed(self, reading: Awaitable[_Value]) -> _Value:
        start = time.perf_counter()
        try:
            return await reading
        finally:
            self._metrics.count_seconds("body", time.perf_counter() - start)


def _result(item: Item, answer: Answer | Refused) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"name": item.name, "error": answer.to_json()}
    return {"name": item.name, "score": answer.score}
