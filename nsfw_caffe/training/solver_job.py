"""What a solver is to do: the parameters of Caffe's SolverParameter, and what is trained on what.

Caffe aborts on nearly all that is wrong with them, and computes NaN with the rest, so each is checked here.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.options import Decode, Jpeg
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits

SolverType: TypeAlias = Literal["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]

Policy: TypeAlias = Literal["fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid"]

_WITHOUT_MOMENTUM = ("AdaGrad", "RMSProp")
"""AdaGradSolver and RMSPropSolver: constructor_sanity_check."""

_MOST = 2**31 - 1

STATE_FACTOR: dict[SolverType, int] = {
    "SGD": 1, "Nesterov": 1, "AdaGrad": 1, "RMSProp": 1, "AdaDelta": 2, "Adam": 2
}  # fmt: skip
"""How many values of history a solver keeps for each that it learns: AdaDeltaPreSolve, AdamPreSolve."""


class Share(NamedTuple):
    """Which of the solvers that train together one is, and what all of them have."""

    rank: int
    ranks: int
    rows: int
    """Of all together, of which row r is the solver's whose place in the batch is r modulo the batch of all."""


@dataclass(frozen=True)
class SolverJob:
    """One run of a solver.

    Attributes
    ----------
    net : str
        Path of a prototxt with a loss and Input layers `data` and `label`; `weight` too where there are class weights
        or a file of weights. The number of pictures in it is replaced by `batch_size`.
    folder : str
        Where the snapshots are; made if need be.
    weights : str, optional
        Path of a caffemodel to start from; layers match by name.
    arrays : str, optional
        Folder with data.npy, float32 (n, ...), and labels.npy, int64 (n,); and where the network has an Input `weight`,
        weights.npy, float32 (n, ...), or `class_weights`.
    pictures : str, optional
        Path of a JSON file, instead of `arrays`: a list of objects with `source` (as scans name them), `label`, and
        `sha256` where the content is to be checked.
    solver : str
        Caffe's type of solver.
    base_rate, policy, gamma, power, step_size, step_values
        The learning rate and how it falls, as in Caffe's `lr_policy`.
    momentum, momentum2, rms_decay, delta, decay, clip_gradients
        As in Caffe; `decay` is the weight decay (L2), `clip_gradients` 0 is none.
    iterations, batch_size, iter_size
        Updates; pictures at once; how many such batches one update is the mean of.
    snapshot_every, test_every
        Iterations between snapshots, and between the weights that are kept for a look at them; 0 is at the end alone.
    snapshot_seconds : float
        Seconds after which there is a snapshot in any case; 0 is never.
    seed : int
        Of order, augmentation, fillers and dropout.
    threads : int, optional
        Of OpenBLAS; by default its own choice, or what the snapshot was made with.
    class_weights : tuple of float, optional
        What each class's loss is multiplied by: fills the Input `weight`, (1, 1, classes, classes), with a diagonal
        matrix, as InfogainLoss takes it.
    flips, crops : bool
        Whether pictures are mirrored half of the time, and cut out at random rather than at the centre.
    scales : tuple of int
        The least and the greatest side that pictures are resized to before the crop, in pixels.
    jpeg, decode, limits
        How pictures are decoded, and what they may ask for, as in `ScoringOptions`.
    prefetch_workers : int, optional
        Processes that prepare pictures; by default one for each core, two at the most.
    share : Share, optional
        Of a solver that trains together with others: `arrays` or `pictures` has its rows alone, in order, and an update
        is the mean of all solvers'.
    """

    net: str
    folder: str
    weights: str | None = None
    arrays: str | None = None
    pictures: str | None = None
    solver: SolverType = "SGD"
    base_rate: float = 1e-4
    policy: Policy = "fixed"
    gamma: float = 0.1
    power: float = 1.0
    step_size: int = 0
    step_values: tuple[int, ...] = ()
    momentum: float = 0.9
    momentum2: float = 0.999
    rms_decay: float = 0.99
    delta: float = 1e-8
    decay: float = 0.0005
    clip_gradients: float = 0.0
    iterations: int = 1000
    batch_size: int = 8
    iter_size: int = 1
    snapshot_every: int = 0
    test_every: int = 0
    snapshot_seconds: float = 0.0
    seed: int = 1
    threads: int | None = None
    class_weights: tuple[float, ...] | None = None
    flips: bool = True
    crops: bool = True
    scales: tuple[int, int] = (256, 256)
    jpeg: str = "pillow"
    decode: str = "exact"
    limits: Limits = DEFAULT_LIMITS
    prefetch_workers: int | None = None
    share: Share | None = None

    def to_json(self) -> str:
        """Write the job."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SolverJob:
        """Read what `to_json` has written."""
        fields: dict[str, Any] = json.loads(text)
        for name in ("step_values", "class_weights", "scales"):
            if fields[name] is not None:
                fields[name] = tuple(fields[name])
        if fields["share"] is not None:
            fields["share"] = Share(*fields["share"])
        return cls(**fields | {"limits": Limits(**fields["limits"])})


def check_parameters(job: SolverJob) -> None:
    """Raise TrainingError for parameters that Caffe aborts on, or computes nonsense with."""
    _check_names(job)
    _check_counts(job)
    _check_numbers(job)
    _check_policy(job)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise TrainingError(message)


def _check_names(job: SolverJob) -> None:
    for name, value, known in (
        ("solver", job.solver, get_args(SolverType)),
        ("policy", job.policy, get_args(Policy)),
        ("jpeg", job.jpeg, get_args(Jpeg)),
        ("decode", job.decode, get_args(Decode)),
    ):
        _require(value in known, f"{name} {value!r} is unknown; there are: {', '.join(known)}")
    _require((job.arrays is None) != (job.pictures is None), "a solver takes either arrays or pictures")


def _check_counts(job: SolverJob) -> None:
    for name, least in (
        ("iterations", 1), ("batch_size", 1), ("iter_size", 1), ("snapshot_every", 0), ("test_every", 0), ("seed", 0),
        ("threads", 1), ("prefetch_workers", 1),
    ):  # fmt: skip
        value = getattr(job, name)
        if value is None and name in ("threads", "prefetch_workers"):
            continue
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(
            whole and least <= value <= _MOST, f"{name} has to be a whole number of {least} or more, not {value!r}"
        )
    low, high = job.scales
    _require(256 <= low <= high <= 4096, f"scales have to be two sides from 256 to 4096, not {job.scales!r}")


def _check_numbers(job: SolverJob) -> None:
    ranges = {
        "base_rate": (0.0, math.inf), "decay": (0.0, math.inf), "clip_gradients": (0.0, math.inf),
        "momentum": (0.0, 1.0), "momentum2": (0.0, 1.0), "rms_decay": (0.0, 1.0), "delta": (0.0, math.inf),
        "gamma": (-math.inf, math.inf), "power": (-math.inf, math.inf), "snapshot_seconds": (0.0, math.inf),
    }  # fmt: skip
    for name, (least, below) in ranges.items():
        value = getattr(job, name)
        right = isinstance(value, (int, float)) and math.isfinite(value) and least <= value < below
        _require(right, f"{name} cannot be {value!r}")
    _require(job.base_rate > 0, "base_rate has to be above 0")
    if job.solver in _WITHOUT_MOMENTUM:
        _require(job.momentum == 0, f"{job.solver} takes no momentum: it has to be 0, not {job.momentum:g}")
    for weight in job.class_weights or ():
        _require(math.isfinite(weight) and weight > 0, f"a class's weight cannot be {weight!r}")


def _check_policy(job: SolverJob) -> None:
    if job.policy in ("step", "sigmoid"):
        _require(job.step_size >= 1, f"policy {job.policy!r} needs a step_size of 1 or more, not {job.step_size!r}")
    if job.policy == "multistep":
        values = job.step_values
        rising = list(values) == sorted(set(values)) and min(values, default=0) > 0
        _require(rising, f"policy 'multistep' needs step_values that rise, not {values!r}")
    if job.policy in ("step", "exp", "multistep"):
        _require(job.gamma > 0, f"policy {job.policy!r} needs a gamma above 0, not {job.gamma:g}")
    if job.policy in ("inv", "sigmoid"):
        _require(job.gamma >= 0, f"policy {job.policy!r} needs a gamma of 0 or more, not {job.gamma:g}")


def rate(job: SolverJob, iteration: int) -> float:
    """Return the learning rate of an iteration, from 0 on: SGDSolver::GetLearningRate."""
    base, gamma = job.base_rate, job.gamma
    if job.policy == "step":
        return base * gamma ** (iteration // job.step_size)
    if job.policy == "exp":
        return base * gamma**iteration
    if job.policy == "inv":
        return float(base * (1 + gamma * iteration) ** -job.power)
    if job.policy == "multistep":
        return base * gamma ** sum(iteration >= value for value in job.step_values)
    if job.policy == "poly":
        return float(base * (1 - iteration / job.iterations) ** job.power)
    if job.policy == "sigmoid":
        return base / (1 + math.exp(min(-gamma * (iteration - job.step_size), 700)))
    return base


def solver_prototxt(job: SolverJob, net: str, changed: Mapping[str, object] | None = None) -> str:
    """Write the solver for Caffe; it never tests or takes snapshots by itself, unless `changed` fields say so."""
    fields: dict[str, object] = {
        "net": json.dumps(net), "type": json.dumps(job.solver), "base_lr": job.base_rate,
        "lr_policy": json.dumps(job.policy), "gamma": job.gamma, "power": job.power,
        "momentum": job.momentum, "weight_decay": job.decay, "clip_gradients": job.clip_gradients or -1,
        "max_iter": job.iterations, "iter_size": job.iter_size, "display": 0, "snapshot": 0,
        "snapshot_prefix": '"solver"', "snapshot_format": "BINARYPROTO", "snapshot_after_train": "false",
        "solver_mode": "CPU", "random_seed": job.seed,
    }  # fmt: skip
    if job.policy in ("step", "sigmoid"):
        fields["stepsize"] = job.step_size
    if job.solver == "Adam":
        fields |= {"momentum2": job.momentum2, "delta": job.delta}
    if job.solver in ("AdaGrad", "AdaDelta", "RMSProp"):
        fields["delta"] = job.delta
    if job.solver == "RMSProp":
        fields["rms_decay"] = job.rms_decay
    lines = [f"{name}: {value}" for name, value in (fields | dict(changed or {})).items()]
    lines += [f"stepvalue: {value}" for value in job.step_values if job.policy == "multistep"]
    return "\n".join(lines) + "\n"
