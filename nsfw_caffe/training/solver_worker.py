"""A process in which Caffe's solver trains a network, for a parent that reads a line of JSON for each iteration.

It is a program of its own because Caffe ends the process when it does not like something.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nsfw_caffe.engines.blas import loaded_blas, set_openblas_threads
from nsfw_caffe.engines.caffe import import_caffe
from nsfw_caffe.errors import NsfwCaffeError, TrainingError
from nsfw_caffe.system import locks
from nsfw_caffe.system.processes import die_with_parent, leave_no_core, own_memory
from nsfw_caffe.training.averaging import CHECK_EVERY, Allreduce, Averaging
from nsfw_caffe.training.feeding import ArrayFeed, Batch, Feed, check_labels
from nsfw_caffe.training.network import TrainedNetwork, read_training_network
from nsfw_caffe.training.prefetch import PictureFeed
from nsfw_caffe.training.snapshots import (
    DIVERGED,
    KEPT,
    Content,
    Snapshot,
    newest,
    write_snapshot,
    write_text,
    write_weights,
)
from nsfw_caffe.training.solver_job import STATE_FACTOR, SolverJob, rate, solver_prototxt

_FLOAT = 4

_LOCK_SECONDS = 5
"""How long a solver that has been left alone may take to go."""

_FLUSH_SECONDS = 0.05

_SNAPSHOT_SHARE = 20
"""How many times as long as a snapshot takes lies between two, at the least, where they are due by the clock."""


def main(parent: str, join: Callable[[Any], Allreduce] | None = None) -> None:
    """Train as the job on standard input says; what is wrong is the last line of standard output.

    `join` makes of the message's `group` what averages the gradients of several solvers.
    """
    # Ctrl-C reaches the whole process group: the parent ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_no_core()
    if not die_with_parent(int(parent)):
        return
    message: dict[str, Any] = json.load(sys.stdin)
    try:
        with _locked(Path(message["job"]["folder"])):
            allreduce = None if join is None else join(message["group"])
            _train(SolverJob.from_json(json.dumps(message["job"])), message["identity"], allreduce)
    except BrokenPipeError:  # nobody listens any more
        os._exit(1)
    except (NsfwCaffeError, MemoryError, OSError) as error:
        text = "there is not enough memory; a smaller batch size needs less: --batch-size, batch_size"
        _say({"error": text if isinstance(error, MemoryError) else str(error), "type": type(error).__name__}, 0)
        sys.exit(1)


def _train(job: SolverJob, identity: dict[str, Any], allreduce: Allreduce | None) -> None:
    solver = _Solver(job, identity, allreduce)
    try:
        solver.run()
    finally:
        solver.close()


class _Solver:
    def __init__(self, job: SolverJob, identity: dict[str, Any], allreduce: Allreduce | None) -> None:
        self._job, self._identity = job, identity
        self._folder = Path(job.folder)
        weighted = job.arrays is not None and (Path(job.arrays) / "weights.npy").exists()
        self._network = read_training_network(Path(job.net), job.batch_size, weighted=weighted)
        self._snapshot = newest(self._folder)
        self._caffe = import_caffe()
        self._threads = self._set_threads(self._snapshot)
        self._history = [] if self._snapshot is None else [json.dumps(line) for line in self._snapshot.history()]
        self._solver = self._load()
        self._feed = _open_feed(job, self._network, self._solver.iter * job.iter_size)
        self._blobs = {name: self._solver.net.blobs[name].data for name in self._network.inputs}
        self._losses = [(self._solver.net.blobs[top].data, weight) for top, weight in self._network.losses.items()]
        self._loss = 0.0
        self._part = 0
        self._snapshot_due = self._after(0.0)
        if job.iter_size > 1:
            self._solver.net.before_forward(self._before_layer)
        self._averaging: Averaging | None = None
        if allreduce is not None:
            params = self._solver.net.params
            self._averaging = Averaging([params[name][number] for name, number in self._network.learning], allreduce)
            self._solver.add_callback(lambda: None, self._average)

    def _set_threads(self, snapshot: Snapshot | None) -> int | None:
        blas = loaded_blas()
        if blas is None or blas.name != "openblas":
            return None
        wanted = self._job.threads or (snapshot and snapshot.threads)
        if wanted:
            set_openblas_threads(wanted)
        count: int = ctypes.CDLL(str(blas.path)).openblas_get_num_threads()
        return count

    def _load(self) -> Any:  # noqa: ANN401 - pycaffe's
        self._caffe.set_mode_cpu()
        self._caffe.set_random_seed(self._job.seed)
        for name, text in (("net", self._network.text), ("solver", solver_prototxt(self._job, "net.prototxt"))):
            write_text(self._folder / f"{name}.prototxt", text)
        with contextlib.chdir(self._folder):
            solver = self._caffe.get_solver("solver.prototxt")
        if self._snapshot is not None:
            with contextlib.chdir(self._snapshot.folder):
                solver.restore(self._snapshot.state.name)
        elif self._job.weights is not None:
            solver.net.copy_from(self._job.weights)
        return solver

    def run(self) -> None:
        """Take the steps that are left."""
        job = self._job
        if job.class_weights is not None:
            self._blobs["weight"].reshape(len(job.class_weights), -1)[...] = np.diag(job.class_weights)
        for number in range(self._solver.iter, job.iterations):
            start = time.perf_counter()
            self._step(number)
            seconds = time.perf_counter() - start
            if not math.isfinite(self._loss):
                raise TrainingError(self._advice(number + 1))
            line = {"number": number + 1, "loss": self._loss, "rate": rate(job, number), "seconds": round(seconds, 6)}
            if self._averaging is not None:
                line["exchange"] = round(self._averaging.seconds, 6)
            self._history.append(json.dumps(line))
            _say(line)
            self._keep(number + 1)
        _say({"peak_memory": own_memory("VmHWM")}, 0)

    def _step(self, number: int) -> None:
        # Dropout's random numbers are in no snapshot; solvers that train together have their own.
        rank, ranks, _ = self._job.share or (0, 1, 0)
        self._caffe.set_random_seed(self._job.seed + number * ranks + rank)
        self._loss = 0.0
        self._part = number * self._job.iter_size
        if self._job.iter_size == 1:
            self._fill()
        self._solver.step(1)
        if self._averaging is None:
            self._add_loss()

    def _average(self) -> None:
        """Do what Caffe calls between the gradients and the update."""
        assert self._averaging is not None
        self._add_loss()
        number = self._solver.iter + 1
        check = number % CHECK_EVERY == 0 or number == self._job.iterations
        self._loss = self._averaging.average(self._loss, check=check)

    def _before_layer(self, layer: int) -> None:
        """Give each forward pass of an iteration its own batch."""
        if layer == 0:
            if self._part % self._job.iter_size:
                self._add_loss()
            self._fill()

    def _fill(self) -> None:
        batch: Batch = self._feed.batch(self._part)
        self._part += 1
        check_labels(batch.labels, self._network.classes, "a batch")
        if batch.data.shape != self._blobs["data"].shape:  # NumPy would repeat what is too little
            raise TrainingError(f"a batch is {batch.data.shape}: the data has changed since it was checked")
        self._blobs["data"][...] = batch.data
        self._blobs["label"].reshape(-1)[...] = batch.labels
        if batch.weights is not None:
            self._blobs["weight"][...] = batch.weights

    def _add_loss(self) -> None:
        self._loss += sum(float(loss) * weight for loss, weight in self._losses) / self._job.iter_size

    def _keep(self, iteration: int) -> None:
        """Write what is due after an iteration."""
        job = self._job
        size = _FLOAT * self._network.values
        last = iteration == job.iterations
        if last:
            self._check_weights(iteration)
        if job.test_every and (last or iteration % job.test_every == 0):
            write_weights(self._folder / KEPT / f"iteration_{iteration}.caffemodel", size, self._solver.net.save)
        due = job.snapshot_every and iteration % job.snapshot_every == 0
        if last or due or time.monotonic() >= self._snapshot_due:
            start = time.monotonic()
            content = Content(iteration, self._identity, self._threads, "".join(f"{line}\n" for line in self._history))
            sizes = (size, STATE_FACTOR[job.solver] * _FLOAT * self._learnable())
            write_snapshot(self._folder, content, sizes, self._solver.snapshot)
            self._snapshot_due = self._after(time.monotonic() - start)

    def _after(self, taken: float) -> float:
        """Say when a snapshot is due after one that has taken so many seconds: it must not be all that is done."""
        seconds = self._job.snapshot_seconds
        return time.monotonic() + max(seconds, _SNAPSHOT_SHARE * taken) if seconds else math.inf

    def _learnable(self) -> int:
        return sum(blob.count for blobs in self._solver.net.params.values() for blob in blobs)

    def _check_weights(self, iteration: int) -> None:
        for blobs in self._solver.net.params.values():
            if not all(np.isfinite(blob.data).all() for blob in blobs):
                raise TrainingError(self._advice(iteration))

    def _advice(self, iteration: int) -> str:
        with contextlib.suppress(OSError):
            (self._folder / DIVERGED).touch()
        kept = newest(self._folder)
        last = "" if kept is None else f"; the snapshot of iteration {kept.iteration} stays"
        return (
            f"the loss is no longer finite in iteration {iteration}: the learning rate is too high for this network "
            f"and data; start anew with a tenth of it, base_rate {self._job.base_rate / 10:g}{last}"
        )

    def close(self) -> None:
        """Let go of what feeds the solver."""
        self._feed.close()


def _open_feed(job: SolverJob, network: TrainedNetwork, first: int) -> Feed:
    """Open what gives batches, from number `first` on."""
    if job.arrays is not None:
        return ArrayFeed(job)
    return PictureFeed(job, network.inputs["data"], network.classes, first)


_flushed = 0.0


def _say(line: dict[str, Any], interval: float = _FLUSH_SECONDS) -> None:
    """Tell the parent, at once or soon."""
    global _flushed
    sys.stdout.write(json.dumps(line) + "\n")
    if time.monotonic() - _flushed >= interval:
        sys.stdout.flush()
        _flushed = time.monotonic()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which the system lets go of however the process ends."""
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locks.locked(folder / ".lock", _LOCK_SECONDS))
        except BlockingIOError:
            raise TrainingError(f"another training is at work in {folder}: wait for it, or stop it") from None
        except OSError as error:
            raise TrainingError(f"{folder} cannot be written ({error.strerror})") from error
        yield


if __name__ == "__main__":
    main(sys.argv[1])
