"""The workers behind the service: which picture or video goes to whom, how long it may take, and what becomes of it.

What is held in memory is bounded: `ServiceOptions.queue` files wait and each worker has one, and none is larger than
`ServiceOptions.body_bytes`. Of several workers, one is always left to pictures: there are at most as many videos as
others, and what comes besides is refused, since it would wait for minutes. Where there is one worker, a picture waits
for one video at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import math
import time
from collections import deque
from typing import Any

from nsfw_caffe.errors import EngineUnavailable, ModelError, NsfwCaffeError
from nsfw_caffe.service.jobs import Answer, Busy, Draining, Job, JobRefused, Kind, Overtime, Unable, WorkerLost
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.set_up import Description, WorkerSetUp
from nsfw_caffe.service.worker_process import WorkerProcess
from nsfw_caffe.system.processes import available_cores

ATTEMPTS = 2
"""How often a picture or video is tried whose worker dies."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before another process is started where one has died before it had loaded the model; each time twice that."""

_FAILURES = 3
"""After how many such deaths in a row nobody waits for the next process; one that tells what is wrong is enough."""

_RECENT = 5.0
"""Seconds for which a score shows that pictures can be scored."""

_STEP = 0.05
"""Seconds between two looks at whether that can be shown at the moment."""

_WEIGHT = 0.1
"""What the newest picture counts in the average of the seconds that one takes; a video in that of videos."""

_MADE_PICTURE = b"P6 224 224 255\n" + bytes(224 * 224 * 3)

_UNABLE = "no worker can load the model at the moment"

_log = logging.getLogger(__name__)


class _Pending:
    """A job, and the answer that somebody waits for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.attempts = 0
        self.since = time.perf_counter()
        self.waited = 0.0

    def fail(self, error: Exception) -> None:
        """Give an error in place of the answer, if anybody waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class _Worker:
    """A process, and what it is at."""

    def __init__(self, pool: Pool, started: asyncio.Future[None]) -> None:
        self.started = started
        self.gone = asyncio.Event()
        self.process = WorkerProcess(functools.partial(pool._received, self), functools.partial(pool._lost, self))
        self.ready = False
        self.error: NsfwCaffeError | None = None
        """What kept it from loading the model."""
        self.pending: _Pending | None = None
        self.deadline: asyncio.TimerHandle | None = None


