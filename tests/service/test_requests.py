"""What JSON bodies ask, large ones too, which a thread reads."""

from __future__ import annotations

import asyncio
import base64
import json
import threading

import pytest
from starlette.datastructures import Headers

from nsfw_caffe.service import requests
from nsfw_caffe.service.bodies import Body, Held, Share
from nsfw_caffe.service.refusals import Refused
from nsfw_caffe.service.requests import Item, read_many, read_one
from tests.service.running import JSON
from tests.service.test_bodies import END, receiving

MOST = 20 << 20


def body(content: bytes) -> Body:
    share = Share(Held(MOST))
    return Body({"headers": []}, receiving(content, then=END), most=MOST, seconds=10, share=share)


def read(value: object) -> Item:
    return asyncio.run(read_one(Headers(JSON), body(json.dumps(value).encode())))


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("more", [-3, -2, -1, 0, 1, 2, 3])
def test_a_picture_of_any_size_is_what_was_sent(slices: int, more: int) -> None:
    size = slices * requests._SLICE * 3 // 4 + more
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert read({"base64": base64.b64encode(content).decode()}).content == content


@pytest.mark.parametrize("place", [0, 1000, requests._SLICE - 4, requests._SLICE, 2 * requests._SLICE - 8])
@pytest.mark.parametrize("wrong", ["AA==", "AAA=", "A\nAA", "AAA-"])
def test_one_wrong_sign_is_seen_wherever_it_is(place: int, wrong: str) -> None:
    text = "A" * place + wrong + "A" * (2 * requests._SLICE - place - 4)
    with pytest.raises(Refused, match="no base64"):
        read({"base64": text})


@pytest.mark.parametrize("text", ["A", "AA=", "AAA==", "A===", "====", "AA==AA==", "A" * requests._SLICE + "AA="])
def test_what_is_not_padded_to_four_is_none(text: str) -> None:
    with pytest.raises(Refused, match="no base64"):
        read({"base64": text})


def test_large_bodies_are_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    parse = requests._parse

    def parse_and_tell(content: bytes, pictures: int) -> object:
        threads.append(threading.current_thread())
        return parse(content, pictures)

    monkeypatch.setattr(requests, "_parse", parse_and_tell)
    item = {"base64": base64.b64encode(bytes(requests._LARGE)).decode()}
    read({"base64": ""})
    read(item)
    asyncio.run(read_many(Headers(JSON), body(json.dumps({"items": [item]}).encode()), 1))
    here, *others = threads
    assert here is threading.main_thread()
    assert here not in others
    assert len(set(others)) == 1


def test_what_is_wrong_in_a_large_body_is_said_too() -> None:
    with pytest.raises(Refused, match="a key twice"):
        asyncio.run(read_one(Headers(JSON), body(b'{"url": "", "url": "%s"}' % (b"x" * requests._LARGE))))
