"""Several solvers that train one network together, each in a task of Spark's barrier mode."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import queue
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.spark.coordinator import Coordinator, Place
from nsfw_caffe.spark.rank_task import RankPlan, ShardRow, run_rank
from nsfw_caffe.spark.shared_folder import SharedFolder
from nsfw_caffe.training.feeding import shard_of
from nsfw_caffe.training.solver_job import Share, SolverJob
from nsfw_caffe.training.solving import (
    Iteration,
    Progress,
    SolverResult,
    check_folder,
    check_job,
    identity_of,
    result_of,
)

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

Shards: TypeAlias = "RDD[tuple[int, ShardRow]]"
"""Of as many partitions as there are ranks: each has the rows of its rank."""

_POLL_SECONDS = 0.2

_CANCEL_SECONDS = 30.0


@dataclass(frozen=True)
class Cluster:
    """How solvers train together.

    Attributes
    ----------
    workers : int
        Solvers, and so tasks that run at the same time; `train` decides it.
    timeout : float
        Seconds that one waits for another, or for the cluster to have room for all.
    port : int
        Where executors listen for one another: the first port that is free from this one on; 0 is any.
    driver_port : int
        Where the driver listens for the executors; 0 is any.
    snapshots : str, optional
        A folder's URI for snapshots, which all can reach; by default the driver's disk.
    storage_options : mapping, optional
        What fsspec is given besides that URI.
    """

    workers: int = 1
    timeout: float = 300.0
    port: int = 0
    driver_port: int = 0
    snapshots: str | None = None
    storage_options: Mapping[str, object] = dataclasses.field(default_factory=dict)


def solve_together(
    job: SolverJob, shards: Shards, cluster: Cluster, *, resume: bool = False, progress: Progress | None = None
) -> SolverResult:
    """Do what `solve` does, with several solvers: `job.pictures` lists all pictures, whose contents are in `shards`."""
    check_job(job)
    part = part_of(job, cluster.workers)
    identity = identity_of(job)
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    shared = None if cluster.snapshots is None else SharedFolder(cluster.snapshots, dict(cluster.storage_options))
    if shared is not None:
        _bring(shared, folder)
    snapshot = check_folder(folder, identity, resume=resume)
    if snapshot is None or snapshot.iteration < job.iterations:
        _wait_for_room(shards.context, cluster)
        files = {"net": Path(job.net).read_bytes()}
        if job.weights is not None:
            files["weights"] = Path(job.weights).read_bytes()
        run = _Run(shards, cluster, folder)
        run.train(RankPlan(part, identity, shards.context.broadcast(files), run.place, cluster.port, shared), progress)
        if shared is not None:
            _bring(shared, folder)
    return result_of(job)


def part_of(job: SolverJob, workers: int) -> SolverJob:
    """Give a rank's part of a job, without its paths: as many pictures at once as the job has at most."""
    lanes = job.batch_size * job.iter_size
    if workers < 1 or lanes % workers:
        raise TrainingError(f"a batch of {lanes} cannot be shared by {workers} workers: take a multiple of them")
    assert job.pictures is not None
    rows = len(json.loads(Path(job.pictures).read_bytes()))
    if rows < lanes:
        raise TrainingError(f"a batch of {lanes} is more than the {rows} pictures there are")
    mine = lanes // workers
    size = max(size for size in range(1, min(job.batch_size, mine) + 1) if mine % size == 0)
    return dataclasses.replace(
        job,
        net="net",
        folder="",
        weights=job.weights and "weights",
        pictures="",
        batch_size=size,
        iter_size=mine // size,
        share=Share(0, workers, rows),
    )


def _bring(shared: SharedFolder, folder: Path) -> None:
    """Bring the newest snapshot, and weights that were kept, to the driver's disk."""
    name = shared.newest()
    if name is not None and not (folder / name).exists():
        shared.fetch(name, folder)
    shared.fetch_weights(folder)


