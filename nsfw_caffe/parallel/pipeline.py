"""Many pictures through one engine: in this process, in its threads, or in processes of their own."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nsfw_caffe.engines.base import Engine, taker
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.errors import EngineUnavailable, ImageError, ScoreError
from nsfw_caffe.parallel.ordered_map import ROOM, ordered_map
from nsfw_caffe.parallel.outcome import Outcome, timed
from nsfw_caffe.preprocessing.decoder_warnings import collected
from nsfw_caffe.preprocessing.formats import knows_more_than_pillow, needs_this_process
from nsfw_caffe.preprocessing.jpeg import JpegCodec
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.preprocessing.steps import Source, Tensor, describe, held_bytes, preprocess
from nsfw_caffe.system.processes import available_cores
from nsfw_caffe.system.reading import read_source

if TYPE_CHECKING:
    from nsfw_caffe.parallel.worker_pool import WorkerPool

_Item = TypeVar("_Item")

SPARE = 1
"""Threads beyond the workers: the one whose picture an engine's own threads compute sleeps, and no core should."""

_ELSEWHERE = (str, os.PathLike, bytes, bytearray, memoryview)
"""Sources that another process can be sent."""

MANY = 64
"""Pictures from which on worker processes are worth their start, which takes as long as some twenty pictures."""

FEW = 8
"""Pictures below which a second engine for threads is not worth its loading, and all cores work on one picture, worker
processes or not."""


class Pipeline:
    """What turns sources into scores: a codec, an engine, and the way from one to the other."""

    def __init__(self, engines: LoadedEngines, codec: JpegCodec) -> None:
        self._engines = engines
        self._codec = codec
        self._limits = engines.options.limits
        self._take = taker(engines.files)
        self._workers: WorkerPool | None = None
        if engines.parallelism == "processes":
            from nsfw_caffe.parallel import caffe_workers, worker_pool

            # It holds no pipeline, or this one would wait for a collection of garbage, and its processes too.
            self._workers = worker_pool.WorkerPool(functools.partial(caffe_workers.worker_set_up, engines))

    def close(self) -> None:
        """Let go of the engines, and end the processes that wait for work; what is at work ends it."""
        self._engines.close()
        if self._workers is not None:
            self._workers.close()

    def score(self, sources: Iterable[Source], workers: int | None) -> Iterator[tuple[Source, Outcome]]:
        """Score sources, in order."""
        process = os.getpid()
        for source, outcome in self._score(sources, workers):
            if isinstance(outcome.score, ScoreError):  # which has come from where sources have no names
                outcome = outcome._replace(score=ScoreError(describe(source), outcome.score.reason))
            yield source, outcome
            if os.getpid() != process:
                raise EngineUnavailable(
                    "a scan that was begun before os.fork cannot go on in the child, which has none of its threads or "
                    "workers: begin a new one there"
                )

    def _score(self, sources: Iterable[Source], workers: int | None) -> Iterator[tuple[Source, Outcome]]:
        parallelism = self._engines.parallelism
        if workers is None:
            workers = self._default_workers(sources)
        if workers > 1 and self._workers is not None:
            return self._score_in_processes(self._workers, sources, workers)
        if workers > 1 and parallelism == "threads":
            score = functools.partial(self._score_one, self._engines.get(workers))
            return ordered_map(score, sources, workers + SPARE, weigh=held_bytes, room=ROOM * workers)
        return self._score_in_batches(self._engines.get(), sources, workers)

    def _default_workers(self, sources: Iterable[Source]) -> int:
        cores = available_cores()
        if not isinstance(sources, Sized) or len(sources) >= (FEW if self._workers is None else MANY):
            return cores
        if self._workers is None or len(sources) < FEW:
            return 1
        return max(1, min(self._workers.idle(), cores))  # those that need no start

    def _score_one(self, engine: Engine, source: Source) -> Outcome:
        return timed(lambda: self._take(engine.forward(preprocess(source, self._codec, self._limits)[np.newaxis])[0]))

    def _score_in_batches(
        self, engine: Engine, sources: Iterable[Source], threads: int
    ) -> Iterator[tuple[Source, Outcome]]:
        """Preprocess in threads, and forward as many pictures at a time as the engine takes best."""
        if engine.batch_size == 1:
            threads = 1  # the next picture's preprocessing would wait for this one's forward pass
        preprocessed = ordered_map(self._timed_preprocess, sources, threads, weigh=held_bytes, room=ROOM * threads)
        for chunk in _chunks(preprocessed, engine.batch_size):
            tensors = [tensor for _, (tensor, _, _) in chunk if not isinstance(tensor, ImageError)]
            start = time.perf_counter()
            outputs: Iterator[Tensor] = iter(engine.forward(np.stack(tensors)) if tensors else [])
            share = (time.perf_counter() - start) / max(len(tensors), 1)
            for source, (tensor, seconds, said) in chunk:
                if isinstance(tensor, ImageError):
                    yield source, Outcome(tensor, seconds, said)
                else:
                    score, *_ = timed(functools.partial(self._take, next(outputs)))
                    yield source, Outcome(score, seconds + share, said)

    def _score_in_processes(
        self, pool: WorkerPool, sources: Iterable[Source], workers: int
    ) -> Iterator[tuple[Source, Outcome]]:
        from nsfw_caffe.parallel import caffe_workers

        self._engines.release_unused()
        terms = caffe_workers.terms(self._engines.options, workers)
        return caffe_workers.score(sources, self._message, pool, terms)

    def _message(self, source: Source) -> str | bytes | Tensor | ImageError:
        """Turn a source into what another process can be sent: preprocessed, where only this one can read it."""
        # What is said meanwhile is dropped: these are frames, whose file has been looked at, or a user's program.
        with collected():
            with contextlib.suppress(Exception):  # a source's own; preprocessing it says what it is
                if isinstance(source, _ELSEWHERE) and knows_more_than_pillow():
                    data = read_source(source, self._limits.bytes)
                    if needs_this_process(open_picture(data, self._limits)):
                        return self._preprocess(source)
                if isinstance(source, (str, os.PathLike)):
                    return os.fsdecode(source)
                if isinstance(source, (bytes, bytearray, memoryview)):
                    return bytes(source)
            return self._preprocess(source)

    def _timed_preprocess(self, source: Source) -> tuple[Tensor | ImageError, float, tuple[str, ...]]:
        start = time.perf_counter()
        with collected() as said:
            tensor = self._preprocess(source)
        return tensor, time.perf_counter() - start, tuple(said)

    def _preprocess(self, source: Source) -> Tensor | ImageError:
        try:
            return preprocess(source, self._codec, self._limits)
        except ImageError as error:
            return error


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk
