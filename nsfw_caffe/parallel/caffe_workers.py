"""Scoring with Caffe in several processes: its forward pass holds the GIL, so threads would wait for each other."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TypeAlias

from nsfw_caffe.engines.blas import loaded_blas, threads_that_matter
from nsfw_caffe.errors import EngineUnavailable, ImageError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel.caffe_worker import WorkerSetUp
from nsfw_caffe.parallel.ordered_map import ROOM
from nsfw_caffe.parallel.outcome import Outcome
from nsfw_caffe.preprocessing.formats import pillow_settings
from nsfw_caffe.preprocessing.steps import Source, Tensor, describe, held_bytes
from nsfw_caffe.system import processes

AHEAD = 2
"""Pictures that a worker has: the one that it works on, and the next."""

WINDOW = 16
"""Pictures a worker that may be under way or finished out of order: what bounds the memory."""

ATTEMPTS = 2
"""How often a picture is tried whose worker dies."""

Prepare: TypeAlias = Callable[[Source], str | bytes | Tensor | ImageError]


@dataclass
class _Task:
    index: int
    source: Source
    message: str | bytes | Tensor
    attempts: int = 0


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    connection: Connection
    ready: bool = False
    tasks: deque[_Task] = field(default_factory=deque)


def worker_set_up(files: ModelFiles, options: ScoringOptions) -> WorkerSetUp:
    """Return what a worker needs to give the bits of this process, which has loaded Caffe."""
    blas = loaded_blas()
    assert blas is not None
    threads = threads_that_matter()
    return WorkerSetUp(files, options, pillow_settings(), str(blas.path), threads)


def score(
    sources: Iterable[Source], prepare: Prepare, set_up: WorkerSetUp, workers: int
) -> Iterator[tuple[Source, Outcome]]:
    """Score pictures, of which `prepare` makes what a worker is sent, in processes that end with the iteration."""
    run = _Run(sources, prepare, set_up, workers)
    process = os.getpid()
    try:
        while True:
            busy = run.distribute()
            yield from run.finished_in_order()
            if busy:
                run.collect()
            elif run.exhausted:
                break
    finally:
        for worker in run.workers:
            worker.connection.close()
        # In a forked child, which has the iteration too, they are the parent's, who may be at work with them.
        if os.getpid() == process:
            for worker in run.workers:
                worker.process.terminate()
            for worker in run.workers:
                worker.process.wait()


class _Run:
    def __init__(self, sources: Iterable[Source], prepare: Prepare, set_up: WorkerSetUp, limit: int) -> None:
        self.workers: list[_Worker] = []
        self.exhausted = False
        self._limit = limit
        self._sources = enumerate(sources)
        self._prepare = prepare
        self._set_up = set_up
        self._retries: deque[_Task] = deque()
        self._finished: dict[int, tuple[Source, Outcome]] = {}
        self._next = 0

    def distribute(self) -> bool:
        """Give every worker its share, starting workers as they are needed; tell whether anything is under way."""
        for worker in self.workers:
            if not worker.tasks:
                self._give(worker, self._take())
        while len(self.workers) < self._limit and (task := self._take()) is not None:
            self.workers.append(self._start(len(self.workers)))
            self._give(self.workers[-1], task)
        for worker in self.workers:
            while 0 < len(worker.tasks) < AHEAD and (task := self._take()) is not None:
                self._give(worker, task)
        return any(worker.tasks for worker in self.workers)

    def _start(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                processes.command("parallel.caffe_worker", str(theirs.fileno())),
                # The workers share the cores among themselves.
                env=processes.environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        worker = _Worker(number, process, Connection(ours.detach()))
        self._send(worker, dataclasses.replace(self._set_up, number=number))
        return worker

    def finished_in_order(self) -> Iterator[tuple[Source, Outcome]]:
        while self._next in self._finished:
            yield self._finished.pop(self._next)
            self._next += 1

    def collect(self) -> None:
        """Wait until a worker answers, or dies."""
        busy = {worker.connection: worker for worker in self.workers if worker.tasks}
        for connection in wait(busy):
            worker = busy[connection]  # type: ignore[index]
            try:
                answer: Outcome | None = worker.connection.recv()
            except (EOFError, ConnectionError):
                self._bury(worker)
                continue
            if answer is None:
                worker.ready = True
            else:
                task = worker.tasks.popleft()
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

    def _give(self, worker: _Worker, task: _Task | None) -> None:
        if task is not None:
            worker.tasks.append(task)
            self._send(worker, task.message)

    def _send(self, worker: _Worker, message: object) -> None:
        # A worker that has died: `collect` finds that out, and its tasks are still its own.
        with contextlib.suppress(ConnectionError):
            worker.connection.send(message)

    def _bury(self, worker: _Worker) -> None:
        """Take over a dead worker's pictures, blame the one that it worked on, and start another worker."""
        worker.connection.close()
        reason = _reason(worker.process.wait())
        if not worker.ready:
            raise EngineUnavailable(f"a worker process of Caffe {reason} before it had loaded the model")
        suspect = worker.tasks[0]
        suspect.attempts += 1
        if suspect.attempts == ATTEMPTS:
            worker.tasks.popleft()
            error = ImageError(describe(suspect.source), f"the worker process {reason}, {ATTEMPTS} times")
            self._finished[suspect.index] = (suspect.source, Outcome(error, 0))
        self._retries.extend(worker.tasks)
        self.workers[worker.number] = self._start(worker.number)


def _reason(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
