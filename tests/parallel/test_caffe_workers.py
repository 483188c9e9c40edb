from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from nsfw_caffe import Classifier, EngineUnavailable, ImageError
from nsfw_caffe.parallel import caffe_workers
from nsfw_caffe.parallel.caffe_workers import WINDOW
from nsfw_caffe.preprocessing.steps import Source
from tests.parallel.workers import PATHS, Mine
from tests.support import PHOTOS, heed_interrupts, needs_atlas, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(classifier: Classifier) -> list[float]:
    return [classifier.classify(path) for path in PATHS]


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_bits(workers: int, classifier: Classifier, expected: list[float]) -> None:
    assert classifier.classify_batch(PATHS * 3, workers=workers) == expected * 3


@pytest.mark.parametrize("kernel", ["Haswell", "SkylakeX", "Prescott"])
def test_bits_with_kernels_that_depend_on_threads_and_with_others(kernel: str) -> None:
    code = (
        "import sys, nsfw_caffe\n"
        "classifier = nsfw_caffe.Classifier(engine='caffe')\n"
        "for threads in (2, 3, 1):\n"
        "    nsfw_caffe.engines.blas.set_openblas_threads(threads)\n"
        "    one_by_one = [classifier.classify(path) for path in sys.argv[1:]]\n"
        "    print(classifier.classify_batch(sys.argv[1:], workers=2) == one_by_one)"
    )
    child = run("-c", code, *PATHS, environment={"OPENBLAS_CORETYPE": kernel})
    assert child.stdout == "True\n" * 3, child.stderr


@needs_atlas
def test_published_bits_in_workers() -> None:
    code = (
        "import sys, nsfw_caffe\n"
        "classifier = nsfw_caffe.Classifier.published()\n"
        "one_by_one = [classifier.classify(path) for path in sys.argv[1:]]\n"
        "print(classifier.classify_batch(sys.argv[1:], workers=2) == one_by_one)"
    )
    child = run("-c", code, *PATHS)
    assert child.stdout == "True\n", child.stderr


def test_sources_of_every_kind(classifier: Classifier, expected: list[float]) -> None:
    path = Path(PATHS[0])
    sources: list[Source] = [path, str(path), path.read_bytes(), bytearray(path.read_bytes())]
    sources += [io.BytesIO(path.read_bytes()), Image.open(path), np.asarray(Image.open(path))]
    assert classifier.classify_batch(sources, workers=2) == [expected[0]] * len(sources)


def test_errors_are_those_of_one_process(classifier: Classifier) -> None:
    sources: list[Source] = [PATHS[0], "/missing.jpg", b"", io.BytesIO(), np.zeros((1, 1, 1), np.uint8), PATHS[1]]
    alone, together = (list(classifier.scan(sources, workers=workers)) for workers in (1, 2))
    assert together[1].error == "/missing.jpg: cannot be read (No such file or directory)"
    assert [(result.score, result.error) for result in together] == [(result.score, result.error) for result in alone]
    with pytest.raises(ImageError, match=r"^source 1: /missing\.jpg: "):
        classifier.classify_batch(sources, workers=2)


def test_nothing_but_bad_sources(classifier: Classifier) -> None:
    """More of them than the window holds, none of which ever reaches a worker."""
    bad: list[Source] = [io.BytesIO(b"")] * (5 * WINDOW)
    assert all(result.error for result in classifier.scan(bad, workers=2))


def test_a_killed_worker_loses_nothing(own: Classifier, scores: list[float], mine: Mine) -> None:
    results = own.scan(PATHS * 20, workers=2)
    found = [next(results).score for _ in range(10)]
    victim = mine()[0]
    os.kill(victim, signal.SIGKILL)
    found += [result.score for result in results]
    assert found == scores * 20


def test_every_worker_killed_again_and_again(own: Classifier, scores: list[float], mine: Mine) -> None:
    results = own.scan(PATHS * 20, workers=2)
    found: list[float | None] = []
    for turn in range(3):
        found += [next(results).score for _ in range(20)]
        if turn < 2:
            for victim in mine():
                os.kill(victim, signal.SIGKILL)
    found += [result.score for result in results]
    assert found == scores * 20


