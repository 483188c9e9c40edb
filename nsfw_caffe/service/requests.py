"""What a request asks to be scored: pictures or a video, or their URLs, in any of the forms that a body may have."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from nsfw_caffe.service.bodies import Body
from nsfw_caffe.service.multipart import Form
from nsfw_caffe.service.refusals import Refused

_VALUES = 100
"""Values, for each picture that a JSON body may have: more make no sense, and each costs much more memory than text."""

_LARGE = 1 << 18
"""Bytes of JSON that are read in a thread: of 20 MB it takes a sixth of a second, in which nothing else is answered."""

_SLICE = 1 << 20
"""Characters of base64 that are decoded at a time, between which other threads have their turn; a multiple of four."""

_reader = ThreadPoolExecutor(1, thread_name_prefix="json")
"""One thread for all requests: they do not hold up what is no JSON, however many there are."""

_Value = TypeVar("_Value")

_FORMS = "multipart/form-data, application/json"

_SOURCES = '{"base64": "..."} or {"url": "https://..."}'


@dataclass(frozen=True)
class Item:
    """One picture of a request, or its video: its content, its URL, or why it can be neither.

    Attributes
    ----------
    name : str or None
        The file's name in a form, as the client gives it.
    content : bytes or None
        The file.
    url : str or None
        Where it is instead.
    refused : Refused or None
        What is wrong with it, which is no fault of the others.
    """

    name: str | None = None
    content: bytes | None = None
    url: str | None = None
    refused: Refused | None = None


async def read_one(headers: Headers, body: Body) -> Item:
    """Return the one picture or video of a request, whose body may be that; Refused where there is not one."""
    kind = _media_type(headers)
    if kind == "multipart/form-data":
        return (await _read_form(headers, body, 1))[0]
    if kind == "application/json":
        return await _aside(lambda content: _one_of_json(_parse(content, 1)), await body.read())
    if kind.startswith("multipart/"):
        raise Refused("unsupported_media_type", f"{kind} is not read: send {_FORMS}, or the file itself")
    return Item(content=await body.read())


async def read_many(headers: Headers, body: Body, most: int) -> list[Item]:
    """Return the pictures of a request for many; Refused where there are none, or more than `most`."""
    kind = _media_type(headers)
    if kind == "multipart/form-data":
        return await _read_form(headers, body, most)
    if kind == "application/json":
        return await _aside(lambda content: _many_of_json(_parse(content, most), most), await body.read())
    raise Refused("unsupported_media_type", f"many pictures are sent as {_FORMS}")


def wants_png(headers: Headers) -> bool:
    """Tell whether a request would have a PNG file rather than JSON: it has to say so."""
    weights = dict.fromkeys(("image/png", "image/*", "application/json"), 0.0)
    for accepted in headers.get("accept", "").split(","):
        kind, _, parameters = accepted.partition(";")
        kind = kind.strip().lower()
        if kind in weights:
            weights[kind] = max(weights[kind], _weight(parameters))
    return max(weights["image/png"], weights["image/*"]) > weights["application/json"]


def _weight(parameters: str) -> float:
    found = re.search(r"(?:^|;)\s*q=([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", parameters)
    return float(found[1]) if found else 1.0


def _media_type(headers: Headers) -> str:
    """Return the body's type, without parameters; Refused where it is compressed."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refused("unsupported_media_type", "bodies with a Content-Encoding are not read: send them as they are")
    return parse_options_header(headers.get("content-type"))[0].decode("latin-1").strip()


async def _read_form(headers: Headers, body: Body, most: int) -> list[Item]:
    form = Form(headers["content-type"], most)
    await body.feed(form.feed)
    files = form.files()
    if not files:
        raise Refused("bad_request", "the form has no file: a file's part has a filename")
    return [Item(name=file.name, content=file.content) for file in files]


async def _aside(read: Callable[[bytes], _Value], content: bytes) -> _Value:
    """Return what a function makes of a body; where it is large, without holding up others."""
    if len(content) < _LARGE:
        return read(content)
    return await asyncio.get_running_loop().run_in_executor(_reader, read, content)


def _parse(content: bytes, pictures: int) -> object:
    """Return what a JSON text says; Refused where it is none, or has the same key twice."""
    # Counted first: ten bytes of text may become a hundred of memory.
    if sum(content.count(sign) for sign in (b",", b"[", b"{")) > _VALUES * (pictures + 1):
        raise Refused("bad_request", "the JSON text has more values than any request takes")
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError:
        raise Refused("bad_request", "the JSON text is no UTF-8") from None
    except (ValueError, RecursionError) as error:
        where = f" ({error.msg}, character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise Refused("bad_request", f"the body is no JSON text{where}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("bad_request", "the JSON text has a key twice in one object")
    return found


def _one_of_json(value: object) -> Item:
    item = _item(value)
    if item.refused is not None:
        raise item.refused
    return item


def _many_of_json(value: object, most: int) -> list[Item]:
    if not isinstance(value, dict) or list(value) != ["items"] or not isinstance(value["items"], list):
        raise Refused("bad_request", f'expected {{"items": [...]}}, each of them {_SOURCES}')
    if not 1 <= len(value["items"]) <= most:
        raise Refused("bad_request", f"{len(value['items'])} items: expected 1 to {most} (--items)")
    return [_item(item) for item in value["items"]]


def _item(value: object) -> Item:
    """Return what a JSON object says; Refused where it does not say what is asked."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Refused("bad_request", f"expected {_SOURCES}")
    ((key, text),) = value.items()
    if key not in ("base64", "url") or not isinstance(text, str):
        raise Refused("bad_request", f"expected {_SOURCES}")
    if key == "url":
        return Item(url=text)
    try:
        return Item(content=_decoded(text))
    except ValueError:
        hint = ": leave out what comes before the comma" if text.startswith("data:") else ""
        return Item(refused=Refused("bad_request", f"the value of base64 is no base64{hint}"))


def _decoded(text: str) -> bytes:
    """Return what is written in base64; ValueError where it is none, or anything else is in it."""
    if len(text) % 4 or "=" in text[:-2]:  # which a slice could end with
        raise ValueError
    content = io.BytesIO()
    for start in range(0, len(text), _SLICE):
        content.write(base64.b64decode(text[start : start + _SLICE], validate=True))
    return content.getvalue()
