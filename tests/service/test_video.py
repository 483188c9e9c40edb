"""Videos, over HTTP and in the pool: their scores, their budget, and that pictures do not wait for them."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.types import Message

import nsfw_caffe
from nsfw_caffe.errors import VideoError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.service.app import create_app
from nsfw_caffe.service.fetching import Fetcher
from nsfw_caffe.service.jobs import Answer, Busy, Job, Overtime, Watch, WorkerLost
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.worker import VIDEO_PIXELS
from tests import bombs, clips
from tests.cli.test_extras import BLOCK
from tests.clips import X264, Clip
from tests.service.pools import kill, run, started, until, workers_of
from tests.service.running import FORM, Reply, Service, form, running
from tests.service.running import until as wait_until
from tests.service.stand_ins import ANSWERS, Hosts, Names, at_once
from tests.service.test_app import FORMS, PROVENANCE
from tests.sources.test_odd_videos import sound
from tests.support import PHOTOS

PHOTO = (PHOTOS / "rocket.jpg").read_bytes()

FRAMES = 10
"""The budget of the service that tests share."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return six seconds, of which 1.5 to 3.5 are nsfw."""
    return Clip("clip.mp4", "libx264", X264).write(tmp_path_factory.mktemp("clips")).read_bytes()


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a small video with so many frames that scoring them all takes many seconds."""
    path = tmp_path_factory.mktemp("clips") / "endless.mp4"
    picture = clips.harmless()[:36, :64]
    clips.write(path, "libx264", ((number / 100, picture) for number in range(2000)), Clip("", "", X264, rate=100))
    return path.read_bytes()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Iterator[Service]:  # noqa: ARG001
    """Return a service of two workers, in which two seconds are all that a video may take."""
    limits = "--workers 2 --queue 8 --video-frames 10000 --video-seconds 2"
    with running(tmp_path_factory.mktemp("two"), *limits.split()) as service:
        yield service


def expected(portable: nsfw_caffe.Classifier, video: bytes, **asked: Any) -> dict[str, Any]:
    """Return what the library says of a video, with the service's budget."""
    found: dict[str, Any] = json.loads(json.dumps(portable.classify_video(video, limit=FRAMES, **asked).to_json()))
    return found


@pytest.mark.parametrize("kind", FORMS)
def test_the_answer_is_the_library_s_with_what_made_it(
    service: Service, portable: nsfw_caffe.Classifier, clip: bytes, kind: str
) -> None:
    reply = service.post("/v1/video", *FORMS[kind](clip))
    assert reply.status == 200
    found = expected(portable, clip)
    assert list(reply.json) == [*found, *PROVENANCE]
    assert {name: reply.json[name] for name in found} == found
    assert found["complete"]
    assert [(each["start"], each["end"]) for each in found["segments"]] == [(2.0, 4.0)]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("every=0.75", {"every": 0.75}),
        ("every=2&start=1&end=5.5", {"every": 2, "start": 1, "end": 5.5}),
        ("every=0&start=1.3&end=1.8&threshold=0.5", {"every": 0, "start": 1.3, "end": 1.8, "threshold": 0.5}),
        ("stop_at=0.9", {"stop_at": 0.9}),
        ("threshold=0&stop_at=1e0", {"threshold": 0, "stop_at": 1}),
    ],
)
def test_the_query_is_classify_video_s(
    service: Service, portable: nsfw_caffe.Classifier, clip: bytes, query: str, asked: dict[str, Any]
) -> None:
    answer = service.post(f"/v1/video?{query}", clip).json
    found = expected(portable, clip, **asked)
    assert {name: answer[name] for name in found} == found


