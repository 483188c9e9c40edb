#!/usr/bin/env python
"""How many pictures a second Spark scores with one executor and with two, and with one that is killed on the way.

python benchmarks/spark_scaling.py FOLDER      # from the checkout's root, on a machine that does nothing else

The executors are processes of this machine, with a core each. Every run's scores and errors are compared with those of
a plain scan of the same files.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
from pyspark.sql import DataFrame, SparkSession

from nsfw_caffe import Classifier
from nsfw_caffe.options import EngineChoice
from nsfw_caffe.spark import score_paths

if TYPE_CHECKING:
    from pyspark import SparkContext

FILES_A_TASK = 50
WARM_UP = 400
"""Files scored before the clock starts: the executors have started their Python, and loaded the model."""

Found = dict[str, tuple[float | None, str | None]]


def main() -> None:
    """Scan plainly, then with Spark, and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="pictures, as make_pictures.py makes them")
    parser.add_argument("--engine", default="onnxruntime", help="default: onnxruntime")
    options = parser.parse_args()
    paths = [str(path.absolute()) for path in sorted(options.folder.rglob("*")) if path.is_file()]
    with tempfile.TemporaryDirectory() as home:
        set_environment(Path(home))
        expected, seconds = scan(paths, options.engine, threads=1)
        print(f"{len(paths)} files, {sum(error is not None for _, error in expected.values())} with an error")
        print(f"plain scan, 1 thread: {len(paths) / seconds:.1f} a second")
        print(f"plain scan, 2 threads: {len(paths) / scan(paths, options.engine, threads=2)[1]:.1f} a second")
        rates = [measure(executors, paths, options.engine, expected, kill=False) for executors in (1, 2)]
        print(f"two executors : one = {rates[1] / rates[0]:.2f}")
        measure(2, paths, options.engine, expected, kill=True)


def set_environment(home: Path) -> None:
    """Give Spark a home of links to its own folder: a local cluster keeps its executors' files there."""
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    os.environ |= {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}


def scan(paths: list[str], engine: EngineChoice, threads: int) -> tuple[Found, float]:
    """Score the files without Spark; return the results and the seconds."""
    classifier = Classifier(engine=engine, threads=threads)
    list(classifier.scan(paths[:WARM_UP], workers=threads))
    start = time.perf_counter()
    results = list(classifier.scan(paths, workers=threads))
    seconds = time.perf_counter() - start
    return {
        path: (result.score, result.error and result.error.removeprefix(f"{path}: "))
        for path, result in zip(paths, results, strict=True)
    }, seconds


def measure(executors: int, paths: list[str], engine: EngineChoice, expected: Found, *, kill: bool) -> float:
    """Score the files with Spark, compare, print and return the files a second."""
    builder = SparkSession.builder.master(f"local-cluster[{executors},1,1024]")
    session = builder.config(map={"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}).getOrCreate()
    try:
        frame(session, paths[:WARM_UP], engine).collect()
        scored = frame(session, paths, engine)
        if kill:
            killer = threading.Thread(target=kill_executor, args=(session.sparkContext,), daemon=True)
            killer.start()
        start = time.perf_counter()
        rows = scored.collect()
        rate = len(paths) / (time.perf_counter() - start)
        same = {row.path: (row.score, row.error) for row in rows} == expected and len(rows) == len(expected)
    finally:
        session.stop()
    label = f"{executors} executors, one of them killed" if kill else f"{executors} executor{'s' * (executors > 1)}"
    print(f"{label}: {rate:.1f} a second; results {'==' if same else '!='} the plain scan's")
    return rate


def frame(session: SparkSession, paths: list[str], engine: EngineChoice) -> DataFrame:
    """Return the scores of these files, to be computed in tasks of `FILES_A_TASK`."""
    rows = session.sparkContext.parallelize([(path,) for path in paths], -(-len(paths) // FILES_A_TASK))
    return score_paths(session.createDataFrame(rows, "path string"), engine=engine)


def kill_executor(context: SparkContext) -> None:
    """Kill an executor of a local cluster when a third of the running job's tasks are done."""
    tracker = context.statusTracker()
    while True:
        time.sleep(0.05)
        for number in tracker.getActiveStageIds():
            stage = tracker.getStageInfo(number)
            if stage is not None and stage.numCompletedTasks > stage.numTasks / 3:
                executor = executor_ids(os.getpid())[0]
                os.kill(executor, signal.SIGKILL)
                print(f"killed process {executor} after {stage.numCompletedTasks} of {stage.numTasks} tasks")
                return


def executor_ids(parent: int) -> list[int]:
    """Return the process ids of the executors among a process's descendants."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (folder / "stat").exists():
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent:
                executor = b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes()
                found += [int(folder.name)] if executor else executor_ids(int(folder.name))
    return found


if __name__ == "__main__":
    main()
