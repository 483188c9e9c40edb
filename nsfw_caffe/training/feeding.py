"""What the solver is fed with: labelled rows, in an order that follows from the seed, so that no state is saved."""

from __future__ import annotations

import functools
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.layer import Shape, format_shape
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.solver_job import Share, SolverJob

Array: TypeAlias = npt.NDArray[Any]

_Rows = TypeVar("_Rows", int, npt.NDArray[np.int64])

_CHUNK = 1 << 24
"""Bytes of the data that are looked at at once."""


@dataclass(frozen=True)
class Batch:
    """What one forward pass takes."""

    data: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32] | None = None


class Feed(Protocol):
    """Gives batches by number, from 0 on; one after the other is fast."""

    def batch(self, number: int) -> Batch:
        """Give a batch."""

    def close(self) -> None:
        """Let go of files and processes."""


class RowOrder(Protocol):
    """Says which rows a batch has."""

    def rows(self, number: int) -> npt.NDArray[np.int64]:
        """Return the rows of a batch."""

    def draw(self, number: int) -> tuple[int, int]:
        """Return which random numbers a batch's pictures take: of which update or batch, and of how many past those."""


def order_of(job: SolverJob, rows: int) -> RowOrder:
    """Return the order of a job's rows."""
    if job.share is not None:
        return ShardedOrder(job, job.share, rows)
    return Order(rows, job.batch_size, job.seed)


class Order:
    """Every row once an epoch, shuffled anew each time, by the seed alone."""

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self._rows, self._batch_size = rows, batch_size
        # A batch is within two epochs, or takes in whole ones.
        self._epoch = functools.lru_cache(2)(lambda epoch: np.random.default_rng((seed, 0, epoch)).permutation(rows))

    def rows(self, number: int) -> npt.NDArray[np.int64]:
        """Return the rows of a batch."""
        start, stop = number * self._batch_size, (number + 1) * self._batch_size
        found = []
        while start < stop:
            epoch, offset = divmod(start, self._rows)
            part = self._epoch(epoch)[offset : offset + stop - start]
            found.append(part)
            start += len(part)
        return np.concatenate(found)

    def draw(self, number: int) -> tuple[int, int]:
        """Give each batch random numbers of its own."""
        return number, 0


