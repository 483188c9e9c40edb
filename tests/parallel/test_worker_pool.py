"""Workers from one call to the next: whose they are, and when they end."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nsfw_caffe import Classifier, ModelError
from nsfw_caffe.parallel import caffe_workers, pipeline, worker_pool
from nsfw_caffe.parallel.pipeline import FEW
from nsfw_caffe.system import processes
from tests.engines.test_caffe import SMALL, write
from tests.parallel.conftest import again
from tests.parallel.workers import PATHS, Mine
from tests.support import run

SECONDS = 30
"""What ending takes at most; left alone, workers would wait for a minute."""


def exist(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_workers_stay_grow_and_end_with_their_classifier(
    own: Classifier, scores: list[float], mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "available_cores", lambda: 2)
    assert mine() == []
    assert own.classify_batch(PATHS, workers=2) == scores
    two = mine()
    assert len(two) == 2
    assert list(map(idle_ticks, two)) == list(map(idle_ticks, two))
    assert own.classify_batch(PATHS, workers=2) == scores
    assert mine() == two
    results = own.scan(PATHS * 3, workers=3)
    first = next(results).score
    assert len(mine()) == 3
    assert set(two) < set(mine())
    assert [first, *(result.score for result in results)] == scores * 3
    kept = mine()
    assert len(kept) == 2  # as many as there are cores
    assert len(pickle.dumps(own)) < 2000
    own.close()
    assert exist(kept) == []  # not even as zombies


def idle_ticks(pid: int) -> list[str]:
    """Return how long a process was at work, after a moment in which it has nothing to do."""
    time.sleep(0.3)
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]


def test_scans_at_the_same_time(
    own: Classifier, scores: list[float], mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "available_cores", lambda: 4)
    forwards, backwards = own.scan(PATHS * 4, workers=2), own.scan(PATHS[::-1] * 4, workers=2)
    pairs = [(one.score, other.score) for one, other in zip(forwards, backwards, strict=True)]
    assert pairs == list(zip(scores * 4, scores[::-1] * 4, strict=True))
    four = mine()
    assert len(four) == 4
    with ThreadPoolExecutor(2) as threads:
        orders = (PATHS * 4, PATHS[::-1] * 4)
        found = list(threads.map(lambda paths: own.classify_batch(paths, workers=2), orders))
    assert found == [scores * 4, scores[::-1] * 4]
    assert sorted(mine()) == sorted(four)


def test_answers_that_are_owed_reach_nobody_else(own: Classifier, scores: list[float], mine: Mine) -> None:
    results = own.scan(PATHS[::-1] * 4, workers=2)
    next(results)
    first = mine()
    results.close()
    assert exist(first) == []
    assert own.classify_batch(PATHS, workers=2) == scores

    def failing() -> Iterator[str]:
        yield from PATHS[::-1]
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the very one
        own.classify_batch(failing(), workers=2)
    assert own.classify_batch(PATHS, workers=2) == scores


def test_a_scan_that_is_left_while_nothing_is_owed(own: Classifier, mine: Mine) -> None:
    results = own.scan(PATHS[:2], workers=2)
    list(zip(range(2), results, strict=False))
    two = mine()
    results.close()
    assert mine() == two


def test_workers_that_die_while_they_are_idle(
    own: Classifier, scores: list[float], mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caffe_workers, "ATTEMPTS", 1)  # no picture is to blame
    pool = own._pipeline._workers
    assert pool is not None
    own.classify_batch(PATHS, workers=2)
    kill(mine())
    assert pool.idle() == 0
    worker = pool.lend()
    assert not worker.kept
    worker.end()
    own.classify_batch(PATHS, workers=2)
    monkeypatch.setattr(worker_pool.Worker, "is_idle", True)  # they die just after it was looked
    kill(mine())
    assert own.classify_batch(PATHS, workers=2) == scores


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(pids)


def wait_for(pids: list[int]) -> None:
    """Wait until processes have ended, without reaping them."""
    deadline = time.monotonic() + SECONDS
    while any(state(pid) != "Z" for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_idle_workers_end_by_themselves_and_those_at_work_do_not(
    own: Classifier, scores: list[float], mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caffe_workers, "ATTEMPTS", 1)
    monkeypatch.setattr(caffe_workers, "IDLE_SECONDS", 0.3)

    def slow() -> Iterator[str]:
        yield from PATHS * 2
        time.sleep(1)
        yield from PATHS

    assert own.classify_batch(slow(), workers=2) == scores * 3
    two = mine()
    assert len(two) == 2
    wait_for(two)
    assert own.classify_batch(PATHS, workers=2) == scores
    assert exist(two) == []


def test_a_classifier_that_nobody_has_any_more(quick: Classifier, mine: Mine) -> None:
    own = again(quick)
    own.classify_batch(PATHS, workers=2)
    two = mine()
    gc.disable()  # and no collection of garbage is waited for
    try:
        del own
        assert exist(two) == []
    finally:
        gc.enable()


def test_closing_in_the_midst_of_a_scan(own: Classifier, scores: list[float], mine: Mine) -> None:
    results = own.scan(PATHS * 4, workers=2)
    first = next(results).score
    own.close()
    assert [first, *(result.score for result in results)] == scores * 4
    assert mine() == []


def test_few_pictures_take_the_workers_that_there_are(
    own: Classifier, scores: list[float], mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "available_cores", lambda: 2)
    assert own.classify_batch(PATHS * 2) == scores * 2
    assert mine() == []
    own.classify_batch(PATHS, workers=2)
    results = own.scan(PATHS * 2)
    first = next(results).score
    assert own._pipeline._workers is not None
    assert own._pipeline._workers.idle() == 0  # they are at work
    assert [first, *(result.score for result in results)] == scores * 2
    assert len(PATHS) < FEW
    next(own.scan(PATHS))
    assert own._pipeline._workers.idle() == 2


def test_workers_are_not_started_on_another_model(tmp_path: Path, quick: Classifier) -> None:
    files = write(tmp_path, SMALL)
    with again(quick) as own:
        own._engines.files = files
        files.caffemodel.write_bytes(files.caffemodel.read_bytes() + b"\n")
        with pytest.raises(ModelError, match="have changed since this Classifier was made"):
            own.classify_batch(PATHS, workers=2)


SCRIPT = """
import os, signal, subprocess, sys, time
import nsfw_caffe

