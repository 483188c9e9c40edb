"""Pictures as the solver takes them, made ready in processes of their own: `solver.step` holds the GIL.

A picture goes through the steps of scoring, the JPEG round trip too. What is drawn for it, scale, crop and flip,
follows from the seed and the batch's number, so that no state is saved and the number of processes does not matter.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.layer import Shape, format_shape
from nsfw_caffe.preprocessing.formats import Settings, pillow_settings
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.system import processes
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.feeding import Batch, check_labels, order_of
from nsfw_caffe.training.solver_job import SolverJob

_AHEAD = 2
"""Batches that a process is asked for: the one that waits to be taken, and the next."""

_MOST_WORKERS = 2
"""By default: Caffe needs the cores more."""


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures."""

    sources: list[str]
    labels: npt.NDArray[np.int64]
    hashes: list[str | None]


@dataclass(frozen=True)
class PrefetchSetUp:
    """What a process needs to make pictures ready."""

    pictures: str
    jpeg: str
    decode: str
    limits: Limits
    pillow: Settings
    seed: int
    side: int
    flips: bool
    crops: bool
    scales: tuple[int, int]


def load_pictures(path: Path, classes: int) -> Pictures:
    """Read the list of pictures of a job; TrainingError if it is none, or a label is no class."""
    try:
        rows = json.loads(path.read_bytes())
        sources = [row["source"] for row in rows]
        labels = [row["label"] for row in rows]
        hashes = [row.get("sha256") for row in rows]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read ({reason(error)})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} has to be a list of objects with 'source' and 'label'") from error
    if not all(isinstance(label, int) and not isinstance(label, bool) for label in labels):
        raise TrainingError(f"{path}: labels have to be whole numbers")
    if not all(isinstance(source, str) for source in sources):
        raise TrainingError(f"{path}: sources have to be text")
    # As Python's numbers: what is no int64 is no class either.
    check_labels(np.array(labels, object), classes, str(path))
    return Pictures(sources, np.array(labels, np.int64), hashes)


def pictures_sha256(path: Path) -> str:
    """Give a hash of what is trained on, wherever it lies: of contents, where the list has those, and labels."""
    found = load_pictures(path, sys.maxsize)
    rows = zip(found.sources, found.hashes, found.labels.tolist(), strict=True)
    text = json.dumps([[source if content is None else content, label] for source, content, label in rows])
    return hashlib.sha256(text.encode()).hexdigest()


def check_pictures(job: SolverJob, data_shape: Shape, classes: int) -> None:
    """Raise TrainingError for pictures that the network cannot be fed with."""
    assert job.pictures is not None
    load_pictures(Path(job.pictures), classes)
    if len(data_shape) != 4 or data_shape[1] != 3 or data_shape[2] != data_shape[3]:
        raise TrainingError(
            f"{job.net}: the input 'data' is {format_shape(data_shape)}; pictures are n x 3 x side x side"
        )
    if data_shape[3] > job.scales[0]:
        raise TrainingError(
            f"{job.net}: it takes {data_shape[3]} pixels a side, more than the {job.scales[0]} of scales"
        )


def default_workers() -> int:
    """Say how many processes make pictures ready."""
    return min(processes.available_cores(), _MOST_WORKERS)


class PictureFeed:
    """Batches of pictures, one after the other, made ready ahead by processes that take turns."""

    def __init__(self, job: SolverJob, data_shape: Shape, classes: int, first: int) -> None:
        assert job.pictures is not None
        self._labels = load_pictures(Path(job.pictures), classes).labels
        self._order = order_of(job, len(self._labels))
        self._shape = data_shape
        self._next = self._asked = first
        self._last = job.iterations * job.iter_size
        set_up = PrefetchSetUp(
            job.pictures, job.jpeg, job.decode, job.limits, pillow_settings(), job.seed, data_shape[3], job.flips,
            job.crops, job.scales,
        )  # fmt: skip
        count = job.prefetch_workers or default_workers()
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._workers.append(_Worker(set_up))
            for _ in range(count * _AHEAD):
                self._ask()
        except BaseException:
            self.close()
            raise

    def _ask(self) -> None:
        if self._asked < self._last:
            number, self._asked = self._asked, self._asked + 1
            self._worker(number).ask(self._order.draw(number), self._order.rows(number))

    def _worker(self, number: int) -> _Worker:
        return self._workers[number % len(self._workers)]

    def batch(self, number: int) -> Batch:
        """Give the batch that follows the last one given."""
        assert number == self._next
        self._next += 1
        data = self._worker(number).take(self._shape)
        self._ask()
        return Batch(data, self._labels[self._order.rows(number)])

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """A process that makes batches ready in the order in which it is asked for them."""

    def __init__(self, set_up: PrefetchSetUp) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                processes.command("training.prefetch_worker", str(theirs.fileno())),
                env=processes.environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(ours.detach())
        with self._told():
            self._connection.send(set_up)

    def ask(self, draw: tuple[int, int], rows: npt.NDArray[np.int64]) -> None:
        with self._told():
            self._connection.send((draw, rows))

    def take(self, shape: Shape) -> npt.NDArray[np.float32]:
        """Wait for a batch."""
        with self._told():
            error: TrainingError | None = self._connection.recv()
            if error is not None:
                raise error
            data = np.empty(shape, np.float32)
            self._connection.recv_bytes_into(data.reshape(-1).view(np.uint8).data)
            return data

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Make a TrainingError of the process's end."""
        try:
            yield
        except (EOFError, ConnectionError):
            status = self._process.wait()
            raise TrainingError(f"a process that makes pictures ready ended with status {status}; resume") from None

    def close(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait()
