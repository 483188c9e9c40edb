"""Training on the pictures of a Spark DataFrame."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.sources.item import Content
from nsfw_caffe.spark.driver import check_frame, ship
from nsfw_caffe.spark.executor import Read, read_content, read_paths
from nsfw_caffe.spark.rank_task import ShardRow
from nsfw_caffe.spark.ranks import Cluster, Shards, shards_of, slots, solve_together
from nsfw_caffe.spark.rows import (
    CELL,
    LABEL,
    NAME,
    SPLIT,
    Wanted,
    content_batches,
    examine_batches,
    output_batches,
    wanted_of,
)
from nsfw_caffe.training.data import (
    Dataset,
    Finds,
    LabelledSource,
    Progress,
    class_names,
    names_of,
    side_of,
)
from nsfw_caffe.training.features import FeatureFile
from nsfw_caffe.training.fine_tuning import BATCH_SIZE
from nsfw_caffe.training.libraries import check_libraries
from nsfw_caffe.training.options import DEFAULTS, TrainingOptions
from nsfw_caffe.training.result import TrainingResult
from nsfw_caffe.training.run import train_by
from nsfw_caffe.training.solving import Iteration, SolverJob, SolverResult
from nsfw_caffe.training.solving import Progress as SolverProgress

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import Column, DataFrame, Row

_SCORING = ScoringOptions()

_FLOAT = 4
_AT_ONCE = 64 << 20
"""Bytes of outputs that the driver takes at once."""


def train(
    df: DataFrame,
    output: str | os.PathLike[str],
    *,
    label: str = "label",
    content: str = "content",
    path: str | None = None,
    split: str | None = None,
    layers: str | None = None,
    workers: int | None = None,
    batch: int | None = None,
    options: TrainingOptions = DEFAULTS,
    scoring: ScoringOptions = _SCORING,
    cluster: Cluster | None = None,
    storage_options: Mapping[str, object] | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    solving: Callable[[Iteration, int], object] | None = None,
) -> TrainingResult:
    """Train the network on labelled pictures, as `nsfw_caffe.train` does, with the work done by the executors.

    With `layers` "last", the executors compute features, and the driver trains the last layer on them. With "all" or a
    stage, solvers in tasks that run at the same time train together after that: each takes its part of a batch, and
    their gradients are averaged before each update.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        A row for each picture; of a session that has a SparkContext. It is read several times: keep what it is
        computed from.
    output : path
        The model folder to be made, on the driver, as for `nsfw_caffe.train`.
    label : str, default "label"
        The column of the classes' names, of any type that Spark can make text of.
    content : str, default "content"
        The column of the pictures' files, as Spark's source `binaryFile` reads them.
    path : str, optional
        The column of the pictures' paths or URIs instead, as for `score_paths`.
    split : str, optional
        The column that says on which side a picture is: train or test.
    layers, batch : optional
        In the place of `layers` and `batch_size` of the options. The batch is that of all workers together, whatever
        their number; a multiple of it.
    workers : int, optional
        Solvers that train together; by default as many as the cluster has room for and the batch can be shared by.
    options : TrainingOptions, optional
        What is asked.
    scoring : ScoringOptions, optional
        How pictures become features. Each task has as many threads as cores.
    cluster : Cluster, optional
        Time-outs, ports, and where snapshots are kept.
    storage_options : mapping, optional
        What fsspec is given besides each path.
    resume : bool, default False
        Go on with what was stopped.
    progress : callable, optional
        Called with what is done, how much of it, and how much there is or None.
    solving : callable, optional
        Called with each Iteration and how many there will be.

    Returns
    -------
    TrainingResult
        As `nsfw_caffe.train` returns it.

    Raises
    ------
    TrainingError
        If the data cannot be trained on, the cluster is too small, executors cannot reach one another or differ in
        their versions, or a solver fails; the message says why.
    ValueError, TypeError, ModelError, EngineUnavailable
        As for `score_images`.

    Examples
    --------
    >>> from nsfw_caffe.spark import train
    >>> result = train(pictures, "mymodel", layers="all", workers=8, batch=64)  # doctest: +SKIP
    >>> result.after.roc.auc  # doctest: +SKIP
    0.97
    """
    check_libraries()
    options = dataclasses.replace(
        options, layers=layers or options.layers, batch_size=options.batch_size if batch is None else batch
    )
    read: Read = read_content
    if path is not None:
        read = functools.partial(read_paths, dict(storage_options or {}), False)
    check_frame(df, *((content, "binary") if path is None else (path, "string")))
    frame = _selected(df, content if path is None else path, label, split)
    means = _Executors(
        frame,
        read,
        dataclasses.replace(scoring, engine=require_engine(scoring)),
        _cluster_for(df, options, workers, cluster or Cluster()),
        progress,
    )
    if options.layers != "last" and options.batch_size is None:
        options = dataclasses.replace(options, batch_size=BATCH_SIZE)
    return train_by(means, means.classes, Path(output), options=options, resume=resume, solving=solving)


def _selected(df: DataFrame, cell: str, label: str, split: str | None) -> DataFrame:
    """Give a DataFrame of the columns that training takes."""
    from pyspark.sql.functions import lit

    for name in (label, *([] if split is None else [split])):
        if name not in df.columns:
            raise ValueError(f"column {name!r}: there is none; the columns are {', '.join(df.columns)}")
    named = next((name for name in ("path", cell) if name in df.columns and dict(df.dtypes)[name] == "string"), None)
    text: Callable[[str], Column] = lambda name: df[name].cast("string")  # noqa: E731 - shorter
    return df.select(
        df[cell].alias(CELL),
        text(label).alias(LABEL),
        (lit("a row without a path") if named is None else df[named]).alias(NAME),
        (lit(None).cast("string") if split is None else text(split)).alias(SPLIT),
    )


def _cluster_for(df: DataFrame, options: TrainingOptions, workers: int | None, cluster: Cluster) -> Cluster:
    """Decide how many solvers train together."""
    if options.layers == "last":
        return cluster
    batch = options.batch_size or BATCH_SIZE
    if workers is None:
        most = slots(df.sparkSession.sparkContext)
        workers = max(count for count in range(1, max(1, min(most, batch)) + 1) if batch % count == 0)
    if workers < 1 or batch % workers:
        raise TrainingError(f"a batch of {batch} cannot be shared by {workers} workers: take a multiple of them")
    return dataclasses.replace(cluster, workers=workers)


class _Executors:
    """The executors as what does the work of a training: `nsfw_caffe.training.means.Means`."""

    in_between = False
    """Solvers take all the room that there is."""

    def __init__(
        self,
        frame: DataFrame,
        read: Read,
        options: ScoringOptions,
        cluster: Cluster,
        progress: Progress | None,
    ) -> None:
        self._frame, self._read, self.options = frame, read, options
        self._cluster, self._progress = cluster, progress
        labels = [row[0] for row in frame.select(LABEL).distinct().collect()]
        if any(name is None or not name.strip() for name in labels):
            raise TrainingError("there are rows without a label")
        self._names = names_of(labels)
        self.classes = class_names(LabelledSource("", name, None) for name in sorted(self._names.values()))

    def gather(self, holdout: float, seed: int) -> Dataset:
        """Have all pictures read once, and decide which are held out."""
        examine = functools.partial(examine_batches, self.options, self._read)
        texts = ", ".join(f"{name} string" for name in (LABEL, NAME, SPLIT, "sha256", "format"))
        kinds = f"{texts}, look binary, error string"
        found = Finds(self.classes)
        for row in self._frame.mapInArrow(examine, kinds).collect():
            look = None if row.look is None else int.from_bytes(row.look, "big")
            side = side_of(row[SPLIT], f"column {SPLIT!r}")
            content = Content(sha256=row.sha256, format=row.format)
            found.add(LabelledSource(row[NAME], self._names[row[LABEL]], side), content, look, row.error)
        return found.dataset(holdout, seed)

    def compute(
        self, dataset: Dataset, files: ModelFiles, found: FeatureFile, missing: npt.NDArray[np.int64], what: str
    ) -> None:
        """Have pictures run through a network; what comes of it waits on the executors' disks to be fetched."""
        from pyspark import StorageLevel

        context = self._frame.sparkSession.sparkContext
        wanted = self._wanted([dataset.pictures[row].sha256 for row in missing], missing.tolist())
        shipped = ship(context, files)
        compute = functools.partial(output_batches, self.options, shipped, files.outputs, self._read, wanted)
        outputs = self._frame.mapInArrow(compute, "row long, output binary, error string")
        left = set(missing.tolist())
        few = len(missing) * files.outputs * _FLOAT <= _AT_ONCE
        try:
            if not few:  # computed by all at the same time, and then fetched one partition after the other
                outputs.persist(StorageLevel.DISK_ONLY).count()
            for row in outputs.collect() if few else outputs.toLocalIterator(prefetchPartitions=True):
                if row.row in left:
                    left.remove(row.row)
                    if row.error is None:
                        found.put(row.row, np.frombuffer(row.output, np.float32))
                    else:
                        found.fail(row.row, row.error)
                if self._progress is not None:
                    self._progress(what, len(missing) - len(left), len(missing))
        finally:
            outputs.unpersist()
            wanted.destroy()
        for number in left:
            found.fail(number, "it has gone since it was read first")

    def places(self, dataset: Dataset, folder: Path) -> list[str]:  # noqa: ARG002 - as for all means
        """Give the pictures' names: executors have them by their contents."""
        return [picture.source for picture in dataset.pictures]

    def cut(self, batch_size: int, fitting: int) -> tuple[int, int]:
        """Cut a worker's part of a batch into equal parts that fit; the batch of all stays what it is."""
        if batch_size % self._cluster.workers:
            raise TrainingError(
                f"a batch of {batch_size}, which is all there are to train on, cannot be shared by "
                f"{self._cluster.workers} workers: take a smaller batch"
            )
        mine = batch_size // self._cluster.workers
        size = max(size for size in range(1, min(mine, fitting) + 1) if mine % size == 0)
        return size, batch_size // size

    def solve(self, job: SolverJob, *, resume: bool, progress: SolverProgress | None) -> SolverResult:
        """Have solvers train a network together."""
        assert job.pictures is not None
        pictures = json.loads(Path(job.pictures).read_bytes())
        wanted = self._wanted([picture["sha256"] for picture in pictures], range(len(pictures)))
        labels = np.array([picture["label"] for picture in pictures], np.int64)
        shards = self._shards(job, wanted, labels)
        try:
            return solve_together(job, shards, self._cluster, resume=resume, progress=progress)
        finally:
            wanted.destroy()

    def _shards(self, job: SolverJob, wanted: Broadcast[Wanted], labels: npt.NDArray[np.int64]) -> Shards:
        known = self._frame.sparkSession.sparkContext.broadcast(labels)
        take = functools.partial(content_batches, self.options, self._read, wanted)
        contents = self._frame.mapInArrow(take, "row long, content binary")
        return shards_of(contents.rdd.map(functools.partial(_shard_row, known)), job, self._cluster.workers)

    def _wanted(self, hashes: list[str], rows: list[int] | range) -> Broadcast[Wanted]:
        return self._frame.sparkSession.sparkContext.broadcast(wanted_of(hashes, rows))


def _shard_row(labels: Broadcast[npt.NDArray[np.int64]], row: Row) -> ShardRow:
    return ShardRow(row.row, int(labels.value[row.row]), bytes(row.content))
