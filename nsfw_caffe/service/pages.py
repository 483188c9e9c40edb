"""The files of the page and of the API's documentation, read once and served as they are."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nsfw_caffe.service import api_page
from nsfw_caffe.service.answers import Json

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}

_PAGE = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css", "/favicon.svg": "favicon.svg"}
"""Which file of the page is at which path."""


def page_routes(document: Json) -> list[Route]:
    """Return the routes of the page, of the OpenAPI document and of the page that is made of it."""
    room = files("nsfw_caffe.service")
    routes = [_route(path, name, room.joinpath("page", name).read_bytes()) for path, name in _PAGE.items()]
    return [
        *routes,
        _route("/openapi.json", "openapi.json", json.dumps(document, indent=1).encode()),
        _route("/docs", "docs.html", api_page.to_html(document).encode()),
        _route("/docs.css", "docs.css", room.joinpath("docs.css").read_bytes()),
    ]


def _route(path: str, name: str, content: bytes) -> Route:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    kind = _TYPES[PurePath(name).suffix]

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            # With its type, and so with the policy of its type, which takes the place of the one that was kept.
            return Response(status_code=304, headers=headers, media_type=kind)
        return Response(content, headers=headers, media_type=kind)

    return Route(path, answer)
