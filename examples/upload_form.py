"""An upload form whose pictures pass the gate of `nsfw-caffe serve` before they are kept.

    nsfw-caffe serve &
    UPLOADS=/srv/uploads granian --interface asgi --port 8080 --working-dir examples upload_form:app

It runs in the environment of the extra `serve`. What passes lands in UPLOADS, what is to be looked at in UPLOADS/held,
and the rest nowhere. When the gate has no answer, nothing is kept: an upload can be tried again, a publication cannot
be taken back. docs/service.md puts nginx in front.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import aiohttp
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

GATE = os.environ.get("GATE", "http://127.0.0.1:8000/v1/gate?block=0.9&review=0.5")
UPLOADS = Path(os.environ.get("UPLOADS", "uploads"))
HEADERS = {"X-API-Key": os.environ["GATE_KEY"]} if "GATE_KEY" in os.environ else {}
SECONDS = 30  # longer than the service takes for a picture, with all that waits before it

FORM = """<!doctype html><html lang="en"><title>Upload</title>
<form method="post" enctype="multipart/form-data" action="/upload">
<input type="file" name="picture" accept="image/*" required><button>Upload</button></form></html>"""


async def ask_gate(picture: bytes) -> int:
    """Return the gate's status code for a picture; 503 where it has none."""
    try:
        timeout = aiohttp.ClientTimeout(SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=HEADERS) as session,
            session.post(GATE, data=picture) as answer,
        ):
            return answer.status
    except (TimeoutError, aiohttp.ClientError):
        return 503


async def form(_request: Request) -> HTMLResponse:
    """Show the form."""
    return HTMLResponse(FORM)


async def upload(request: Request) -> PlainTextResponse:
    """Keep what passes."""
    async with request.form(max_files=1) as fields:
        file = fields.get("picture")
        picture = await file.read() if isinstance(file, UploadFile) else b""
    status = await ask_gate(picture)
    if status in (200, 202):
        folder = UPLOADS if status == 200 else UPLOADS / "held"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / uuid.uuid4().hex).write_bytes(picture)  # never under the name that the client gives
        return PlainTextResponse("thank you" if status == 200 else "thank you, somebody will look at it", status)
    if status in (409, 413, 415, 422):
        return PlainTextResponse("this picture is not accepted", 422)
    return PlainTextResponse("not now, please try again", 503, {"Retry-After": "5"})


app = Starlette(routes=[Route("/", form), Route("/upload", upload, methods=["POST"])])
