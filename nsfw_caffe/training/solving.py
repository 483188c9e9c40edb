"""Training with Caffe's solver in a child process, whose death is an error here and not the end of this process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

from nsfw_caffe import errors
from nsfw_caffe.engines.caffe import last_words
from nsfw_caffe.errors import NsfwCaffeError, SolverLost, TrainingError
from nsfw_caffe.model.layer import Shape, format_shape
from nsfw_caffe.system import processes
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.system.processes import was_killed
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.feeding import check_arrays
from nsfw_caffe.training.network import check_weights, read_training_network
from nsfw_caffe.training.prefetch import check_pictures, pictures_sha256
from nsfw_caffe.training.snapshots import Snapshot, clear, kept_weights, newest
from nsfw_caffe.training.solver_job import SolverJob as SolverJob
from nsfw_caffe.training.solver_job import check_parameters

_ELSEWHERE = (
    "folder", "snapshot_every", "snapshot_seconds", "test_every", "threads", "limits", "prefetch_workers", "share"
)  # fmt: skip
"""Fields of a job that another run of it may have otherwise."""

_PATHS = ("net", "folder", "weights", "arrays", "pictures")

_FILES = ("net", "weights")


@dataclass(frozen=True)
class Iteration:
    """What one update gave.

    Attributes
    ----------
    number : int
        From 1 on.
    loss : float
        Of its pictures, before the update.
    rate : float
        The learning rate.
    seconds : float
        How long it took.
    exchange : float
        How much of that solvers that train together took to average their gradients.
    """

    number: int
    loss: float
    rate: float
    seconds: float
    exchange: float = 0.0


@dataclass(frozen=True)
class SolverResult:
    """What a solver has made.

    Attributes
    ----------
    caffemodel : Path
        The weights after the last iteration.
    history : tuple of Iteration
        All iterations, those before a resume too.
    kept : dict of int to Path
        The weights after every `test_every` iterations.
    peak_memory : int or None
        The most bytes of memory that the solver's process had; None where all had been done already.
    """

    caffemodel: Path
    history: tuple[Iteration, ...]
    kept: dict[int, Path]
    peak_memory: int | None = field(default=None, compare=False)


Progress: TypeAlias = Callable[[Iteration], object]


def solve(job: SolverJob, *, resume: bool = False, progress: Progress | None = None) -> SolverResult:
    """Train a network.

    Parameters
    ----------
    job : SolverJob
        What to train on what.
    resume : bool, default False
        Go on from the newest snapshot in the job's folder, if there is one, with the bits of an unbroken run.
    progress : callable, optional
        Called with each Iteration.

    Returns
    -------
    SolverResult
        The weights and what each iteration gave.

    Raises
    ------
    TrainingError
        If the job cannot be done; the last snapshot stays.
    EngineUnavailable
        If pycaffe is not installed.

    Examples
    --------
    >>> job = SolverJob("train.prototxt", "out", arrays="features", base_rate=0.01)
    >>> solve(job).history[-1].loss  # doctest: +SKIP
    0.0731
    """
    check_job(job)
    identity = identity_of(job)
    snapshot = check_folder(Path(job.folder), identity, resume=resume)
    peak_memory = None
    if snapshot is None or snapshot.iteration < job.iterations:
        peak_memory = run_child(job, identity, progress)
    return result_of(job, peak_memory)


def check_job(job: SolverJob) -> None:
    """Raise TrainingError for what Caffe would abort on, or corrupt its memory with."""
    check_parameters(job)
    folder = None if job.arrays is None else Path(job.arrays)
    weighted = folder is not None and (folder / "weights.npy").exists()
    network = read_training_network(Path(job.net), job.batch_size, weighted=weighted)
    if job.weights is not None:
        check_weights(network, Path(job.weights))
    _check_weight_input(job, network.inputs, network.classes, weighted=weighted)
    if folder is not None:
        check_arrays(folder, network.inputs["data"], network.classes)
    else:
        check_pictures(job, network.inputs["data"], network.classes)


def _check_weight_input(job: SolverJob, inputs: dict[str, Shape], classes: int, *, weighted: bool) -> None:
    given = weighted + (job.class_weights is not None)
    if given != ("weight" in inputs):
        raise TrainingError(
            f"{job.net}: an input 'weight' is needed for class_weights or weights.npy, and needs one of them"
        )
    if job.class_weights is None:
        return
    shape = inputs["weight"]
    if len(job.class_weights) != classes or shape != (1, 1, classes, classes):
        raise TrainingError(
            f"{job.net}: {len(job.class_weights)} class_weights for {classes} classes, and an input 'weight' of "
            f"{format_shape(shape)}; it has to be 1x1x{classes}x{classes}"
        )


def identity_of(job: SolverJob) -> dict[str, Any]:
    """Return what has to be the same for a run to go on: parameters, and the files' content."""
    fields: dict[str, Any] = json.loads(job.to_json())
    for name in _ELSEWHERE:
        del fields[name]
    try:
        for name in _FILES:
            if fields[name] is not None:
                fields[name] = file_sha256(Path(fields[name]))
        if job.pictures is not None:
            fields["pictures"] = pictures_sha256(Path(job.pictures))
        if job.arrays is not None:
            fields["arrays"] = {path.name: file_sha256(path) for path in sorted(Path(job.arrays).glob("*.npy"))}
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be read ({reason(error)})") from error
    return fields


