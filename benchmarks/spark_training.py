#!/usr/bin/env python
"""How many pictures a second one and two executors train on, and what the exchange of gradients takes.

python benchmarks/spark_training.py            # from the checkout's root, on a machine that does nothing else

The executors are processes of this machine, with a core and a thread each. They train all layers of the original
network (5.9 million values, 24 MB) with the same batches of 8 in all; noise is as good as pictures here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from PIL import Image
from pyspark.sql import SparkSession

from benchmarks.spark_scaling import set_environment
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.spark.rank_task import ShardRow
from nsfw_caffe.spark.ranks import Cluster, shards_of, solve_together
from nsfw_caffe.training.solving import SolverJob
from nsfw_caffe.training.training_form import training_form

PICTURES = 64
WARM_UP = 3
"""Iterations that are not counted."""


def main() -> None:
    """Train with one executor, then with two, and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=8, help="pictures of an update, of all together; default: 8")
    parser.add_argument("--iterations", type=int, default=20, help="updates that are counted; default: 20")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "spark")
        home.mkdir()
        set_environment(home)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        job = write_job(Path(folder), options.batch, options.iterations + WARM_UP)
        rates = [measure(job, workers) for workers in (1, 2)]
        print(f"two executors : one = {rates[1] / rates[0]:.2f}")


def write_job(folder: Path, batch: int, iterations: int) -> SolverJob:
    """Write the network for training, and pictures."""
    files = fetch()
    network = training_form(read_prototxt(files.prototxt))
    (folder / "train.prototxt").write_text(text_format.MessageToString(network))
    generator = np.random.default_rng(1)
    rows = []
    for number in range(PICTURES):
        path = folder / f"{number}.jpg"
        Image.fromarray(generator.integers(0, 256, (300, 400, 3), np.uint8)).save(path)
        rows.append({"source": str(path), "label": number % 2})
    (folder / "pictures.json").write_text(json.dumps(rows))
    return SolverJob(
        str(folder / "train.prototxt"),
        str(folder / "run"),
        weights=str(files.caffemodel),
        pictures=str(folder / "pictures.json"),
        iterations=iterations,
        batch_size=batch,
        threads=1,
        prefetch_workers=1,
    )


def measure(job: SolverJob, workers: int) -> float:
    """Train, print and return the pictures a second."""
    assert job.pictures is not None
    rows = json.loads(Path(job.pictures).read_text())
    pictures = [ShardRow(row, one["label"], Path(one["source"]).read_bytes()) for row, one in enumerate(rows)]
    builder = SparkSession.builder.master(f"local-cluster[{workers},1,2048]")
    session = builder.config(
        map={
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
        }
    ).getOrCreate()
    try:
        mine = dataclasses.replace(job, folder=f"{job.folder}{workers}")
        shards = shards_of(session.sparkContext.parallelize(pictures, 2), mine, workers)
        history = solve_together(mine, shards, Cluster(workers)).history[WARM_UP:]
    finally:
        session.stop()
    seconds = statistics.median(line.seconds for line in history)
    exchange = statistics.median(line.exchange for line in history)
    rate = job.batch_size / seconds
    print(
        f"{workers} executor{'s' * (workers > 1)}: {rate:.2f} pictures a second, {seconds * 1e3:.0f} ms an iteration, "
        f"{exchange * 1e3:.0f} ms of them exchange, loss {history[-1].loss:.4f}",
        flush=True,
    )
    return rate


if __name__ == "__main__":
    main()
