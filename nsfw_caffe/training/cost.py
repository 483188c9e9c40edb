"""What training more than the last layer will cost: memory by the blobs' shapes, and how a batch is cut to fit it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.layer import Shape
from nsfw_caffe.model.shapes.network import LayerShapes
from nsfw_caffe.training.network import TrainedNetwork
from nsfw_caffe.training.solver_job import STATE_FACTOR, SolverType

_FLOAT32 = 4

_PROCESS = 105 << 20
"""Bytes of a process that has Caffe and no network: 85 MiB of Python and its libraries, the rest OpenBLAS's."""

PREFETCHING = 90 << 20
"""Bytes of a process that makes pictures ready, and of its batches."""

_SHARE = 0.8
"""Of the memory that there is, what a training may take: pictures are read, and scored, beside it."""

MOST = 8
"""Pictures at once: with more, the thin network takes as long a picture, and more memory."""

_SAME_MEMORY = {"Flatten", "Reshape", "Split"}
"""The types whose tops lie in the memory of their bottom."""


@dataclass(frozen=True)
class TrainingCost:
    """What training more than the last layer will cost, told before it starts.

    Attributes
    ----------
    layers : str
        What learns.
    pictures : int
        How many there are to train on.
    iterations : int
        Updates that are left.
    batch_size, iter_size : int
        Pictures at once; how many such batches one update is the mean of.
    memory : int
        Bytes that the solver's process has had at most, in updates made for a trial.
    seconds : float
        What the updates that are left take, by those.
    """

    layers: str
    pictures: int
    iterations: int
    batch_size: int
    iter_size: int
    memory: int
    seconds: float


def solver_memory(network: TrainedNetwork, solver: SolverType = "SGD") -> int:
    """Estimate the bytes that Caffe's solver takes for a network at its batch size, on the CPU.

    Counted are weights, gradients and history; of each blob the data and, where gradients reach it, their copy for
    each layer that reads it; and what convolutions, BatchNorm, Scale, Dropout, LRN and Pooling keep of their own.
    """
    backward = _reached(network.shapes)
    readers = Counter(bottom for made in network.shapes for bottom in _read(made))
    values = network.values * (2 + STATE_FACTOR[solver])
    for made in network.shapes:
        for name, shape in _own(made):
            copies = readers[name] + 1 if readers[name] > 1 else 1
            values += math.prod(shape) * (1 + (copies if name in backward else 0))
        values += _kept(made, in_backward=any(top in backward for top in made.layer.top))
    return _PROCESS + _FLOAT32 * values


def _reached(shapes: Iterable[LayerShapes]) -> set[str]:
    """Name the blobs that gradients reach: what a layer makes that learns, or that comes after one."""
    reached: set[str] = set()
    for made in shapes:
        rates = [param.lr_mult for param in made.layer.param]
        learns = len(made.blobs) > len(rates) or any(rates[: len(made.blobs)])
        if learns or reached.intersection(made.layer.bottom):
            reached.update(made.layer.top)
    return reached


def _read(made: LayerShapes) -> Iterator[str]:
    """Name the blobs that a layer reads and leaves as they are: what it changes in place counts as its top."""
    return (bottom for bottom in made.layer.bottom if bottom not in made.layer.top)


def _own(made: LayerShapes) -> Iterator[tuple[str, Shape]]:
    """Give the blobs that a layer takes memory for."""
    for name, shape in zip(made.layer.top, made.tops, strict=False):
        if name not in made.layer.bottom and made.layer.type not in _SAME_MEMORY:
            yield name, shape


def _kept(made: LayerShapes, *, in_backward: bool) -> int:
    """Count the values that a layer keeps besides its tops."""
    layer = made.layer
    in_place = bool(set(layer.top) & set(layer.bottom))
    if layer.type == "Convolution":
        return _unrolled(made)
    if layer.type == "BatchNorm":  # temp_ and x_norm_, whose gradients are copied where they lie in the same place
        return math.prod(made.tops[0]) * (3 if in_place and in_backward else 2)
    if layer.type == "Scale":
        return math.prod(made.tops[0]) if in_place else 0
    if layer.type in ("Dropout", "LRN") or (layer.type == "Pooling" and not layer.pooling_param.pool):
        return math.prod(made.tops[0])
    return 0


def _unrolled(made: LayerShapes) -> int:
    """Count the values of one picture's windows (im2col), which a 1x1 convolution does without."""
    options = made.layer.convolution_param
    weights = made.blobs[0]
    if set(weights[2:]) == {1} and set(options.stride) <= {1} and not any(options.pad):
        return 0
    return math.prod(weights[1:]) * options.group * math.prod(made.tops[0][2:])


def cut_batch(batch_size: int, fitting: int) -> tuple[int, int]:
    """Cut the pictures of an update into equal batches that fit: their size, and how many there are.

    They may have a few pictures more than were asked for.
    """
    count = -(-batch_size // fitting)
    return -(-batch_size // count), count


def fitting_batch(one: int, two: int, available: int) -> int:
    """Say how many pictures at once fit into memory, by what one and two of them need; TrainingError if none do."""
    room = _SHARE * available
    if one > room:
        raise TrainingError(
            f"training these layers takes about {one / 1e9:.1f} GB for one picture at a time, and there are "
            f"{available / 1e9:.1f} GB: train fewer (--layers with a later stage, or last)"
        )
    return max(1, min(MOST, 1 + int((room - one) // max(two - one, 1))))