class Pool:
    """Processes that score, and the pictures and videos that wait for them.

    Parameters
    ----------
    create : WorkerSetUp
        What each process makes its Classifier of.
    options : ServiceOptions
        How many processes there are, how many pictures may wait, and how long one, or a video, may take.

    Attributes
    ----------
    retiring : bool
        Whether the service is about to end, and is not `ready` for more than what comes on connections that there are;
        whoever ends it sets this.
    draining : bool
        Whether nothing that comes now can be done any more; whoever ends the service sets this, and then calls `close`.
    replaced : int
        How many processes had to be replaced.
    description : Description
        What scores; it is there when `start` is done.
    """

    description: Description

    def __init__(self, create: WorkerSetUp, options: ServiceOptions) -> None:
        self.retiring = False
        self.draining = False
        self.replaced = 0
        threads = create.scoring.threads or available_cores()
        self._create = dataclasses.replace(create, threads=max(1, threads // options.workers))
        self._options = options
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._queue: deque[_Pending] = deque()
        self._keepers: list[asyncio.Task[None]] = []
        self._closed = False
        self._unable = False
        self._averages = {"picture": 0.0, "video": 0.0}
        self._scored_at = -math.inf
        self._proof: asyncio.Task[bool] | None = None

    @property
    def waiting(self) -> int:
        """How many pictures and videos wait for a worker."""
        return len(self._queue)

    @property
    def busy(self) -> int:
        """How many workers are at a picture or video."""
        return sum(worker.pending is not None for worker in self._workers)

    @property
    def able(self) -> int:
        """How many workers have loaded the model."""
        return sum(worker.ready for worker in self._workers)

    async def start(self) -> None:
        """Start the processes and wait until all are ready.

        Raises
        ------
        NsfwCaffeError
            If one cannot load the model: its own error. The others end.
        """
        numbers = range(self._options.workers)
        try:
            # The first one alone: where the model is to be converted yet, that is done once.
            for some in (numbers[:1], numbers[1:]):
                started = [asyncio.get_running_loop().create_future() for _ in some]
                self._keepers += [asyncio.create_task(self._keep(*each)) for each in zip(some, started, strict=True)]
                await asyncio.gather(*started)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the processes; what waits, or is under way, raises Draining."""
        self._closed = True
        unfinished = [*self._queue, *(worker.pending for worker in self._workers if worker.pending is not None)]
        self._queue.clear()
        for pending in unfinished:
            pending.fail(Draining("the service has ended"))
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def run(self, job: Job) -> Answer:
        """Have a job done, first come, first served.

        Raises
        ------
        ImageError, ScoreError
            As `Classifier.classify` raises them.
        Busy
            If as many pictures wait as may, or it is a video and as many are under way.
        Overtime
            If it takes longer than it may.
        WorkerLost
            If it has cost two processes.
        Unable
            If no worker can load the model any more, until one can.
        Draining
            If the service ends before it is done.
        """
        if self._closed:
            raise Draining("the service has ended")
        if self._unable:
            raise Unable(_UNABLE)
        self.require_room(job.kind)
        pending = _Pending(job)
        if self._idle:
            self._give(self._idle.pop(), pending)
        else:
            self._queue.append(pending)
        try:
            answer = await pending.answer
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):  # under way already
                self._queue.remove(pending)
            raise
        return dataclasses.replace(answer, seconds={"queue": pending.waited, **answer.seconds})

    async def ready(self) -> bool:
        """Tell whether pictures can be scored, as a score of the last seconds shows, or one of a made picture.

        Where all workers are at videos, none can show it, which is no sign that they could not: their time is limited.
        """
        if self.retiring or self._closed or not self.able:
            return False
        if time.monotonic() - self._scored_at < _RECENT:
            return True
        if self._proof is None or self._proof.done():
            self._proof = asyncio.create_task(self._prove())
        while not self._proof.done():
            if self._only_videos:
                return True
            await asyncio.wait((self._proof,), timeout=_STEP)
        return self._proof.result()

    @property
    def _only_videos(self) -> bool:
        able = [worker.pending for worker in self._workers if worker.ready]
        return bool(able) and all(pending is not None and pending.job.kind == "video" for pending in able)

    async def _prove(self) -> bool:
        try:
            await self.run(Job(_MADE_PICTURE))
        except (NsfwCaffeError, JobRefused):
            return False
        return True

    def require_room(self, kind: Kind = "picture") -> None:
        """Raise Busy where there is no place for one more."""
        workers = self._options.workers
        if kind == "video" and self._videos >= max(1, workers - 1):
            raise Busy(max(1, math.ceil(self._averages["video"])), "as many videos are under way as may be")
        if len(self._queue) >= self._options.queue:
            raise Busy(self._retry_after)

    @property
    def _videos(self) -> int:
        """How many videos wait or are under way, with those that nobody waits for any more but a worker is at."""
        jobs = [*self._queue, *(worker.pending for worker in self._workers if worker.pending is not None)]
        return sum(pending.job.kind == "video" for pending in jobs)

    @property
    def _retry_after(self) -> int:
        """Whole seconds after which there may be room for a picture that finds none now."""
        workers = max(1, self._options.workers - self._videos)
        return max(1, math.ceil(self._averages["picture"] * len(self._queue) / workers))

    def _give(self, worker: _Worker, pending: _Pending) -> None:
        worker.pending = pending
        pending.waited = time.perf_counter() - pending.since
        loop = asyncio.get_running_loop()
        worker.deadline = loop.call_later(self._seconds_for(pending.job), self._end_overtime, worker, pending)
        worker.process.send(pending.job)

    def _go_on(self, worker: _Worker) -> None:
        """Give an idle worker the next job."""
        while self._queue:
            pending = self._queue.popleft()
            if not pending.answer.done():  # else nobody waits for it any more
                self._give(worker, pending)
                return
        self._idle.append(worker)

    def _seconds_for(self, job: Job) -> float:
        return self._options.seconds if job.kind == "picture" else self._options.video_seconds

    def _end_overtime(self, worker: _Worker, pending: _Pending) -> None:
        job = pending.job
        pending.fail(Overtime(f"the {job.kind} takes more than {self._seconds_for(job):g} s"))
        worker.process.kill()

    def _received(self, worker: _Worker, message: Any) -> None:  # noqa: ANN401 - what a worker sends
        """Take a worker's description or its error, then its answers."""
        if isinstance(message, Description):
            self._welcome(worker, message)
            return
        if not worker.ready:
            worker.error = message
            return
        pending = self._take_from(worker)
        assert pending is not None
        if isinstance(message, Answer):
            self._scored_at = time.monotonic()
            (seconds,) = message.seconds.values()
            average = self._averages[pending.job.kind] or seconds
            self._averages[pending.job.kind] = average + _WEIGHT * (seconds - average)
            if not pending.answer.done():
                pending.answer.set_result(message)
        else:
            pending.fail(message)
        self._go_on(worker)

    def _welcome(self, worker: _Worker, description: Description) -> None:
        if getattr(self, "description", description) != description:
            worker.error = ModelError("the model's files hold something else than when the service began")
            worker.process.kill()
            return
        self.description = description
        worker.ready = True
        self._unable = False
        if not worker.started.done():
            worker.started.set_result(None)
        self._scored_at = time.monotonic()  # it has scored before it came
        self._go_on(worker)

    def _take_from(self, worker: _Worker) -> _Pending | None:
        if worker.deadline is not None:
            worker.deadline.cancel()
        pending, worker.pending = worker.pending, None
        return pending

    def _lost(self, worker: _Worker, taken: bool) -> None:
        """Give a lost worker's file to another one, unless it has cost as many as it may."""
        worker.gone.set()
        if worker in self._idle:
            self._idle.remove(worker)
        pending = self._take_from(worker)
        if pending is None or pending.answer.done():
            return
        pending.attempts += taken  # else the worker has died of something else
        if pending.attempts == ATTEMPTS:
            pending.fail(WorkerLost(f"the worker process died of the {pending.job.kind}, {ATTEMPTS} times"))
        elif self._idle:
            self._give(self._idle.pop(), pending)
        else:
            self._queue.appendleft(pending)

    async def _keep(self, number: int, started: asyncio.Future[None]) -> None:
        """Keep one process at work, until the pool is closed."""
        failures = 0
        while True:
            worker = _Worker(self, started)
            try:
                reason = await self._one_life(worker, number)
            except OSError as failure:
                reason = f"could not be started ({failure.strerror})"
            failures = 0 if worker.ready else failures + 1
            error = worker.error or EngineUnavailable(f"a worker process {reason} before it had loaded the model")
            if not started.done():
                started.set_exception(error)
                return
            _log.warning("worker %d %s: another one is started", number, reason if worker.ready else error)
            if worker.error is not None or failures >= _FAILURES:
                self._refuse_waiting()
            if failures:
                await asyncio.sleep(min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** (failures - 1)))
            self.replaced += 1

    def _refuse_waiting(self) -> None:
        """Let nobody wait, where no worker can load the model."""
        if not self.able:
            self._unable = True
            while self._queue:
                self._queue.popleft().fail(Unable(_UNABLE))

    async def _one_life(self, worker: _Worker, number: int) -> str:
        """Start a process, wait for its end, and say how that came."""
        await worker.process.start()
        self._workers.append(worker)
        try:
            worker.process.send(dataclasses.replace(self._create, number=number))
            await worker.gone.wait()
        finally:
            self._workers.remove(worker)
            worker.process.kill()
            reason = await worker.process.ended()
        return reason