def _wait_for_room(context: SparkContext, cluster: Cluster) -> None:
    """Wait for executors that are on their way; TrainingError where there are too few for all ranks at once."""
    deadline = time.monotonic() + cluster.timeout
    while (room := slots(context)) < cluster.workers:
        if time.monotonic() > deadline:
            raise TrainingError(
                f"workers={cluster.workers}: the cluster has room for {room} tasks at a time "
                f"(waited {cluster.timeout:g} s); take fewer workers, or more executors"
            )
        time.sleep(_POLL_SECONDS)


def slots(context: SparkContext) -> int:
    """Return how many tasks can run at the same time."""
    scala = context._jsc.sc()
    found: int = scala.maxNumConcurrentTasks(scala.resourceProfileManager().defaultResourceProfile())
    return found


class _Run:
    """A job of Spark's whose tasks are the ranks, and who listens to them."""

    def __init__(self, shards: Shards, cluster: Cluster, folder: Path) -> None:
        self._shards, self._cluster = shards, cluster
        conf = shards.context.getConf()
        host = conf.get("spark.driver.host") or "localhost"
        bind = conf.get("spark.driver.bindAddress") or host
        place = Place(host, cluster.driver_port, secrets.token_hex(32), cluster.timeout)
        try:
            self._coordinator = Coordinator(place, bind, folder, cluster.workers)
        except OSError as error:
            raise TrainingError(f"the driver cannot listen on port {cluster.driver_port}: {error.strerror}") from error
        self.place = self._coordinator.place
        self._hashes: list[tuple[int, str]] = []
        self._failure: BaseException | None = None

    def train(self, plan: RankPlan, progress: Progress | None) -> None:
        """Run the job, and pass on what the first rank tells."""
        group = f"nsfw_caffe-{uuid4()}"
        from pyspark import InheritableThread

        job = InheritableThread(target=lambda: self._collect(plan, group), daemon=True)
        job.start()
        try:
            while job.is_alive() and self._coordinator.fatal is None:
                self._pass_on(progress, _POLL_SECONDS)
        finally:
            if job.is_alive():
                with contextlib.suppress(Exception):  # the JVM may have gone
                    self._shards.context.cancelJobGroup(group)
                job.join(_CANCEL_SECONDS)
            self._coordinator.close()
        self._pass_on(progress, 0)
        self._check()

    def _collect(self, plan: RankPlan, group: str) -> None:
        try:
            self._shards.context.setJobGroup(group, "nsfw_caffe: training", interruptOnCancel=True)
            found = self._shards.barrier().mapPartitions(functools.partial(run_rank, plan))
            # Spark does not try the last stage of a job again where it is a barrier's, so another one comes after it.
            self._hashes = found.partitionBy(1, _first).collect()
        except Exception as error:  # noqa: BLE001 - told by the thread that has started this one
            self._failure = error

    def _pass_on(self, progress: Progress | None, seconds: float) -> None:
        """Tell of iterations for a while."""
        with contextlib.suppress(queue.Empty):
            while True:
                line = (
                    self._coordinator.iterations.get(timeout=seconds)
                    if seconds
                    else self._coordinator.iterations.get_nowait()
                )
                if progress is not None:
                    progress(Iteration(**line))

    def _check(self) -> None:
        """Raise TrainingError where the job has failed."""
        coordinator = self._coordinator
        if coordinator.fatal is not None:
            raise TrainingError(coordinator.fatal) from self._failure
        if self._failure is not None:
            said = coordinator.errors[-1] if coordinator.errors else str(self._failure).strip().splitlines()[0]
            raise TrainingError(f"the solvers have failed, and Spark has given up: {said}") from self._failure
        if len({sha256 for _, sha256 in self._hashes}) > 1:
            raise TrainingError(
                "the solvers' weights are not the same: their processors or libraries compute differently"
            )


def shards_of(rows: RDD[ShardRow], job: SolverJob, workers: int) -> Shards:
    """Bring each row to its rank; Spark keeps what it has sorted on the executors' disks, for another attempt too."""
    rank_of = functools.partial(_rank_of, job.batch_size * job.iter_size, workers)
    return rows.map(rank_of).partitionBy(workers, _itself)


def _rank_of(lanes: int, workers: int, row: ShardRow) -> tuple[int, ShardRow]:
    return shard_of(row.row, lanes, workers), row


def _itself(rank: int) -> int:
    return rank


def _first(_: int) -> int:
    return 0