def check_folder(folder: Path, identity: dict[str, Any], *, resume: bool) -> Snapshot | None:
    """Return the snapshot to go on from, if any."""
    snapshot = newest(folder)
    if snapshot is None:
        return None
    if not resume:
        raise TrainingError(
            f"{folder} has a snapshot of iteration {snapshot.iteration}: resume it, or take another folder"
        )
    different = [name for name, value in identity.items() if snapshot.job.get(name) != value]
    if different:
        was = ", ".join(
            f"{name}: {_short(snapshot.job.get(name))} there, {_short(identity[name])} here" for name in different
        )
        raise TrainingError(f"{snapshot.folder} is of another job ({was}); resume that one, or take another folder")
    snapshot.check()
    return snapshot


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_short(item)}" for name, item in value.items()) + "}"
    text = str(value)
    return text[:8] if isinstance(value, str) and len(text) == 64 else text


def run_child(
    job: SolverJob,
    identity: dict[str, Any],
    progress: Progress | None,
    *,
    program: str = "training.solver_worker",
    group: object = None,
    descriptors: Sequence[int] = (),
) -> int | None:
    """Run the worker to its end, and give its peak memory; TrainingError with what it says, or Caffe's last line.

    `program` is another one for a solver that trains together with others, `group` what it needs to find them.
    """
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            processes.command(program, str(os.getpid())),
            env=processes.environment(GLOG_minloglevel="2", GLOG_logtostderr="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            pass_fds=descriptors,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin:
                message = {"job": dataclasses.asdict(_absolute(job)), "identity": identity, "group": group}
                json.dump(message, child.stdin)
            said = _listen(child.stdout, progress)
        except BaseException:
            child.kill()
            raise
        finally:
            child.stdout.close()
            status = child.wait()
            if status != 0:
                clear(Path(job.folder))
        if isinstance(said, NsfwCaffeError):
            raise said
        if status != 0:
            kind = SolverLost if was_killed(status) else TrainingError
            raise kind(_death(job, status, log))
        return said


def _absolute(job: SolverJob) -> SolverJob:
    """Return the job with paths that a process in another folder can use."""
    paths = [getattr(job, name) for name in _PATHS]
    absolute: Any = {
        name: str(Path(path).absolute()) for name, path in zip(_PATHS, paths, strict=True) if path is not None
    }
    return dataclasses.replace(job, **absolute)


def _listen(output: IO[str], progress: Progress | None) -> NsfwCaffeError | int | None:
    """Pass on what the child says of iterations, and return what it says is wrong, or at the end its peak memory."""
    for text in output:
        try:
            line = json.loads(text)
        except ValueError:  # half a line is the last that a dying process says
            continue
        if "error" in line:
            kinds = (errors.EngineUnavailable, errors.SolverLost)
            kind = next((kind for kind in kinds if kind.__name__ == line["type"]), TrainingError)
            return kind(line["error"])
        if "peak_memory" in line:
            return int(line["peak_memory"])
        if progress is not None:
            progress(Iteration(**line))
    return None


def _death(job: SolverJob, status: int, log: IO[bytes]) -> str:
    log.seek(0)
    words = last_words(log.read().decode(errors="replace"))
    if was_killed(status):
        reason_ = "was killed (out of memory? a smaller batch size needs less: --batch-size, batch_size)"
    else:
        reason_ = f"ended with status {status}" + (f": {words}" if words else "")
    kept = newest(Path(job.folder))
    last = "" if kept is None else f"; the snapshot of iteration {kept.iteration} stays"
    return f"Caffe's solver {reason_}{last}"


def result_of(job: SolverJob, peak_memory: int | None = None) -> SolverResult:
    """Give what a job's folder holds when it is done."""
    snapshot = newest(Path(job.folder))
    assert snapshot is not None
    history = tuple(Iteration(**line) for line in snapshot.history())
    return SolverResult(snapshot.caffemodel, history, kept_weights(Path(job.folder)), peak_memory)
