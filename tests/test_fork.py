"""A Classifier in children of the process that made it, by os.fork: gunicorn's workers with --preload for example."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ENGINES, EngineChoice, ScoringOptions
from tests.support import PHOTOS, Child, run

PATHS = [str(PHOTOS / name) for name in ("coffee.png", "rocket.jpg", "text.png", "chelsea.png")]
SECONDS = 60
"""What no child takes, unless it hangs."""

BEGINNING = f"""
import gc, os, signal, sys, threading, time
import nsfw_caffe

engine, *paths = sys.argv[1:]
classifier = nsfw_caffe.Classifier(engine=engine)
expected = [classifier.classify(path) for path in paths]

def child(work):
    process = os.fork()
    if process == 0:
        signal.alarm({SECONDS})  # ends a child that hangs, wherever
        work()
        sys.exit(0)
    return process

def end(*processes):
    for process in processes:
        print(os.waitpid(process, 0)[1], flush=True)

def use():
    assert [classifier.classify(path) for path in paths] == expected
    assert classifier.classify_batch(paths, workers=2) == expected
"""


def run_forking(code: str, engine: EngineChoice) -> Child:
    """Run code after BEGINNING. From Python 3.12 on, any fork in a process that has threads is warned of."""
    return run("-W", "ignore::DeprecationWarning", "-c", BEGINNING + code, engine, *PATHS)


def statuses(engine: EngineChoice, code: str) -> str:
    """Run code after BEGINNING; return what it prints, which is each child's exit status."""
    child = run_forking(code, engine)
    assert (child.returncode, child.stderr) == (0, ""), child
    return child.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_fork(engine: EngineChoice) -> None:
    """A child that scores, one that does not, one that destroys what it has, and a child's child."""
    code = """
classifier.classify_batch(paths, workers=2)  # with threads, which the children lack

def destroy():
    global classifier
    del classifier
    gc.collect()

def fork_again():
    use()
    end(child(use))

end(child(use), child(lambda: None), child(destroy), child(fork_again))
use()
"""
    assert statuses(engine, code).split() == ["0"] * 5


@pytest.mark.parametrize("engine", ENGINES)
def test_fork_while_threads_are_at_work(engine: EngineChoice) -> None:
    code = """
def work():
    while not done.is_set():
        # Caffe's workers are processes, which would take the cores from the children.
        classifier.classify_batch(paths, workers=1 if engine == "caffe" else 2)

done = threading.Event()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(3):
    time.sleep(0.2)
    end(child(use))
done.set()
for thread in threads:
    thread.join()
"""
    assert statuses(engine, code).split() == ["0"] * 3


@pytest.mark.parametrize("engine", ENGINES)
def test_fork_in_the_middle_of_a_scan(engine: EngineChoice) -> None:
    """The child cannot go on with it, and leaves it to the parent."""
    code = """
def go_on():
    try:
        next(scan)
    except nsfw_caffe.EngineUnavailable as error:
        assert "begun before os.fork" in str(error)
        use()
    else:
        raise AssertionError

def close():
    scan.close()

scan = classifier.scan(paths * 10, workers=2)
first = next(scan).score
end(child(go_on), child(close), child(lambda: None))
assert [first, *(result.score for result in scan)] == expected * 10
"""
    assert statuses(engine, code).split() == ["0"] * 3


def test_the_default_classifier_while_another_thread_makes_it() -> None:
    code = """
holds, forked = threading.Event(), threading.Event()

def make():
    with nsfw_caffe.classifier._default_lock:
        holds.set()
        forked.wait()

thread = threading.Thread(target=make)
thread.start()
holds.wait()
end(child(lambda: nsfw_caffe.classify(paths[0])))
forked.set()
thread.join()
"""
    assert statuses("onnxruntime", code).split() == ["0"]


@pytest.mark.parametrize("engine", ENGINES)
def test_multiprocessing_with_fork(engine: EngineChoice) -> None:
    code = """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(classifier.classify, paths * 5).get(60) == expected * 5)
"""
    child = run_forking(code, engine)
    assert child.stdout == "True\n", child


def test_a_gpu_is_refused_in_a_child(model_files: ModelFiles) -> None:
    """There is none here, so the engine is one for the CPU."""
    engine = create_engine(model_files, ScoringOptions(engine="onnxruntime"))
    engines = LoadedEngines(engine, model_files, ScoringOptions(engine="onnxruntime", device="gpu:0"))
    assert engines.get() is engine
    engines._forget()  # what os.fork calls in the child
    with pytest.raises(EngineUnavailable, match="CUDA, once used, cannot be used"):
        engines.get()


APPLICATION = """
import json, os
import nsfw_caffe

classifier = nsfw_caffe.Classifier(engine={engine!r})
# As a warm-up would: it starts threads in the parent.
classifier.classify_batch([{path!r}] * 10, workers=2)

def application(environ, start_response):
    score = classifier.classify(environ["QUERY_STRING"])
    body = json.dumps([os.getpid(), score]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("worker", ["sync", "gthread"])
@pytest.mark.parametrize("engine", ENGINES)
def test_gunicorn_with_preload(engine: EngineChoice, worker: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APPLICATION.format(engine=engine, path=PATHS[0]))
    expected = [Classifier(engine=engine).classify(path) for path in PATHS] * 50
    options = [
        "--preload",
        "--workers=2",
        f"--worker-class={worker}",
        "--threads=1" if worker == "sync" else "--threads=4",
    ]
    with server(tmp_path, *options) as address, ThreadPoolExecutor(4) as clients:

        def ask(path: str) -> tuple[int, float]:
            with urllib.request.urlopen(f"{address}/?{path}", timeout=SECONDS) as answer:
                process, score = json.load(answer)
                return process, score

        answers = list(clients.map(ask, PATHS * 50))
    assert [score for _, score in answers] == expected
    assert len({process for process, _ in answers}) == 2


@contextmanager
def server(folder: Path, *options: str) -> Iterator[str]:
    """Run gunicorn; its end is a clean one, of its workers too."""
    command = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", "--timeout=60", *options, "service:application"]
    log = folder / "log"
    with log.open("w") as errors, subprocess.Popen(command, cwd=folder, stderr=errors) as process:
        try:
            deadline = time.monotonic() + SECONDS
            while not (found := re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield found[1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
    assert "SIGKILL" not in log.read_text()
    assert "SIGABRT" not in log.read_text()