prototxt, caffemodel, end, *paths = sys.argv[1:]
classifier = nsfw_caffe.Classifier(engine="caffe", prototxt=prototxt, caffemodel=caffemodel)
scores = classifier.classify_batch(paths, workers=2)

def children():
    command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())]
    listed = subprocess.run(command, capture_output=True, text=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if "caffe_worker" in line]

print(*children(), flush=True)
if end == "kill":
    child = os.fork()
    if child == 0:
        time.sleep(100)
        os._exit(0)
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if end == "fork":
    mine = children()
    child = os.fork()
    if child == 0:
        assert classifier.classify_batch(paths, workers=2) == scores
        assert len(children()) == 2
        classifier.close()
        assert children() == []
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    assert classifier.classify_batch(paths, workers=2) == scores
    assert children() == mine
"""


@pytest.fixture
def arguments(quick: Classifier) -> list[str | Path]:
    files = quick._engines.files
    return ["-c", SCRIPT, files.prototxt, files.caffemodel]


def test_a_forked_child_has_workers_of_its_own_and_the_end_of_the_interpreter(arguments: list[str | Path]) -> None:
    child = run(*arguments, "fork", *PATHS)
    assert (child.returncode, child.stderr) == (0, "")
    assert exist(list(map(int, child.stdout.split()))) == []


def test_no_idle_worker_outlives_its_parent_whose_child_lives(arguments: list[str | Path]) -> None:
    with subprocess.Popen([sys.executable, *arguments, "kill", *PATHS], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers, (child,) = (list(map(int, parent.stdout.readline().split())) for _ in range(2))
        try:
            assert len(workers) == 2
            deadline = time.monotonic() + SECONDS
            while exist(workers) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert exist(workers) == []
        finally:
            os.kill(child, signal.SIGKILL)
