#!/usr/bin/env python
"""Score the pictures of a folder, or of a bucket, with Spark, and write the scores as Parquet.

Run it with the folder (or its URI) and a new one for the scores:

    spark-submit examples/score_with_spark.py pictures scores --engine onnxruntime

Spark's source `binaryFile` leaves empty files out: they have no row.
"""

from __future__ import annotations

import argparse
import sys
import time

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.functions import count

from nsfw_caffe.spark import score_images

PICTURES = "*.{jpg,jpeg,png,gif,webp,bmp,JPG,JPEG,PNG,GIF,WEBP,BMP}"

MANY_FILES: dict[str, bool | float | int | str | None] = {"spark.sql.files.openCostInBytes": "1m"}
"""Spark fills a task with files up to 128 MB, and adds so much to the size of each. By default that is 4 MB, and a task
has 30 files; with 1 MB it has some 100: seconds of work, worth a task's start, and not much to do again."""


def main(arguments: list[str]) -> int:
    """Read, score and write; then say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", metavar="FOLDER", help="the pictures, in subfolders too: a path or a URI")
    parser.add_argument("out", metavar="OUT", help="where to write Parquet files: a new folder, or its URI")
    parser.add_argument("--engine", default="auto", help="caffe, onnxruntime or openvino; default: the first installed")
    parser.add_argument("--glob", default=PICTURES, metavar="PATTERN", help="which files; default: usual suffixes")
    options = parser.parse_args(arguments)
    session = SparkSession.builder.appName("nsfw_caffe").config(map=MANY_FILES).getOrCreate()
    try:
        start = time.monotonic()
        score(session, options)
        seconds = time.monotonic() - start
        written = session.read.parquet(options.out)
        ((files, scored, failed),) = written.agg(count("*"), count("score"), count("error")).collect()
    except AnalysisException as error:
        reasons = {
            "PATH_ALREADY_EXISTS": f"{options.out} is there already: delete it, or name another folder",
            "PATH_NOT_FOUND": f"{options.folder}: there is no such folder",
        }
        print(reasons.get(error.getCondition() or "", str(error)), file=sys.stderr)
        return 1
    finally:
        session.stop()
    print(f"{files} files: {scored} scored, {failed} with an error, in {seconds:.1f} s: {files / seconds:.1f} a second")
    return 0


def score(session: SparkSession, options: argparse.Namespace) -> None:
    """Write a row for each file: path, modificationTime, length, score, error."""
    source = session.read.format("binaryFile").options(recursiveFileLookup=True, pathGlobFilter=options.glob)
    scored = score_images(source.load(options.folder), engine=options.engine)
    # Without the pictures the rows are small: a few Parquet files will hold them, not one for each task.
    scored.drop("content").hint("rebalance").write.parquet(options.out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
