"""The last layer, trained on features by Caffe's own solver."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.features import Features
from nsfw_caffe.training.feeding import take
from nsfw_caffe.training.libraries import load
from nsfw_caffe.training.options import TrainingOptions
from nsfw_caffe.training.solving import Iteration, SolverJob, SolverResult, solve

DECAYS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weight decays that are tried where none is given."""

_FOLDS = 3

_ENOUGH = 2000
"""Pictures that the choice of a weight decay, and the size of features, is told from: more of them change little."""

_CHUNK = 2048
"""Rows that are copied at once, so that memory stays flat."""

BATCH_SIZE = 64

_ITERATIONS = 3000

_EPOCHS = 20
"""By default, as many updates as these make, or `_ITERATIONS` where those are more."""

Labels = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LastLayer:
    """A last layer that is trained: the layer with its blobs, and how it came about."""

    layer: LayerParameter
    history: tuple[Iteration, ...]
    decay: float
    job: SolverJob


def class_weights(labels: Labels, classes: int) -> tuple[float, ...]:
    """Give what each class's loss is multiplied by so that all count the same: 1 in the mean of the pictures."""
    counts = np.bincount(labels, minlength=classes)
    return tuple(float(len(labels) / (classes * count)) for count in counts)


def probabilities(features: Features, layer: LayerParameter, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Compute float64 (n, classes) of some rows of features, as InnerProduct and Softmax do."""
    weights, bias = matrices(layer)
    outputs = np.zeros((len(rows), len(weights)))
    for start, part in _chunks(features, rows):
        outputs[start : start + len(part)] = part.astype(np.float64) @ weights.T
    outputs += bias
    outputs -= outputs.max(axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = np.exp(outputs)
    found /= found.sum(axis=1, keepdims=True)
    return found


def _chunks(features: Features, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, Features]]:
    """Give rows a part at a time, each with the number of its first: they may be more than memory holds."""
    for start in range(0, len(rows), _CHUNK):
        yield start, take(features, rows[start : start + _CHUNK])


def matrices(layer: LayerParameter) -> tuple[Weights, Weights]:
    """Give a layer's weights, (outputs, inputs), and bias, (outputs,)."""
    values = [blob_values(blob) for blob in layer.blobs]
    outputs = layer.inner_product_param.num_output
    bias = values[1] if len(values) > 1 else np.zeros(outputs, np.float32)
    return values[0].reshape(outputs, -1), bias


def write_arrays(folder: Path, features: Features, labels: Labels, rows: npt.NDArray[np.int64]) -> None:
    """Write what the solver is fed with, a part at a time; TrainingError where there is no room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "data.npy").open("wb") as file:
            shape = (len(rows), *features.shape[1:])
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for _, part in _chunks(features, rows):
                file.write(np.ascontiguousarray(part, "<f4").data)
        np.save(folder / "labels.npy", labels[rows])
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written ({reason(error)})") from error


def training_network(last: LayerParameter, width: int, classes: int, *, weighted: bool) -> str:
    """Write the prototxt of the last layer alone, with a loss."""
    network = NetParameter(name="last_layer")
    for name, shape in (("data", (1, width)), ("label", (1,)), ("weight", (1, 1, classes, classes))):
        if name != "weight" or weighted:
            layer = network.layer.add(name=name, type="Input", top=[name])
            layer.input_param.shape.add().dim.extend(shape)
    layer = network.layer.add()
    layer.CopyFrom(last)
    del layer.blobs[:]
    layer.bottom[:] = ["data"]
    loss = network.layer.add(name="loss", type="InfogainLoss" if weighted else "SoftmaxWithLoss", top=["loss"])
    loss.bottom.extend([layer.top[0], "label", "weight"][: 3 if weighted else 2])
    return text_format.MessageToString(network)


def train_last_layer(
    start: LayerParameter,
    features: Features,
    labels: Labels,
    rows: npt.NDArray[np.int64],
    alike: npt.NDArray[np.int64],
    folder: Path,
    *,
    options: TrainingOptions,
    resume: bool = False,
    progress: Callable[[Iteration, int], object] | None = None,
) -> LastLayer:
    """Train a layer, from the blobs that it has, on some rows of features."""
    classes = start.inner_product_param.num_output
    balanced, seed, decay = options.class_weights == "balanced", options.seed, options.decay
    weights = class_weights(labels[rows], classes) if balanced else None
    sample = np.sort(np.random.default_rng((seed, 2)).permutation(rows)[:_ENOUGH])
    few = take(features, sample)
    if decay is None:
        decay = choose_decay(few, labels[sample], alike[sample], balanced=balanced, seed=seed)
    size = min(options.batch_size or BATCH_SIZE, len(rows))
    updates = options.iterations or -(-(options.epochs or 0) * len(rows) // size)
    updates = updates or max(_ITERATIONS, _EPOCHS * len(rows) // size)
    write_arrays(folder / "arrays", features, labels, rows)
    net, initial = folder / "last_layer.prototxt", folder / "start.caffemodel"
    try:
        net.write_text(training_network(start, features.shape[1], classes, weighted=balanced))
        initial.write_bytes(NetParameter(name="start", layer=[start]).SerializeToString())
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written ({reason(error)})") from error
    job = SolverJob(
        str(net),
        str(folder / "solver"),
        weights=str(initial),
        arrays=str(folder / "arrays"),
        base_rate=options.base_rate or fitting_rate(few, start, max(weights or (1,))),
        policy="poly",
        momentum=0.9,
        decay=decay,
        iterations=updates,
        batch_size=size,
        snapshot_every=max(1000, updates // 10),
        seed=seed,
        threads=1,
        class_weights=weights,
    )
    result = solve(job, resume=resume, progress=None if progress is None else lambda done: progress(done, updates))
    return LastLayer(_learned(start, result), result.history, decay, job)


def _learned(start: LayerParameter, result: SolverResult) -> LayerParameter:
    layer = LayerParameter()
    layer.CopyFrom(start)
    del layer.blobs[:]
    for found in read_caffemodel(result.caffemodel).layer:
        if found.name == start.name:
            layer.blobs.extend(found.blobs)
    return layer


def fitting_rate(features: Features, layer: LayerParameter, heaviest: float) -> float:
    """Give a first rate at which the solver neither diverges nor crawls: it follows from the loss's curvature.

    The Hessian of a softmax's loss is at most half the largest eigenvalue of the features' second moment (Boehning,
    Annals of the Institute of Statistical Mathematics 44, 1992), a class's weight times that.
    """
    direction = np.ones(features.shape[1]) / np.sqrt(features.shape[1])
    length = 1.0
    for _ in range(20):
        direction = features.T @ (features @ direction) / len(features)
        length = float(np.linalg.norm(direction)) or 1.0
        direction = direction / length
    faster = max([param.lr_mult for param in layer.param[:1]] or [1.0]) or 1.0
    return _STEP / (0.5 * length * heaviest * faster)


_STEP = 0.2
"""Of the step that would just not diverge without momentum; 0.9 of it makes ten times as much."""


def choose_decay(
    features: Features, labels: Labels, alike: npt.NDArray[np.int64], *, balanced: bool, seed: int
) -> float:
    """Choose the weight decay whose layer is the least surprised by pictures left out, in folds; alike go together."""
    folds = min(_FOLDS, int(min(len(np.unique(alike[labels == label])) for label in np.unique(labels))))
    if folds < 2:
        return DECAYS[len(DECAYS) // 2]
    with load("threadpoolctl").threadpool_limits(1), warnings.catch_warnings():  # these are too small for threads
        warnings.simplefilter("ignore")  # whether each has converged does not matter to which is the best
        return _least_surprised(features, labels, alike, folds, balanced=balanced, seed=seed)


def _least_surprised(
    features: Features, labels: Labels, alike: npt.NDArray[np.int64], folds: int, *, balanced: bool, seed: int
) -> float:
    selection, linear = load("sklearn.model_selection"), load("sklearn.linear_model")
    splitter = selection.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    losses = np.zeros(len(DECAYS))
    for train, test in splitter.split(features, labels, alike):
        if len(np.unique(labels[train])) < len(np.unique(labels)):
            continue
        model = linear.LogisticRegression(
            class_weight="balanced" if balanced else None, max_iter=50, tol=1e-3, warm_start=True
        )
        for index in reversed(range(len(DECAYS))):  # from the simplest one on, each begun where the last ended
            model.set_params(C=1 / (DECAYS[index] * len(train)))
            model.fit(features[train], labels[train])
            losses[index] += _surprise(model.predict_proba(features[test]), labels[test], balanced=balanced)
    return DECAYS[int(np.argmin(losses))]


def _surprise(found: npt.NDArray[np.float64], labels: Labels, *, balanced: bool) -> float:
    log_loss = -np.log(np.maximum(found[np.arange(len(labels)), labels], 1e-12))
    weights = 1 / np.bincount(labels)[labels] if balanced else np.ones(len(labels))
    return float(np.average(log_loss, weights=weights))


def new_layer(last: LayerParameter, weights: Weights) -> LayerParameter:
    """Make a last layer of weights, (classes, ...), and of biases that are 0."""
    layer, classes = LayerParameter(), len(weights)
    layer.CopyFrom(last)
    del layer.blobs[:]
    options = layer.inner_product_param if layer.type == "InnerProduct" else layer.convolution_param
    if options.num_output != classes:
        # Weights of another shape must not be found by its name: Caffe aborts.
        layer.name = f"{last.name}_{classes}"
    options.num_output = classes
    fill_blob(layer.blobs.add(), weights)
    if options.bias_term:
        fill_blob(layer.blobs.add(), np.zeros(classes, np.float32))
    return layer