@pytest.mark.parametrize(
    "query",
    [
        *("every=-1", "every=0.0001", "every=nan", "every=inf", "every=1e999", "every=", "every=1s", "every=1&every=1"),
        *("start=-0.1", "start=inf", "end=0", "end=-1", "end=1e999", "start=2&end=2", "start=2&end=1", "end=0:01"),
        *("threshold=1.1", "threshold=-0.1", "threshold=80%25", "stop_at=2", "stop_at=", "threshold=0.5&threshold=0.5"),
        *("limit=5", "workers=4", "Every=1", "frames=1", "block=0.9"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(service: Service, clip: bytes, query: str) -> None:
    reply = service.post(f"/v1/video?{query}", clip)
    assert (reply.status, reply.reason) == (400, "bad_request")


def test_a_video_that_has_more_frames_than_may_be_is_answered_as_far_as_it_was_looked_at(
    service: Service, portable: nsfw_caffe.Classifier, clip: bytes
) -> None:
    answer = service.post("/v1/video?every=0.1", clip).json
    assert (len(answer["scores"]), answer["complete"]) == (FRAMES, False)
    assert answer["warnings"] == ["is looked at up to 00:01.0: 10 frames are as many as there may be"]
    assert answer["scores"] == expected(portable, clip, every=0.1)["scores"]


def test_of_what_is_damaged_it_answers_with_what_can_be_decoded(
    service: Service, portable: nsfw_caffe.Classifier, tmp_path: Path
) -> None:
    whole = Clip("cut.mkv", "libx264", X264).write(tmp_path).read_bytes()
    cut = whole[: len(whole) * 2 // 3]
    answer = service.post("/v1/video", cut).json
    assert not answer["complete"]
    assert answer["warnings"]
    found = expected(portable, cut)
    assert 1 < len(found["scores"]) < 6
    assert {name: answer[name] for name in found} == found


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_is_a_video(service: Service, portable: nsfw_caffe.Classifier, kind: str, tmp_path: Path) -> None:
    content = clips.write_animation(tmp_path / f"a.{kind}", [0.2, 0.3, 1.5, 0.4], (2, 3)).read_bytes()
    answer = service.post("/v1/video?every=0", form((f"a.{kind}", content)), FORM).json
    assert answer["times"] == [0.0, 0.2, 0.5, 2.0]
    assert answer["segments"] == [{"start": 0.5, "end": 2.0, "score": answer["max_score"]}]
    assert answer["scores"] == expected(portable, content, every=0)["scores"]


@pytest.mark.parametrize(
    ("make", "reason", "message"),
    [
        (lambda folder: sound(folder / "a.mp4").read_bytes(), "not_a_video", "there is no video in it, nothing but"),
        (lambda _: PHOTO, "not_a_video", "a picture (JPEG), not a video"),
        (lambda _: b"", "not_a_video", "the file is empty"),
        (lambda _: b"no video", "not_a_video", "not in any video format that is read"),
        (lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not_a_video", "not in any video format"),
        (lambda _: bombs.gif(3001, 3000, 2), "over_limit", f"9003000 pixels: the limit is {VIDEO_PIXELS} "),
        (lambda folder: _large(folder / "a.mp4"), "over_limit", f"9437184 pixels: the limit is {VIDEO_PIXELS} "),
    ],
    ids=["sound", "picture", "empty", "text", "playlist", "large animation", "large video"],
)
def test_what_is_no_video_is_refused(service: Service, make: Any, reason: str, message: str, tmp_path: Path) -> None:
    workers = workers_of(service.process.pid)
    reply = service.post("/v1/video", make(tmp_path))
    assert (reply.status, reply.reason) == (422, reason)
    assert reply.json["error"]["message"].startswith(message)
    assert workers_of(service.process.pid) == workers


def _large(path: Path) -> bytes:
    """Write a frame of 4096x2304 pixels, which no picture has too many of."""
    clips.write(path, "libx264", [(0.0, np.zeros((2304, 4096, 3), np.uint8))], Clip("", "", X264))
    return path.read_bytes()


def test_a_start_after_the_end_is_an_error_of_the_video(service: Service, clip: bytes) -> None:
    reply = service.post("/v1/video?start=60", clip)
    assert (reply.status, reply.reason) == (422, "not_a_video")
    assert reply.json["error"]["message"] == "there is no frame from 01:00.0 on: it ends at 00:06.0"


def test_it_is_logged_and_counted_as_a_video(service: Service, clip: bytes) -> None:
    lines = len(service.lines())
    names = ("nsfw_caffe_video_score_count", "nsfw_caffe_score_count")
    before = [service.metric(name) for name in names]
    stages = [service.metric("nsfw_caffe_seconds_count", stage=stage) for stage in ("video", "score")]
    answer = service.post("/v1/video?every=0.5&end=10", form(("SECRET.mp4", clip)), FORM).json
    wait_until(lambda: any(line["status"] == 200 for line in service.lines()[lines:]))
    line = next(line for line in service.lines()[lines:] if line["status"] == 200)
    assert {name: line[name] for name in ("route", "status", "score", "frames", "complete")} == {
        "route": "/v1/video",
        "status": 200,
        "score": answer["max_score"],
        "frames": FRAMES,
        "complete": False,
    }
    assert set(line) == {"time", "level", "event", "route", "status", "seconds", "bytes", "score", "frames", "complete"}
    assert [service.metric(name) for name in names] == [before[0] + 1, before[1]]
    assert [service.metric("nsfw_caffe_seconds_count", stage=stage) for stage in ("video", "score")] == [
        stages[0] + 1,
        stages[1],
    ]


def test_one_that_takes_too_long_costs_its_worker_and_no_picture_waits(
    two: Service, portable: nsfw_caffe.Classifier, clip: bytes, endless: bytes
) -> None:
    score = portable.classify(PHOTO)
    start = time.monotonic()
    with two.begin(endless, "/v1/video?every=0") as late:
        wait_until(lambda: two.metric("nsfw_caffe_busy") == 1)
        # Another one is refused before it is sent, and the other worker has its turn with pictures.
        with two.connect() as refused:
            refused.sendall(two.head("Content-Length: 1000", path="/v1/video"))
            reply = _reply(refused)
        assert (reply.status, reply.reason) == (503, "busy")
        assert reply.json["error"]["message"] == "as many videos are under way as may be"
        assert int(reply.headers["retry-after"]) >= 1
        for _ in range(2):
            assert two.post("/v1/score", PHOTO).json["score"] == score
        assert two.get("/readyz").status == 200
        assert two.metric("nsfw_caffe_busy") == 1
        reply = _reply(late)
    assert (reply.status, reply.reason) == (422, "overtime")
    assert reply.json["error"]["message"] == "the video takes more than 2 s"
    assert time.monotonic() < start + 2 + 3
    assert two.post("/v1/score", PHOTO).json["score"] == score
    assert two.post("/v1/video?every=3", clip).json["times"] == [0.0, 3.0]
    wait_until(lambda: two.metric("nsfw_caffe_workers_replaced_total") == 1)


def _reply(connection: socket.socket) -> Reply:
    """Read an answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def test_as_many_are_taken_as_there_are_workers_besides_one(endless: bytes) -> None:
    async def test() -> None:
        async with started(workers=3) as pool:
            asked = [asyncio.create_task(pool.run(_all_of(endless))) for _ in range(2)]
            await until(lambda: pool.busy == 2)
            await _refused(pool, endless)
            assert isinstance(await pool.run(Job(PHOTO)), Answer)
            assert pool.busy == 2
            # A client's going makes no room, as long as its worker is at it.
            asked[0].cancel()
            await asyncio.sleep(0)
            await _refused(pool, endless)
            assert not asked[1].done()
            asked[1].cancel()

    run(test)


def test_one_worker_takes_one_video_and_a_picture_waits_for_that_alone(
    endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsfw_caffe.service.pool._RECENT", 0.0)

    async def test() -> None:
        async with started(video_seconds=1.5) as pool:
            late = asyncio.create_task(pool.run(_all_of(endless)))
            await until(lambda: pool.busy == 1)
            picture = asyncio.create_task(pool.run(Job(PHOTO)))
            await _refused(pool, endless)
            # It is at work, and so nothing says that it could not score.
            assert await asyncio.wait_for(pool.ready(), 0.5)
            assert not picture.done()
            assert not late.done()
            with pytest.raises(Overtime, match=r"the video takes more than 1\.5 s"):
                await late
            assert (await picture).seconds["queue"] < 10
            assert await pool.ready()

    run(test)


def test_a_video_that_waits_for_pictures_holds_up_no_proof(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks whether it is ready does not wait for a video that is in the queue before the made picture."""
    monkeypatch.setattr("nsfw_caffe.service.pool._RECENT", 0.0)

    async def test() -> None:
        async with started() as pool:
            picture = asyncio.create_task(pool.run(Job(PHOTO)))
            await asyncio.sleep(0)
            video = asyncio.create_task(pool.run(_all_of(endless)))
            await asyncio.sleep(0)
            assert pool.waiting == 1
            assert await asyncio.wait_for(pool.ready(), 10)
            assert picture.done()
            assert not video.done()
            video.cancel()

    run(test)


def test_the_times_of_videos_say_nothing_of_pictures(clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsfw_caffe.service.pool._WEIGHT", 1.0)  # the last one alone counts

    video = Job(clip, watch=Watch(every=0, end=3))

    async def test() -> None:
        async with started(queue=4) as pool:
            seconds = (await pool.run(Job(PHOTO))).seconds["score"]
            found = await pool.run(video)
            assert set(found.seconds) == {"queue", "video"}
            right, wrong = math.ceil(4 * seconds), math.ceil(4 * found.seconds["video"])
            assert right < wrong
            asked = [asyncio.create_task(pool.run(Job(PHOTO))) for _ in range(5)]
            await asyncio.sleep(0)
            with pytest.raises(Busy) as caught:
                await pool.run(Job(PHOTO))
            assert caught.value.retry_after == right
            await asyncio.gather(*asked)
            again = asyncio.create_task(pool.run(video))
            await asyncio.sleep(0)
            assert await _refused(pool, clip) == math.ceil(found.seconds["video"])
            await again

    run(test)


def test_one_that_costs_two_workers_is_given_up(endless: bytes) -> None:
    async def test() -> None:
        async with started() as pool:
            fatal = asyncio.create_task(pool.run(_all_of(endless)))
            for _ in range(2):
                await until(lambda: pool.busy == 1)
                await asyncio.sleep(0.5)
                kill(workers_of()[0])
                await until(lambda: pool.busy == 0)
            with pytest.raises(WorkerLost, match="died of the video, 2 times"):
                await fatal

    run(test)


def _all_of(video: bytes) -> Job:
    return Job(video, watch=Watch(every=0))


async def _refused(pool: Pool, video: bytes) -> int:
    """Find that a video is refused, and return after how many seconds to come again."""
    with pytest.raises(Busy, match="as many videos are under way as may be") as caught:
        await pool.run(_all_of(video))
    return caught.value.retry_after


def test_without_pyav_there_are_animations(
    tmp_path: Path,
    clip: bytes,
    model_files: ModelFiles,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sitecustomize.py").write_text(BLOCK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "block"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("BLOCKED", "av")
    animation = clips.write_animation(tmp_path / "a.gif", [1, 1]).read_bytes()
    with running(tmp_path, "--workers", "1") as service:
        workers = workers_of(service.process.pid)
        for _ in range(3):
            reply = service.post("/v1/video", clip)
            assert (reply.status, reply.reason) == (501, "no_decoder")
            assert reply.json["error"]["message"] == (
                "this service reads animations, and no videos: PyAV is not installed"
            )
        assert service.post("/v1/video", animation).json["times"] == [0.0, 1.0]
        assert workers_of(service.process.pid) == workers
        wait_until(lambda: len(service.lines()) == 4)
        assert {line["event"] for line in service.lines()} == {"request"}


def test_it_is_fetched_by_its_url(
    portable: nsfw_caffe.Classifier, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, "/clip.mp4", at_once(f"Content-Length: {len(clip)}", body=clip))
    options = ServiceOptions(allow_url=True, video_frames=FRAMES)

    async def test(hosts: Hosts) -> None:
        fetcher = Fetcher(options, resolver=Names({"public.test": [["1.2.3.4"]]}), make_socket=hosts.socket)
        async with started() as pool:
            status, found = await _ask(create_app(pool, options, fetcher), {"url": "http://public.test/clip.mp4"})
        await fetcher.close()
        assert status == 200
        assert found["scores"] == expected(portable, clip)["scores"]
        assert hosts.connected_to == ["1.2.3.4"]

    with Hosts() as hosts:
        run(lambda: test(hosts))


async def _ask(app: Any, value: object) -> tuple[int, Any]:
    """Ask an application what it says of a video, and stay until it is answered."""
    asked = iter([{"type": "http.request", "body": json.dumps(value).encode(), "more_body": False}])
    sent: list[Message] = []

    async def receive() -> Message:
        for message in asked:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/video", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_limits_of_a_frame_may_be_others_than_a_picture_s(portable: nsfw_caffe.Classifier, clip: bytes) -> None:
    with pytest.raises(VideoError, match="57600 pixels: the limit is 50000"):
        portable.classify_video(clip, limits=nsfw_caffe.Limits(pixels=50_000))
