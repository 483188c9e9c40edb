"""Training on pictures, of more than a last layer that reads features: Caffe's solver over the whole network."""

from __future__ import annotations

import dataclasses
import json
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.preprocessing.resize import RESIZE
from nsfw_caffe.system import processes
from nsfw_caffe.system.files import write_file
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.candidates import Candidates, Judge
from nsfw_caffe.training.cost import PREFETCHING, TrainingCost, fitting_batch, solver_memory
from nsfw_caffe.training.data import Dataset, only
from nsfw_caffe.training.last_layer import class_weights
from nsfw_caffe.training.means import Means
from nsfw_caffe.training.network import read_training_network
from nsfw_caffe.training.options import TrainingOptions
from nsfw_caffe.training.prefetch import default_workers
from nsfw_caffe.training.result import FineTuning, Scores
from nsfw_caffe.training.snapshots import newest
from nsfw_caffe.training.solving import Iteration, SolverJob, SolverResult, solve
from nsfw_caffe.training.training_form import training_form

BATCH_SIZE = 16
BASE_RATE = 1e-4
MOMENTUM = 0.9
DECAY = 5e-4
EPOCHS = 5
"""What does no harm: a usual rate of 1e-3 ruins what the network knows, on a few hundred pictures."""

_ALONE_RATE = 1e-3
"""Of a last layer that learns alone, which has nothing to ruin."""

_FALL = (2, 3)
"""The rate falls to a tenth after this part of the iterations."""

_CHECKS = 10

_SNAPSHOT_SECONDS = 120.0
"""What a kill may cost, whatever an iteration takes."""

_TRIED = 3
"""Updates that are made for a trial; the first is slower, and not counted."""

Costs = Callable[[TrainingCost], object]
Solving = Callable[[Iteration, int], object]


@dataclass(frozen=True)
class Base:
    """What training begins with: a network for scoring, without blobs, and the file of its weights."""

    network: NetParameter
    caffemodel: Path


@dataclass(frozen=True, eq=False)
class Tuned:
    """What came of it: weights, and the probabilities of the pictures held out, (n, classes), before and after."""

    caffemodel: Path
    before: Scores
    after: Scores
    found: FineTuning
    job: SolverJob


@dataclass(frozen=True)
class _Plan:
    """What is decided once, by the machine that training begins on, and kept: the bits depend on it."""

    batch_size: int
    iter_size: int
    threads: int
    memory: int | None = None
    seconds: float | None = None
    """Of an update; None where nobody has asked."""
    check_seconds: float = 0.0


def fine_tune(
    base: Base,
    dataset: Dataset,
    reading: Means,
    folder: Path,
    options: TrainingOptions,
    scored: int,
    *,
    resume: bool = False,
    solving: Solving | None = None,
    costs: Costs | None = None,
) -> Tuned:
    """Train the layers that `options.layers` names on the pictures that are not held out, and choose the best weights.

    Weights of about ten iterations are scored on the pictures held out; the best are the model, and those that training
    begins with are among them, so that it never gets worse. `scored` is the class whose area under the ROC curve
    decides. That choice makes this area a little optimistic.
    """
    job, plan = _prepare(base, dataset, reading, folder, options)
    judge = Judge(text_format.MessageToString(base.network), only(dataset, held=True), scored, reading)
    candidates = Candidates(judge, base.caffemodel, Path(job.folder), folder / "held-out")
    start = time.perf_counter()
    before = candidates.check_start()
    if costs is not None:
        plan = _tried(job, plan, time.perf_counter() - start, folder)
        costs(_cost(job, plan, len(dataset.pictures) - len(before), options))

    def progress(iteration: Iteration) -> None:
        if solving is not None:
            solving(iteration, job.iterations)
        if reading.in_between:
            candidates.look(before=iteration.number)

    result = reading.solve(job, resume=resume, progress=progress)
    candidates.look()
    caffemodel, after = candidates.chosen()
    return Tuned(caffemodel, before, after, _found(result, candidates, job, options), job)


def _found(result: SolverResult, candidates: Candidates, job: SolverJob, options: TrainingOptions) -> FineTuning:
    checked = tuple(sorted(candidates.checked.items()))
    return FineTuning(options.layers, result.history, checked, candidates.best, job.batch_size, job.iter_size)