def sabotage(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every Python that this one starts run this first."""
    (folder / "sitecustomize.py").write_text(f"import os, sys\n{code}\n")
    monkeypatch.syspath_prepend(str(folder))


def test_a_picture_that_kills_its_worker_is_reported(
    own: Classifier, scores: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap.jpg"
    code = """
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("trap.jpg"):
        os.kill(os.getpid(), 9)
sys.addaudithook(hook)"""
    sabotage(tmp_path, code, monkeypatch)
    results = list(own.scan([*PATHS, trap, *PATHS], workers=2))
    error = f"{trap}: the worker process was killed by SIGKILL (out of memory?), 2 times"
    assert [result.error for result in results] == [*[None] * len(PATHS), error, *[None] * len(PATHS)]
    assert [result.score for result in results] == [*scores, None, *scores]


def test_workers_that_cannot_start(
    own: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "if 'nsfw_caffe.parallel.caffe_worker' in sys.orig_argv: os.write(2, b'no, thank you'); os._exit(1)"
    sabotage(tmp_path, code, monkeypatch)
    with pytest.raises(EngineUnavailable, match="a worker process of Caffe ended with status 1 before it had loaded"):
        own.classify_batch(PATHS, workers=2)
    assert "no, thank you" in capfd.readouterr().err


def test_leaving_early_ends_the_workers(own: Classifier, mine: Mine) -> None:
    results = own.scan(itertools.repeat(PATHS[0]), workers=2)
    next(results)
    processes = mine()
    assert len(processes) == 2
    results.close()
    assert not any(Path(f"/proc/{process}").exists() for process in processes)  # not even as zombies


def test_sources_are_read_no_further_than_the_window(own: Classifier) -> None:
    read = 0

    def count() -> Iterator[str]:
        nonlocal read
        for path in itertools.cycle(PATHS):
            read += 1
            yield path

    results = own.scan(count(), workers=2)
    for taken in range(1, 60):
        next(results)
        assert read <= taken + 2 * WINDOW
    results.close()


def test_a_slow_worker_lets_the_other_go_no_further_than_the_window(own: Classifier, mine: Mine) -> None:
    read = taken = 0
    stopped: list[int] = []
    timers: list[threading.Timer] = []

    def count() -> Iterator[str]:
        nonlocal read
        for path in itertools.cycle(PATHS):
            read += 1
            assert read <= taken + 1 + 2 * WINDOW
            if stopped and not timers and read == taken + 2 * WINDOW:
                timers.append(threading.Timer(2, os.kill, (stopped[0], signal.SIGCONT)))
                timers[0].start()
            yield path

    results = own.scan(count(), workers=2)
    try:
        while taken < 3 * WINDOW:
            next(results)
            taken += 1
            if taken == 5:
                stopped.append(mine()[0])
                os.kill(stopped[0], signal.SIGSTOP)
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
        results.close()
    assert timers


def test_few_pictures_start_no_worker(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caffe_workers, "score", None)
    assert len(classifier.classify_batch(PATHS)) == len(PATHS)
    with pytest.raises(TypeError):
        classifier.classify_batch(PATHS * 20)


SCRIPT = """
import nsfw_caffe, sys
for result in nsfw_caffe.Classifier(engine="caffe").scan([sys.argv[1]] * int(sys.argv[2]), workers=2):
    print(result.score, flush=True)
"""


def test_a_script_without_a_main_guard(tmp_path: Path, expected: list[float]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    child = run(tmp_path / "script.py", PATHS[0], "5")
    assert child.stdout == f"{expected[0]}\n" * 5, child.stderr
    child = run("-", PATHS[0], "5", stdin=SCRIPT.encode())
    assert child.stdout == f"{expected[0]}\n" * 5, child.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(stop: signal.Signals) -> None:
    """Ctrl-C reaches the whole process group; a killed parent tells nobody."""
    command = [sys.executable, "-c", SCRIPT, PATHS[0], "100000"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(session(parent.pid)) == 3
        (os.killpg if stop == signal.SIGINT else os.kill)(parent.pid, stop)
        parent.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while session(parent.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert session(parent.pid) == []


def session(leader: int) -> list[str]:
    """Return the living processes of a session."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(leader)], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if "Z" not in line]


def test_fast_decoding_in_workers(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    Image.open(PATHS[0]).resize((3000, 2000)).save(large)
    fast, exact = (Classifier(engine="caffe", decode=decode) for decode in ("fast", "exact"))
    (score,) = set(fast.classify_batch([large] * 4, workers=2))
    assert score == fast.classify(large) != exact.classify(large)


def test_workers_have_the_settings_of_pillow(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = (PHOTOS / "rocket.jpg").read_bytes()
    truncated = photo[: len(photo) // 2]
    assert [result.score for result in classifier.scan([truncated] * 2, workers=2)] == [None] * 2
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert classifier.classify_batch([truncated] * 2, workers=2) == [classifier.classify(truncated)] * 2
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    together = list(classifier.scan([photo] * 2, workers=2))
    assert together[0].error is not None
    assert "exceeds limit of 2000 pixels" in together[0].error
    assert [result.error for result in together] == [result.error for result in classifier.scan([photo] * 2, workers=1)]


class Toy(ImageFile.ImageFile):
    """A format that Pillow does not bring: four bytes, and the pixels of a square."""

    format = "TOY"

    def _open(self) -> None:
        assert self.fp is not None
        self.fp.read(4)
        self._mode, self._size = "RGB", (64, 64)
        self.tile = [ImageFile._Tile("raw", (0, 0, 64, 64), 4, ("RGB", 0, 1))]


def test_formats_that_the_user_has_registered(
    classifier: Classifier, expected: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.init()
    for name in ("OPEN", "ID"):
        monkeypatch.setattr(Image, name, getattr(Image, name).copy())
    Image.register_open("TOY", Toy, lambda prefix: prefix.startswith(b"TOY!"))
    data = b"TOY!" + Image.open(PATHS[0]).convert("RGB").resize((64, 64)).tobytes()
    path = tmp_path / "toy"
    path.write_bytes(data)
    sources: list[Source] = [PATHS[0], data, path, b"TOY!", "/missing.jpg"]
    alone, together = (list(classifier.scan(sources, workers=workers)) for workers in (1, 2))
    assert [result.score is None for result in together] == [False, False, False, True, True]
    assert together[0].score == expected[0]
    assert [(result.score, result.error) for result in together] == [(result.score, result.error) for result in alone]
