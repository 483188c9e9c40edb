"""Pictures and scores stay together, whatever the engine takes at a time; the engine is a fake, as a GPU's would be."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nsfw_caffe import ImageError
from nsfw_caffe.engines import loaded
from nsfw_caffe.engines.base import Parallelism
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel import pipeline
from nsfw_caffe.parallel.ordered_map import WINDOW
from nsfw_caffe.parallel.pipeline import FEW, Pipeline
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import Source, preprocess

BAD = b"not a picture"


class BrightnessEngine:
    """An engine that scores a picture by its brightness, and notes what it was given."""

    name = "brightness"

    def __init__(self, batch_size: int, parallelism: Parallelism = "batches") -> None:
        self.batch_size = batch_size
        self.parallelism: Parallelism = parallelism
        self.batches: list[int] = []

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert batch.dtype == np.float32
        assert batch.shape[1:] == (3, 224, 224)
        assert len(batch) > 0
        self.batches.append(len(batch))
        brightness = (batch.mean(axis=(1, 2, 3), dtype=np.float64) + 123) / 274
        return np.stack([1 - brightness, brightness], axis=1).astype(np.float32)


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (20, 30), (level, level, level))


def create(engine: BrightnessEngine) -> Pipeline:
    return Pipeline(LoadedEngines(engine, fetch(), ScoringOptions()), PillowCodec())


def alone(source: Source) -> float:
    return float(BrightnessEngine(1).forward(preprocess(source, PillowCodec())[np.newaxis])[0, 1])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_each_picture_of_a_batch_gets_its_own_score(batch_size: int, count: int, threads: int) -> None:
    engine = BrightnessEngine(batch_size)
    sources: list[Source] = [grey(20 * number) for number in range(count)]
    results = list(create(engine).score(sources, threads))
    assert all(source is result for source, (result, _) in zip(sources, results, strict=True))
    assert [outcome.score for _, outcome in results] == [alone(source) for source in sources]
    assert engine.batches == [batch_size] * (count // batch_size) + [count % batch_size] * (count % batch_size > 0)


@pytest.mark.parametrize("bad", [*itertools.combinations(range(5), 1), *itertools.combinations(range(5), 2), (0, 1, 2)])
def test_bad_pictures_of_a_batch_leave_the_others_their_own_scores(bad: tuple[int, ...]) -> None:
    sources: list[Source] = [BAD if number in bad else grey(30 * number) for number in range(5)]
    results = list(create(BrightnessEngine(2)).score(sources, 1))
    for number, (source, (returned, outcome)) in enumerate(zip(sources, results, strict=True)):
        assert returned is source
        if number in bad:
            assert isinstance(outcome.score, ImageError)
        else:
            assert outcome.score == alone(source)


def test_a_batch_of_bad_pictures_never_reaches_the_engine() -> None:
    engine = BrightnessEngine(2)
    assert len(list(create(engine).score([BAD] * 4, 2))) == 4
    assert engine.batches == []


def test_a_batch_is_read_and_no_more_than_the_window() -> None:
    read = itertools.count()
    endless: Iterator[Source] = (grey(next(read) % 256) for _ in itertools.count())
    results = create(BrightnessEngine(2)).score(endless, 3)
    for taken in range(1, 30):
        next(results)
        assert next(read) <= 2 * taken + 3 * WINDOW + 2  # each look counts one on itself


def test_the_time_of_a_batch_is_shared_among_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0

    def forward_for(seconds: float, forward: Callable[..., npt.NDArray[np.float32]]) -> object:
        def timed(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            nonlocal clock
            clock += seconds
            return forward(batch)

        return timed

    engine = BrightnessEngine(3)
    monkeypatch.setattr(engine, "forward", forward_for(6, engine.forward))
    monkeypatch.setattr(pipeline, "time", SimpleNamespace(perf_counter=lambda: clock))
    results = create(engine).score([grey(1), BAD, grey(2), grey(3)], 1)
    assert [outcome.seconds for _, outcome in results] == [3, 0, 3, 6]


def test_a_picture_is_made_ready_while_all_workers_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forward passes wait until a third picture is ready, as a core would that has none."""
    ready = threading.Semaphore(0)

    class WaitingEngine(BrightnessEngine):
        def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            assert ready.acquire(timeout=60)
            return super().forward(batch)

    def preprocess_and_tell(*arguments: Any) -> npt.NDArray[np.float32]:
        tensor = preprocess(*arguments)
        if next(numbers) >= 2:
            ready.release(3)
        return tensor

    numbers = itertools.count()
    monkeypatch.setattr(pipeline, "preprocess", preprocess_and_tell)
    monkeypatch.setattr(loaded, "create_engine", lambda *_: WaitingEngine(1, "threads"))
    sources = [grey(40 * number) for number in range(3)]
    results = list(create(WaitingEngine(1, "threads")).score(sources, 2))
    assert [outcome.score for _, outcome in results] == [alone(source) for source in sources]


@pytest.mark.parametrize(("count", "together"), [(FEW - 1, False), (FEW, True), (None, True)])
def test_an_engine_for_many_callers_is_made_once_and_for_many_pictures(
    count: int | None, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[tuple[int, BrightnessEngine]] = []

    def create_engine(files: ModelFiles, options: ScoringOptions, callers: int) -> BrightnessEngine:  # noqa: ARG001
        created.append((callers, BrightnessEngine(1, "threads")))
        return created[-1][1]

    monkeypatch.setattr(loaded, "create_engine", create_engine)
    monkeypatch.setattr(pipeline, "available_cores", lambda: 3)
    engine = BrightnessEngine(1, "threads")
    scoring = create(engine)
    pictures: list[Source] = [grey(9 * number) for number in range(count or FEW)]
    for _ in range(2):
        sources = pictures if count else iter(pictures)  # nobody knows how many those are
        assert [outcome.score for _, outcome in scoring.score(sources, None)] == [alone(each) for each in pictures]
    assert [callers for callers, _ in created] == [3] * together
    assert len(engine.batches) == (0 if together else 2 * len(pictures))