def _prepare(
    base: Base, dataset: Dataset, reading: Means, folder: Path, options: TrainingOptions
) -> tuple[SolverJob, _Plan]:
    """Write what the solver is given."""
    balanced = options.class_weights == "balanced"
    alone = options.layers == "last"  # which learns from pictures as they are scored
    trained = only(dataset, held=False)
    places = reading.places(trained, folder / "unpacked")
    rows = [
        {"source": place, "label": picture.label, "sha256": picture.sha256}
        for place, picture in zip(places, trained.pictures, strict=True)
    ]
    net, pictures = folder / "train.prototxt", folder / "pictures.json"
    form = training_form(base.network, learning=options.layers, weighted=balanced)
    _write(net, text_format.MessageToString(form))
    _write(pictures, json.dumps(rows))
    plan = _plan(net, len(rows), reading, folder, options)
    recipe = recipe_of(options, len(rows), (plan.batch_size, plan.iter_size))
    job = dataclasses.replace(
        recipe,
        net=str(net),
        folder=str(folder / "solver"),
        weights=str(base.caffemodel),
        pictures=str(pictures),
        snapshot_seconds=_SNAPSHOT_SECONDS,
        test_every=-(-recipe.iterations // _CHECKS),
        threads=plan.threads,
        class_weights=class_weights(trained.labels, len(dataset.classes)) if balanced else None,
        base_rate=options.base_rate or (_ALONE_RATE if alone else BASE_RATE),
        flips=not alone,
        crops=not alone,
        scales=(RESIZE[0], RESIZE[0]) if alone else options.scales,
        jpeg=reading.options.jpeg,
        decode=reading.options.decode,
        limits=reading.options.limits,
    )
    return job, plan


def recipe_of(options: TrainingOptions, pictures: int, parts: tuple[int, int]) -> SolverJob:
    """Say how Caffe's solver trains on so many pictures, in batches of a size and so many an update; not on which."""
    updates = options.iterations or -(-(options.epochs or EPOCHS) * pictures // (parts[0] * parts[1]))
    return SolverJob(
        "",
        "",
        base_rate=options.base_rate or BASE_RATE,
        policy="step",
        step_size=max(1, -(-_FALL[0] * updates // _FALL[1])),
        momentum=MOMENTUM,
        decay=DECAY if options.decay is None else options.decay,
        iterations=updates,
        batch_size=parts[0],
        iter_size=parts[1],
        seed=options.seed,
    )


def _plan(net: Path, pictures: int, reading: Means, folder: Path, options: TrainingOptions) -> _Plan:
    """Decide how a batch is cut, by the memory that there is; what was decided before a stop stays."""
    path = folder / "plan.json"
    if path.exists():
        return _Plan(**json.loads(path.read_text()))
    one, two = (solver_memory(read_training_network(net, size)) for size in (1, 2))
    others = default_workers() * PREFETCHING
    fitting = fitting_batch(one + others, two + others, processes.available_memory())
    parts = reading.cut(min(options.batch_size or BATCH_SIZE, pictures), fitting)
    # One core is for the pictures, and threads of OpenBLAS that wait for it spin.
    plan = _Plan(*parts, reading.options.threads or max(1, processes.available_cores() - 1))
    _write(path, json.dumps(dataclasses.asdict(plan)))
    return plan


def _tried(job: SolverJob, plan: _Plan, check_seconds: float, folder: Path) -> _Plan:
    """Find out what an update takes, with a few that are thrown away; once, however often training goes on."""
    if plan.seconds is not None:
        return plan
    place = folder / "trial"
    shutil.rmtree(place, ignore_errors=True)
    try:
        trial = dataclasses.replace(
            job, folder=str(place), iterations=_TRIED, iter_size=1, test_every=0, snapshot_seconds=0.0
        )
        found = solve(trial)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    seconds = statistics.median(update.seconds for update in found.history[1:]) * job.iter_size
    memory = (found.peak_memory or 0) + default_workers() * PREFETCHING
    plan = dataclasses.replace(plan, memory=memory, seconds=seconds, check_seconds=check_seconds)
    _write(folder / "plan.json", json.dumps(dataclasses.asdict(plan)))
    return plan


def _cost(job: SolverJob, plan: _Plan, pictures: int, options: TrainingOptions) -> TrainingCost:
    assert plan.seconds is not None
    assert plan.memory is not None
    snapshot = newest(Path(job.folder))
    left = job.iterations - (0 if snapshot is None else snapshot.iteration)
    checks = -(-left // job.test_every)
    seconds = left * plan.seconds + checks * plan.check_seconds
    return TrainingCost(options.layers, pictures, left, job.batch_size, job.iter_size, plan.memory, seconds)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())
    except OSError as error:
        raise TrainingError(f"{path} cannot be written ({reason(error)}); --resume goes on") from error
