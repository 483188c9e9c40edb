"""The barrier task of a rank: its pictures on the executor's disk, the others' addresses, and the solver's process."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nsfw_caffe._version import __version__
from nsfw_caffe.errors import NsfwCaffeError, SolverLost, TrainingError
from nsfw_caffe.spark.connections import listen
from nsfw_caffe.spark.coordinator import Link, Place
from nsfw_caffe.spark.shared_folder import SharedFolder
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.snapshots import KEPT, newest
from nsfw_caffe.training.solving import Iteration, SolverJob, run_child

if TYPE_CHECKING:
    from pyspark import BarrierTaskContext, Broadcast

_LIBRARIES = ("caffe", "numpy", "Pillow")
"""What a solver's bits depend on, besides the library itself."""


class ShardRow(NamedTuple):
    """A picture that is trained on, at its rank."""

    row: int
    label: int
    content: bytes


class Store(Protocol):
    """Where snapshots are kept."""

    def newest(self) -> str | None:
        """Return the newest one's name."""

    def fetch(self, name: str, folder: Path) -> None:
        """Get one."""

    def keep_snapshot(self, snapshot: Path) -> None:
        """Have one kept."""

    def keep_weights(self, path: Path) -> None:
        """Have weights kept."""


@dataclass(frozen=True)
class RankPlan:
    """What every rank is to do."""

    job: SolverJob
    """Without paths; its batch is a rank's."""
    identity: dict[str, Any]
    files: Broadcast[dict[str, bytes]]
    """The network and the weights, under a job's names for them."""
    place: Place
    port: int
    """Where ranks listen: the first one that is free from this one on; 0 is any."""
    shared: SharedFolder | None


def run_rank(plan: RankPlan, rows: Iterable[tuple[int, ShardRow]]) -> Iterator[tuple[int, str]]:
    """Train; give the rank, and the SHA-256 of the weights, which are those of all others."""
    from pyspark import BarrierTaskContext

    context = BarrierTaskContext.get()
    rank = context.partitionId()
    link = Link(plan.place, rank)
    folder = Path(tempfile.mkdtemp(prefix="nsfw_caffe-", dir=_local_folder()))
    try:
        yield rank, _Rank(plan, context, link, folder).run(row for _, row in rows)
    finally:
        link.close()
        shutil.rmtree(folder, ignore_errors=True)


def _local_folder() -> str | None:
    """Return the executor's folder for what it does not keep; it removes it with itself."""
    folders = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    return folders[0] or None


