from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import nsfw_caffe
from nsfw_caffe.errors import ImageError, ModelError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.service.jobs import Answer, Busy, Draining, Job, Overtime, Unable, WorkerLost
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.set_up import WorkerSetUp
from tests import support
from tests.bombs import jpeg_of_many_scans
from tests.service.pools import SCORING, kill, run, started, until, workers_of
from tests.support import PHOTOS, needs_atlas

PHOTO = (PHOTOS / "rocket.jpg").read_bytes()
NAMES = ("rocket.jpg", "coffee.png", "astronaut.png")

ENGINES = {
    "caffe": ("--engine caffe", ScoringOptions(engine="caffe")),
    "published": ("--published", ScoringOptions.published()),
    "onnxruntime": ("--engine onnxruntime --decode fast", ScoringOptions(engine="onnxruntime", decode="fast")),
    "openvino": ("--engine openvino", ScoringOptions(engine="openvino")),
}


@pytest.fixture(scope="module")
def slow() -> bytes:
    """Return a picture that takes many seconds, though it is small."""
    return jpeg_of_many_scans(3000, 2500)


@pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=needs_atlas if name == "published" else ()) for name in ENGINES]
)
def test_scores_are_those_of_classify(engine: str, model_files: ModelFiles) -> None:  # noqa: ARG001 - fetched first
    arguments, scoring = ENGINES[engine]
    child = support.nsfw_caffe("classify", "--json", *arguments.split(), *(PHOTOS / name for name in NAMES))
    expected = [json.loads(line)["score"] for line in child.stdout.splitlines()]
    assert len(expected) == len(NAMES), child.stderr

    async def test() -> None:
        # Two workers, that each has its share of the cores and not all of them.
        async with started(scoring, workers=2) as pool:
            answers = await asyncio.gather(*(pool.run(Job((PHOTOS / name).read_bytes())) for name in NAMES))
            assert [answer.score for answer in answers] == expected
            assert pool.description.options == scoring
            assert pool.description.score_class == "nsfw"
            assert all(set(answer.seconds) == {"queue", "score"} for answer in answers)

    run(test)


def test_what_is_explained_is_what_the_library_explains(portable: nsfw_caffe.Classifier) -> None:
    expected = portable.explain(PHOTO)

    async def test() -> None:
        async with started() as pool:
            answer = await pool.run(Job(PHOTO, "explain"))
            assert answer.explanation is not None
            assert answer.score == answer.explanation["score"] == expected.score
            assert np.allclose(answer.explanation["heat_map"], expected.heat_map, atol=2e-6)
            drawn = await pool.run(Job(PHOTO, "overlay", fine=True))
            assert drawn.overlay is not None
            assert drawn.overlay.startswith(b"\x89PNG")
            assert drawn.explanation is not None
            assert drawn.explanation["detail"] == "fine"
            # What is no picture is no end of the worker.
            (worker,) = workers_of()
            for task in ("score", "explain", "overlay"):
                with pytest.raises(ImageError) as caught:
                    await pool.run(Job(b"no picture", task))
                assert caught.value.reason == "not in any picture format that Pillow knows"
            assert workers_of() == [worker]

    run(test)


def test_a_full_queue_refuses_and_the_rest_comes_in_order(portable: nsfw_caffe.Classifier) -> None:
    score = portable.classify(PHOTO)

    async def test() -> None:
        async with started(queue=3) as pool:
            order: list[int] = []

            async def ask(number: int) -> None:
                assert (await pool.run(Job(PHOTO))).score == score
                order.append(number)

            asked = [asyncio.create_task(ask(number)) for number in range(4)]
            await asyncio.sleep(0)
            assert (pool.busy, pool.waiting) == (1, 3)
            with pytest.raises(Busy) as caught:
                await pool.run(Job(PHOTO))
            assert caught.value.retry_after >= 1
            # One whose client has gone makes room at once, and is not scored.
            asked[2].cancel()
            await asyncio.sleep(0)
            assert pool.waiting == 2
            await asyncio.gather(*asked, return_exceptions=True)
            assert order == [0, 1, 3]
            assert pool.waiting == pool.busy == 0

    run(test)


def test_a_picture_that_takes_too_long_ends_its_worker_and_nothing_else(slow: bytes) -> None:
    async def test() -> None:
        async with started(seconds=0.7) as pool:
            (worker,) = workers_of()
            start = time.monotonic()
            late = asyncio.create_task(pool.run(Job(slow)))
            await asyncio.sleep(0.1)
            next_one = asyncio.create_task(pool.run(Job(PHOTO)))
            with pytest.raises(Overtime, match=r"more than 0\.7 s"):
                await late
            assert time.monotonic() < start + 0.7 + 3
            assert isinstance(await next_one, Answer)
            assert pool.replaced == 1
            assert worker not in workers_of()

    run(test)


def test_killed_workers_cost_no_answer(portable: nsfw_caffe.Classifier) -> None:
    score = portable.classify(PHOTO)

    async def test() -> None:
        async with started(workers=2) as pool:
            asked = [asyncio.create_task(pool.run(Job(PHOTO))) for _ in range(24)]
            await asyncio.sleep(0.1)
            for worker in workers_of():
                kill(worker)
            answers = await asyncio.gather(*asked)
            assert {answer.score for answer in answers} == {score}
            await until(lambda: pool.replaced == 2 and len(workers_of()) == 2)
            # One that had nothing to do is replaced too, and what comes next is not blamed.
            await until(lambda: all(worker.ready for worker in pool._workers))
            for _ in range(2):
                for worker in workers_of():
                    kill(worker)
                assert (await pool.run(Job(PHOTO))).score == score

    run(test)


def test_a_picture_that_costs_two_workers_is_given_up(slow: bytes) -> None:
    async def test() -> None:
        async with started() as pool:
            fatal = asyncio.create_task(pool.run(Job(slow)))
            for _ in range(2):
                await until(lambda: pool.busy == 1)
                await asyncio.sleep(0.5)  # it is at the picture by then
                (worker,) = workers_of()
                kill(worker)
                await until(lambda: pool.busy == 0)
            with pytest.raises(WorkerLost):
                await fatal
            assert isinstance(await pool.run(Job(PHOTO)), Answer)

    run(test)


def test_a_model_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(ModelError, match="nowhere"):
            async with started(workers=2, model={"model": str(tmp_path / "nowhere")}):
                pass
        assert workers_of() == []

    run(test)


def test_a_model_that_has_gone_is_waited_for(tmp_path: Path, model_files: ModelFiles) -> None:
    """Nobody waits meanwhile, processes are not started over and over, and all is well when the model is back."""
    model = {"prototxt": str(tmp_path / "net.prototxt"), "caffemodel": str(tmp_path / "net.caffemodel")}
    shutil.copy(model_files.prototxt, model["prototxt"])
    shutil.copy(model_files.caffemodel, model["caffemodel"])

    async def test() -> None:
        async with started(model=dict(model)) as pool:
            assert await pool.ready()
            hidden = Path(model["prototxt"]).rename(tmp_path / "hidden")
            kill(workers_of()[0])
            await until(lambda: not any(worker.ready for worker in pool._workers))
            assert not await pool.ready()
            with pytest.raises(Unable):
                await pool.run(Job(PHOTO))
            with pytest.raises(Unable):  # at once
                await asyncio.wait_for(pool.run(Job(PHOTO)), 0.1)
            await until(lambda: pool.replaced >= 1)
            await asyncio.sleep(2)
            assert pool.replaced <= 4
            assert not await pool.ready()
            hidden.rename(model["prototxt"])
            await until(lambda: pool.able == 1)
            assert await pool.ready()
            assert isinstance(await pool.run(Job(PHOTO)), Answer)

    run(test)


def test_ready_means_that_a_picture_was_scored(monkeypatch: pytest.MonkeyPatch, slow: bytes) -> None:
    monkeypatch.setattr("nsfw_caffe.service.pool._RECENT", 0.0)

    async def test() -> None:
        async with started(seconds=1) as pool:
            scored: list[Job] = []
            run_job = pool.run

            async def counted(job: Job) -> Answer:
                scored.append(job)
                return await run_job(job)

            pool.run = counted  # type: ignore[method-assign]
            # Those who ask at the same time share one.
            assert all(await asyncio.gather(pool.ready(), pool.ready()))
            assert len(scored) == 1
            late = asyncio.create_task(run_job(Job(slow)))
            assert await pool.ready()  # after the worker was replaced
            with pytest.raises(Overtime):
                await late
            pool.retiring = True
            assert not await pool.ready()

    run(test)


def test_closing_refuses_what_is_left_and_leaves_no_process(slow: bytes) -> None:
    async def test() -> None:
        async with started() as pool:
            asked = [asyncio.create_task(pool.run(Job(slow))) for _ in range(2)]
            await asyncio.sleep(0.1)
            start = time.monotonic()
            await pool.close()
            assert time.monotonic() < start + 2
            assert [type(each) for each in await asyncio.gather(*asked, return_exceptions=True)] == [Draining] * 2
            assert workers_of() == []
            with pytest.raises(Draining):
                await pool.run(Job(PHOTO))

    run(test)


def test_a_start_that_is_broken_off_leaves_no_process() -> None:
    async def test() -> None:
        pool = Pool(WorkerSetUp(SCORING), ServiceOptions())
        starting = asyncio.create_task(pool.start())
        await until(lambda: len(workers_of()) == 1)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert workers_of() == []

    run(test)
