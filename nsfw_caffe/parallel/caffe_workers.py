"""Scoring with Caffe in several processes: its forward pass holds the GIL, so threads would wait for each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TypeAlias

from nsfw_caffe.engines.blas import loaded_blas, threads_that_matter
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.errors import EngineUnavailable, ImageError
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel.caffe_worker import Terms, WorkerSetUp
from nsfw_caffe.parallel.ordered_map import ROOM
from nsfw_caffe.parallel.outcome import Outcome
from nsfw_caffe.parallel.worker_pool import Worker, WorkerPool
from nsfw_caffe.preprocessing.formats import pillow_settings
from nsfw_caffe.preprocessing.steps import Source, Tensor, describe, held_bytes
from nsfw_caffe.system.processes import available_cores, describe_end, own_cores

AHEAD = 2
"""Pictures that a worker has: the one that it works on, and the next."""

WINDOW = 16
"""Pictures a worker that may be under way or finished out of order: what bounds the memory."""

ATTEMPTS = 2
"""How often a picture is tried whose worker dies."""

IDLE_SECONDS = 60.0
"""How long a worker waits to be used again: starting another one takes a second, and this one holds 215 MB."""

Prepare: TypeAlias = Callable[[Source], str | bytes | Tensor | ImageError]


@dataclass
class _Task:
    index: int
    source: Source
    message: str | bytes | Tensor
    attempts: int = 0


@dataclass
class _Borrowed:
    number: int
    worker: Worker
    ready: bool = False
    tasks: deque[_Task] = field(default_factory=deque)


def worker_set_up(engines: LoadedEngines) -> WorkerSetUp:
    """Return what a worker needs to give the bits of this process, which has loaded Caffe.

    ModelError where the model's files have changed since then.
    """
    blas = loaded_blas()
    assert blas is not None
    return WorkerSetUp(engines.unchanged_files(), engines.options, str(blas.path), IDLE_SECONDS)


def terms(options: ScoringOptions, workers: int) -> list[Terms]:
    """Return what this process has set, for each of several workers, and give each its share of the cores."""
    share = max(1, available_cores() // workers)
    pillow, threads = pillow_settings(), threads_that_matter()
    if threads is None:
        blas = loaded_blas()
        if blas is not None and blas.name == "openblas":
            threads = max(1, (options.threads or available_cores()) // workers)
        return [Terms(pillow, threads, None)] * workers
    cores = own_cores()
    shares = [[cores[(number * share + core) % len(cores)] for core in range(share)] for number in range(workers)]
    return [Terms(pillow, threads, tuple(found)) for found in shares]


def score(
    sources: Iterable[Source], prepare: Prepare, pool: WorkerPool, each: Sequence[Terms]
) -> Iterator[tuple[Source, Outcome]]:
    """Score pictures, of which `prepare` makes what a worker is sent, with a pool's workers, one for each terms."""
    run = _Run(sources, prepare, pool, each)
    try:
        while True:
            busy = run.distribute()
            yield from run.finished_in_order()
            if busy:
                run.collect()
            elif run.exhausted:
                break
    finally:
        run.end()


class _Run:
    def __init__(self, sources: Iterable[Source], prepare: Prepare, pool: WorkerPool, each: Sequence[Terms]) -> None:
        self.workers: list[_Borrowed] = []
        self.exhausted = False
        self._limit = len(each)
        self._sources = enumerate(sources)
        self._prepare = prepare
        self._pool = pool
        self._terms = each
        self._retries: deque[_Task] = deque()
        self._finished: dict[int, tuple[Source, Outcome]] = {}
        self._next = 0

    def distribute(self) -> bool:
        """Give every worker its share, borrowing workers as they are needed; tell whether anything is under way."""
        for worker in self.workers:
            if not worker.tasks:
                self._give(worker, self._take())
        while len(self.workers) < self._limit and (task := self._take()) is not None:
            self.workers.append(self._borrow(len(self.workers)))
            self._give(self.workers[-1], task)
        for worker in self.workers:
            while 0 < len(worker.tasks) < AHEAD and (task := self._take()) is not None:
                self._give(worker, task)
        return any(worker.tasks for worker in self.workers)

    def _borrow(self, number: int) -> _Borrowed:
        worker = self._pool.lend()
        worker.send(self._terms[number])
        return _Borrowed(number, worker)

    def end(self) -> None:
        """Give the workers back; those that owe an answer end, or the next iteration would be given it."""
        for borrowed in self.workers:
            if borrowed.ready and not borrowed.tasks:
                self._pool.give_back(borrowed.worker)
            else:
                borrowed.worker.end()
        self.workers.clear()

    def finished_in_order(self) -> Iterator[tuple[Source, Outcome]]:
        while self._next in self._finished:
            yield self._finished.pop(self._next)
            self._next += 1

    def collect(self) -> None:
        """Wait until a worker answers, or dies."""
        busy = {borrowed.worker.connection: borrowed for borrowed in self.workers if borrowed.tasks}
        for connection in wait(busy):
            borrowed = busy[connection]  # type: ignore[index]
            try:
                answer: Outcome | None = borrowed.worker.connection.recv()
            except (EOFError, ConnectionError):
                self._bury(borrowed)
                continue
            if answer is None:
                borrowed.ready = True
            else:
                task = borrowed.tasks.popleft()
                self._finished[task.index] = (task.source, answer)

    def _take(self) -> _Task | None:
        if self._retries:
            return self._retries.popleft()
        while self._has_room() and not self.exhausted:
            try:
                index, source = next(self._sources)
            except StopIteration:
                self.exhausted = True
                break
            message = self._prepare(source)
            if not isinstance(message, ImageError):
                return _Task(index, source, message)
            self._finished[index] = (source, Outcome(message, 0))
        return None

    def _has_room(self) -> bool:
        sources = [task.source for worker in self.workers for task in worker.tasks]
        sources += [source for source, _ in self._finished.values()]
        return len(sources) < WINDOW * self._limit and sum(map(held_bytes, sources)) < ROOM * self._limit

    def _give(self, borrowed: _Borrowed, task: _Task | None) -> None:
        if task is not None:
            borrowed.tasks.append(task)
            borrowed.worker.send(task.message)

    def _bury(self, borrowed: _Borrowed) -> None:
        """Take over a dead worker's pictures, blame the one that it worked on, and borrow another worker."""
        reason = describe_end(borrowed.worker.wait())
        if borrowed.ready:
            suspect = borrowed.tasks[0]
            suspect.attempts += 1
            if suspect.attempts == ATTEMPTS:
                borrowed.tasks.popleft()
                error = ImageError(describe(suspect.source), f"the worker process {reason}, {ATTEMPTS} times")
                self._finished[suspect.index] = (suspect.source, Outcome(error, 0))
        elif not borrowed.worker.kept:  # one that was has ended before it got to know of any picture
            raise EngineUnavailable(f"a worker process of Caffe {reason} before it had loaded the model")
        self._retries.extend(borrowed.tasks)
        self.workers[borrowed.number] = self._borrow(borrowed.number)
