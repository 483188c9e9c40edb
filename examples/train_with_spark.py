#!/usr/bin/env python
"""Train the network on the labelled pictures of a folder, or of a bucket, with Spark.

Run it with a folder that has a folder a class, or its URI, and a new one for the model:

    spark-submit examples/train_with_spark.py labelled mymodel --engine onnxruntime
    spark-submit examples/train_with_spark.py s3a://bucket/labelled mymodel --layers all --workers 8 --batch 64

The model's folder is on the driver. What was stopped goes on with --resume.
"""

from __future__ import annotations

import argparse
import sys
import time

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import element_at, split

from nsfw_caffe import NsfwCaffeError, ScoringOptions, TrainingOptions, TrainingResult
from nsfw_caffe.spark import Cluster, train
from nsfw_caffe.training.solving import Iteration

MANY_FILES: dict[str, bool | float | int | str | None] = {"spark.sql.files.openCostInBytes": "1m"}
"""As in score_with_spark.py: some 100 files a task."""

PICTURES = "*.{jpg,jpeg,png,gif,webp,bmp,JPG,JPEG,PNG,GIF,WEBP,BMP}"

SECONDS_BETWEEN_LINES = 10.0


def main(arguments: list[str]) -> int:
    """Train, and say what it was worth."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", metavar="FOLDER", help="a folder with a folder a class: a path or a URI")
    parser.add_argument("output", metavar="OUTPUT", help="the model's folder on the driver: a new one")
    parser.add_argument("--layers", default="last", help="last, all, or the first stage that learns; default: last")
    parser.add_argument("--workers", type=int, help="solvers that train together; default: all there is room for")
    parser.add_argument("--batch", type=int, help="pictures of an update, of all workers together")
    parser.add_argument("--iterations", type=int, help="updates; default: some epochs")
    parser.add_argument("--engine", default="auto", help="what computes features; default: the first installed")
    parser.add_argument("--score-class", metavar="CLASS", help="the class that the score is of; default: nsfw")
    parser.add_argument("--snapshots", metavar="URI", help="a folder that all can reach; default: the driver's disk")
    parser.add_argument("--resume", action="store_true", help="go on with what was stopped")
    asked = parser.parse_args(arguments)
    session = SparkSession.builder.appName("nsfw_caffe").config(map=MANY_FILES).getOrCreate()
    try:
        tell(run(labelled(session, asked.folder), asked))
    except (AnalysisException, NsfwCaffeError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        session.stop()
    return 0


def labelled(session: SparkSession, folder: str) -> DataFrame:
    """Read the pictures; the folder of each is its label."""
    source = session.read.format("binaryFile").options(recursiveFileLookup=True, pathGlobFilter=PICTURES)
    return source.load(folder).withColumn("label", element_at(split("path", "/"), -2))


def run(pictures: DataFrame, asked: argparse.Namespace) -> TrainingResult:
    """Train, and print a line now and then."""
    said = 0.0

    def solving(iteration: Iteration, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > SECONDS_BETWEEN_LINES or iteration.number == total:
            said = time.monotonic()
            share = iteration.exchange / iteration.seconds if iteration.seconds else 0.0
            print(
                f"iteration {iteration.number} of {total}: loss {iteration.loss:.4f}, {iteration.seconds:.3f} s, "
                f"{share:.0%} of it exchange",
                file=sys.stderr,
            )

    return train(
        pictures,
        asked.output,
        layers=asked.layers,
        workers=asked.workers,
        batch=asked.batch,
        options=TrainingOptions(iterations=asked.iterations, score_class=asked.score_class),
        scoring=ScoringOptions(engine=asked.engine),
        cluster=Cluster(snapshots=asked.snapshots),
        resume=asked.resume,
        solving=solving,
    )


def tell(result: TrainingResult) -> None:
    """Print what the model is worth on the pictures held out."""
    before = "" if result.before is None else f" (before: {result.before.roc.auc:.3f})"
    print(f"{result.folder}: {sum(result.trained_on.values())} pictures trained on")
    print(f"{sum(result.held_out.values())} held out: AUC {result.after.roc.auc:.3f}{before}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
