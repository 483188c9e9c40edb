from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.service.jobs import Answer, Job
from tests.service.pools import kill, run, started, until, workers_of
from tests.support import PHOTOS

SERVICE = """
import asyncio
from tests.bombs import jpeg_of_many_scans
from tests.service.pools import started, workers_of
from nsfw_caffe.service.jobs import Job

async def main():
    async with started(workers=2) as pool:
        slow = asyncio.create_task(pool.run(Job(jpeg_of_many_scans(3000, 2500))))
        await asyncio.sleep(0.5)
        print(*workers_of(), flush=True)
        await slow

asyncio.run(main())
"""


def test_workers_end_with_the_service_even_where_it_is_killed(model_files: ModelFiles) -> None:  # noqa: ARG001
    """One of them is at a picture that takes many seconds, the other one at none."""
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        workers = [int(worker) for worker in service.stdout.readline().split()]
        assert len(workers) == 2
        assert sorted(workers) == sorted(workers_of(service.pid))
        kill(service.pid)
    asyncio.run(asyncio.wait_for(until(lambda: not any(map(_alive, workers))), 5))


def test_signals_to_all_processes_leave_the_workers_to_the_service(model_files: ModelFiles) -> None:  # noqa: ARG001
    async def test() -> None:
        async with started() as pool:
            (worker,) = workers_of()
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(worker, number)
            assert isinstance(await pool.run(Job((PHOTOS / "rocket.jpg").read_bytes())), Answer)
            assert workers_of() == [worker]

    run(test)


def test_a_worker_leaves_no_core_dump(model_files: ModelFiles) -> None:  # noqa: ARG001
    async def test() -> None:
        async with started():
            limits = Path(f"/proc/{workers_of()[0]}/limits").read_text().splitlines()
            assert next(line.split()[4:6] for line in limits if line.startswith("Max core")) == ["0", "0"]

    run(test)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
