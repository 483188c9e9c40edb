"""Pools of the service's workers, in a test's own loop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.set_up import WorkerSetUp

SCORING = ScoringOptions(engine="onnxruntime", limits=Limits(jpeg_scans=None))
"""Without the limit that slow pictures exceed."""


@asynccontextmanager
async def started(
    scoring: ScoringOptions = SCORING,
    *,
    workers: int = 1,
    queue: int = 50,
    seconds: float = 30,
    video_seconds: float = 30,
    model: dict[str, str | None] | None = None,
) -> AsyncIterator[Pool]:
    """Start a pool, and close it in the end."""
    options = ServiceOptions(workers=workers, queue=queue, seconds=seconds, video_seconds=video_seconds)
    pool = Pool(WorkerSetUp(scoring, model or {}), options)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine, in which everything has an end."""
    asyncio.run(asyncio.wait_for(test(), 120))


def children(process: int | None = None) -> list[int]:
    """List the processes that a process, this one by default, has started."""
    found = Path(f"/proc/{process or os.getpid()}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def workers_of(process: int | None = None) -> list[int]:
    """List the workers among them."""
    return [child for child in children(process) if b"nsfw_caffe.service.worker" in command_line(child)]


def command_line(process: int) -> bytes:
    """Return a process's command, nothing where it has gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(process: int) -> None:
    """Kill a process as the kernel does when memory runs out."""
    os.kill(process, signal.SIGKILL)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to hold")