class _Rank:
    def __init__(self, plan: RankPlan, context: BarrierTaskContext, link: Link, folder: Path) -> None:
        self._plan, self._context, self._link, self._folder = plan, context, link, folder
        self._rank = context.partitionId()
        self._store: Store = link if plan.shared is None else plan.shared
        self._starting = True
        self._kept: set[str] = set()

    def run(self, rows: Iterable[ShardRow]) -> str:
        """Train, and give the SHA-256 of the weights; tell the driver what is wrong."""
        try:
            return self._run(rows)
        except (NsfwCaffeError, OSError) as error:
            text = str(error) if isinstance(error, NsfwCaffeError) else f"{self._name}: {reason(error)}"
            with contextlib.suppress(SolverLost):
                again = isinstance(error, SolverLost) and not self._starting
                self._link.error(text, again=again, start=self._starting)
            raise

    @property
    def _name(self) -> str:
        return f"solver {self._rank} of {len(self._context.getTaskInfos())} on {socket.gethostname()}"

    def _run(self, rows: Iterable[ShardRow]) -> str:
        job = self._job(rows)
        run = Path(job.folder)
        with self._listen() as listener:
            group, snapshot = self._meet(listener.getsockname()[1])
            if snapshot is not None:
                self._store.fetch(snapshot, run)
                self._kept.add(snapshot)
            group["listener"] = listener.fileno()
            run_child(
                job,
                self._plan.identity,
                self._progress,
                program="spark.rank_worker",
                group=group,
                descriptors=[listener.fileno()],
            )
        if self._rank == 0:
            self._keep(run)
        last = newest(run)
        assert last is not None
        return file_sha256(last.caffemodel)

    def _job(self, rows: Iterable[ShardRow]) -> SolverJob:
        """Write what the solver reads into the folder."""
        job = self._plan.job
        paths: dict[str, Any] = {"folder": str(self._folder / "run")}
        for name, content in self._plan.files.value.items():
            path = self._folder / name
            path.write_bytes(content)
            paths[name] = str(path)
        (self._folder / "run").mkdir()
        paths["pictures"] = str(self._folder / "pictures.json")
        Path(paths["pictures"]).write_text(json.dumps(_write_pictures(self._folder / "pictures", rows)))
        assert job.share is not None
        if self._rank:
            paths |= {"snapshot_every": 0, "snapshot_seconds": 0.0, "test_every": 0}
        return dataclasses.replace(
            job,
            share=job.share._replace(rank=self._rank),
            threads=self._context.cpus(),
            prefetch_workers=job.prefetch_workers or 1,  # it is many times as fast as a solver
            **paths,
        )

    def _listen(self) -> socket.socket:
        host, port = self._host, self._plan.port
        for candidate in range(port, port + (len(self._context.getTaskInfos()) if port else 1)):
            try:
                return listen(host, candidate)
            except OSError as error:
                last = error
        raise TrainingError(f"{self._name} cannot listen on port {port} or one of those after it: {last.strerror}")

    @property
    def _host(self) -> str:
        return str(self._context.getTaskInfos()[self._rank].address).rpartition(":")[0] or "127.0.0.1"

    def _meet(self, port: int) -> tuple[dict[str, Any], str | None]:
        """Learn the others' addresses, and which snapshot all go on from; versions have to be the same."""
        self._link.ready()
        mine = {"host": self._host, "port": port, "versions": _versions()}
        if self._rank == 0:
            mine["snapshot"] = self._store.newest()
        found = [json.loads(text) for text in self._gathered(json.dumps(mine))]
        first = found[0]
        for rank, other in enumerate(found):
            for name, version in other["versions"].items():
                if version != first["versions"][name]:
                    raise TrainingError(
                        f"solver {rank} of {len(found)} on {other['host']} has {name} {version}, but solver 0 on "
                        f"{first['host']} {first['versions'][name]}: install the same on all executors"
                    )
        group = {
            "rank": self._rank,
            "addresses": [(other["host"], other["port"]) for other in found],
            "key": self._plan.place.key,
            "timeout": self._plan.place.timeout,
        }
        return group, first["snapshot"]

    def _gathered(self, message: str) -> list[str]:
        """Do what allGather does, but not for longer than the time-out."""
        found: list[list[str]] = []
        gathering = threading.Thread(target=lambda: found.append(self._context.allGather(message)), daemon=True)
        gathering.start()
        gathering.join(self._plan.place.timeout)
        if not found:
            missing = ", ".join(map(str, self._link.missing())) or "unknown"
            raise SolverLost(
                f"{self._name} has waited {self._plan.place.timeout:g} s in vain for all to start; not there: "
                f"solver {missing}"
            )
        return found[0]

    def _progress(self, iteration: Iteration) -> None:
        self._starting = False
        if self._rank == 0:
            self._link.iteration(dataclasses.asdict(iteration))
            self._keep(self._folder / "run")

    def _keep(self, run: Path) -> None:
        """Have all kept that has come since the last time."""
        for path in sorted((run / KEPT).glob("*.caffemodel")):
            if path.name not in self._kept:
                self._store.keep_weights(path)
                self._kept.add(path.name)
        for folder in sorted(run.glob("snapshot-*")):
            if folder.name not in self._kept:
                with contextlib.suppress(FileNotFoundError):  # the next one has taken its place
                    self._store.keep_snapshot(folder)
                    self._kept.add(folder.name)


def _write_pictures(folder: Path, rows: Iterable[ShardRow]) -> list[dict[str, Any]]:
    """Write each picture once, and list them in the order of their rows."""
    folder.mkdir()
    found: dict[int, dict[str, Any]] = {}
    for row, label, content in rows:
        if row not in found:
            path = folder / str(row)
            path.write_bytes(content)
            found[row] = {"source": str(path), "label": label, "sha256": hashlib.sha256(content).hexdigest()}
    return [found[row] for row in sorted(found)]


def _versions() -> dict[str, str]:
    versions = {"nsfw_caffe": __version__, "Python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            versions[library] = "not installed"
    return versions