class ShardedOrder:
    """A solver's part of the batches of several that train together, whose pictures it alone needs.

    A place in the batch is a lane: place p has the rows p, p + lanes, p + 2 lanes and so on, and no others, shuffled
    anew each time; those with one row less have one of theirs twice. A solver has a part of the lanes, so that its rows
    are its own for good, and the batches are the same however many solvers there are.
    """

    def __init__(self, job: SolverJob, share: Share, rows: int) -> None:
        self._batch_size, self._iter_size = job.batch_size, job.iter_size
        self._mine = job.batch_size * job.iter_size
        self._lanes = self._mine * share.ranks
        self._first = self._mine * share.rank
        self._length = -(-share.rows // self._lanes)
        if share.rows < self._lanes:
            raise TrainingError(f"a batch of {self._lanes} is more than the {share.rows} pictures there are")
        expected = np.count_nonzero(shard_of(np.arange(share.rows), self._lanes, share.ranks) == share.rank)
        if rows != expected:
            raise TrainingError(f"solver {share.rank} of {share.ranks} has {rows} pictures; it should have {expected}")
        self._epoch = functools.lru_cache(2)(lambda epoch: self._shuffled((job.seed, 0, epoch), share.rows))

    def _shuffled(self, seed: tuple[int, ...], rows: int) -> npt.NDArray[np.int64]:
        """Return an epoch's rows, by iteration and place, numbered as the solver has them."""
        generator = np.random.default_rng(seed)
        table = np.arange(self._length * self._lanes)
        if len(table) > rows:
            short = table[rows:] % self._lanes
            table[rows:] = generator.integers(0, self._length - 1, len(short)) * self._lanes + short
        shuffled = generator.permuted(table.reshape(self._length, self._lanes), axis=0)
        mine: npt.NDArray[np.int64] = shuffled[:, self._first : self._first + self._mine]
        return mine // self._lanes * self._mine + mine % self._lanes - self._first

    def rows(self, number: int) -> npt.NDArray[np.int64]:
        """Return the rows of a batch."""
        update, part = divmod(number, self._iter_size)
        epoch, line = divmod(update, self._length)
        mine: npt.NDArray[np.int64] = self._epoch(epoch)[line]
        return mine[part * self._batch_size : (part + 1) * self._batch_size]

    def draw(self, number: int) -> tuple[int, int]:
        """Give each picture the random numbers of its place in the whole batch."""
        update, part = divmod(number, self._iter_size)
        return update, self._first + part * self._batch_size


def shard_of(rows: _Rows, lanes: int, ranks: int) -> _Rows:
    """Return which solver has each row, of several whose batches together have so many places."""
    return rows % lanes // (lanes // ranks)


class ArrayFeed:
    """Rows of arrays in files, which are read when it is their turn."""

    def __init__(self, job: SolverJob) -> None:
        assert job.arrays is not None
        self._data, self._labels, self._weights = load_arrays(Path(job.arrays))
        self._order = order_of(job, len(self._labels))

    def batch(self, number: int) -> Batch:
        """Give a batch."""
        rows = self._order.rows(number)
        weights = None if self._weights is None else take(self._weights, rows)
        return Batch(take(self._data, rows), self._labels[rows], weights)

    def close(self) -> None:
        """Do nothing: maps go with the process."""


def take(array: Array, rows: npt.NDArray[np.int64]) -> Array:
    """Read rows of an array; of one in a mapped file, without mapping megabytes around each, as memory that is held."""
    if not isinstance(array, np.memmap):
        found: Array = array[rows]
        return found
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    bytes_ = found.reshape(len(rows), -1).view(np.uint8)
    path = Path(str(array.filename))
    with path.open("rb", buffering=0) as file:
        for row, place in zip(rows.tolist(), bytes_, strict=True):
            file.seek(array.offset + row * len(place))
            if file.readinto(place.data) < len(place):
                raise TrainingError(f"{path} is cut short")
    return found


def let_go(array: Array) -> None:
    """Unmap what has been read or written of an array in a mapped file; what was written, the system still writes."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def load_arrays(folder: Path) -> tuple[Array, Array, Array | None]:
    """Map data.npy and weights.npy, if there is one, and read labels.npy; TrainingError if they do not fit."""
    data, labels = _load(folder / "data.npy", "r"), _load(folder / "labels.npy", None)
    weights = _load(folder / "weights.npy", "r") if (folder / "weights.npy").exists() else None
    if data.dtype != np.float32 or data.ndim < 2:
        raise TrainingError(f"{folder}: data.npy is {data.dtype} {data.shape}; it has to be float32 (n, ...)")
    if labels.dtype.kind not in "iu" or labels.shape != data.shape[:1]:
        raise TrainingError(
            f"{folder}: labels.npy is {labels.dtype} {labels.shape}; it has to be whole numbers ({len(data)},)"
        )
    if weights is not None and (weights.dtype != np.float32 or weights.shape[:1] != labels.shape):
        raise TrainingError(f"{folder}: weights.npy is {weights.dtype} {weights.shape}; it has to be float32 (n, ...)")
    return data, labels, weights


def _load(path: Path, mode: Any) -> Array:  # noqa: ANN401 - a literal of NumPy's
    try:
        array: Array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read ({reason(error)})") from error
    return array


def check_arrays(folder: Path, data_shape: Shape, classes: int) -> None:
    """Raise TrainingError for arrays that the network cannot be fed with; a label that is no class corrupts memory."""
    data, labels, weights = load_arrays(folder)
    if data.shape[1:] != data_shape[1:]:
        wanted = format_shape(data_shape[1:])
        raise TrainingError(
            f"{folder}: a row of data.npy is {format_shape(data.shape[1:])}; the network takes {wanted}"
        )
    check_labels(labels, classes, str(folder / "labels.npy"))
    _check_finite(data, folder / "data.npy")
    if weights is not None:
        _check_finite(weights, folder / "weights.npy")


def check_labels(labels: Array, classes: int, where: str) -> None:
    """Raise TrainingError where there are no labels, or one is not in 0 to classes - 1."""
    if not len(labels):
        raise TrainingError(f"{where} is empty")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise TrainingError(
            f"{where}: {len(wrong)} labels are not from 0 to {classes - 1}, the network's classes; "
            f"the first is {labels[wrong[0]]}, in row {wrong[0]}"
        )


def _check_finite(array: Array, path: Path) -> None:
    rows = max(1, _CHUNK * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), rows):
        finite = np.isfinite(array[start : start + rows].reshape(len(array[start : start + rows]), -1)).all(axis=1)
        if not finite.all():
            raise TrainingError(f"{path}: row {start + int(np.argmin(finite))} has a number that is not finite")
        let_go(array)
