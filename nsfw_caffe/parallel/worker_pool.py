"""Caffe's worker processes from one call to the next: started when they are needed, lent, and kept for a while."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from nsfw_caffe.parallel.caffe_worker import WorkerSetUp
from nsfw_caffe.system import processes
from nsfw_caffe.system.forking import in_forked_child, no_fork


@dataclass(eq=False)
class Worker:
    """A process that scores, as its parent has it."""

    process: subprocess.Popen[bytes]
    connection: Connection
    kept: bool = False
    """Whether it has worked before, for another iteration."""
    _owner: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        _all.add(self)

    @property
    def is_ours(self) -> bool:
        """Whether this process has started it, and not one that this one was forked from."""
        return self._owner == os.getpid()

    @property
    def is_idle(self) -> bool:
        """Whether it is ours and alive, and has nothing to say."""
        return self.is_ours and self.process.poll() is None and not self.connection.poll()

    def send(self, message: object) -> None:
        """Send it something; that a worker has died is found out by who waits for its answer."""
        with contextlib.suppress(ConnectionError):
            self.connection.send(message)

    def wait(self) -> int:
        """Return the status that it ends with, which it does where the connection is closed."""
        self.connection.close()
        return self.process.wait()

    def end(self) -> None:
        """End it; in a forked child, where it is the parent's, let go of it."""
        self.connection.close()
        if self.is_ours:
            self.process.terminate()
            self.process.wait()


class WorkerPool:
    """Worker processes for one model and set of options, each lent to one iteration at a time.

    As many as there are cores are kept when nobody uses them; they end with the pool, or by themselves after a while.
    """

    # Without a lock, because a generator that gives workers back may be collected wherever this thread happens to be,
    # here for example: each step on the deque is one that nothing comes between.

    def __init__(self, set_up: Callable[[], WorkerSetUp]) -> None:
        self._set_up = set_up
        self._idle: deque[Worker] = deque()
        self._closed = False
        weakref.finalize(self, _end_all, self._idle)  # which the end of the interpreter calls too

    def idle(self) -> int:
        """Count the workers that need no start."""
        return sum(worker.is_idle for worker in tuple(self._idle))

    def lend(self) -> Worker:
        """Give a worker that nobody else uses: the one that was used last, or a new one."""
        while (worker := _taken(self._idle.pop)) is not None:
            if worker.is_idle:
                worker.kept = True
                return worker
            worker.end()  # it has died, or had nothing to do for so long that it has ended
        return _start(self._set_up())

    def give_back(self, worker: Worker) -> None:
        """Keep a worker that has answered everything; one that has not is for its borrower to end."""
        if not worker.is_ours:
            worker.end()
            return
        worker.send(None)
        self._idle.append(worker)
        most = processes.available_cores()
        while self._closed or len(self._idle) > most:
            if (surplus := _taken(self._idle.popleft)) is None:
                return
            surplus.end()

    def close(self) -> None:
        """End the workers that are idle now, and the others when they are given back."""
        self._closed = True
        _end_all(self._idle)


def _taken(take: Callable[[], Worker]) -> Worker | None:
    try:
        return take()
    except IndexError:
        return None


def _end_all(idle: deque[Worker]) -> None:
    while (worker := _taken(idle.pop)) is not None:
        worker.end()


def _start(set_up: WorkerSetUp) -> Worker:
    with no_fork():  # a child would hold our end of the connection, which is to close when this process dies
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                processes.command("parallel.caffe_worker", str(theirs.fileno())),
                # How many they are to be is said later. A pycaffe for GPUs would take 0.6 GB of one in each process.
                env=processes.environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES=""),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        worker = Worker(process, Connection(ours.detach()))
    worker.send(set_up)
    return worker


def _after_fork() -> None:
    """Let go of the parent's connections in a child, or workers would not be told of the parent's death."""
    for worker in _all:
        worker.connection.close()


_all: weakref.WeakSet[Worker] = weakref.WeakSet()
in_forked_child(_after_fork)
