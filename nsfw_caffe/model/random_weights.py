"""Random weights for a network that nobody has trained: to time it, to convert it, to run it in tests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nsfw_caffe.model import wire
from nsfw_caffe.model.blobs import Values, fill_blob
from nsfw_caffe.model.layer import Shape
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.model.shapes.network import LayerShapes, network_shapes

_LAYER = NetParameter.LAYER_FIELD_NUMBER

_SUMMED = 0.35
"""How much less the branches of a sum get: without that, 50 residual blocks would make 2 ** 25 of 1."""


def write_random_caffemodel(network: NetParameter, path: Path, *, seed: int = 0) -> None:
    """Write a caffemodel whose weights keep activations at the input's size; the same bytes for the same seed.

    ModelError where the network's shapes cannot be told.
    """
    generator = np.random.default_rng(seed)
    shapes = network_shapes(network, network.name)
    summed = {name for made in shapes if made.layer.type == "Eltwise" for name in made.layer.bottom}
    with path.open("wb") as file:
        file.write(NetParameter(name=network.name).SerializeToString())
        # Layer by layer, so that only one is held at a time.
        for made in shapes:
            if made.blobs:
                layer = LayerParameter(name=made.layer.name, type=made.layer.type)
                gain = _SUMMED if summed.intersection(made.layer.top) else 1.0
                for values in _random_blobs(made, gain, generator):
                    fill_blob(layer.blobs.add(), values)
                file.writelines(wire.field(_LAYER, layer.SerializeToString()))


def _random_blobs(made: LayerShapes, gain: float, generator: np.random.Generator) -> Iterator[Values]:
    kind = made.layer.type
    for index, shape in enumerate(made.blobs):
        if kind == "BatchNorm":
            yield _statistics(index, shape, generator)
        elif index > 0 or kind == "Bias":
            yield _uniform(shape, 0.1, generator)
        elif kind in {"Scale", "PReLU"}:
            yield generator.uniform(0.8, 1.2, shape).astype(np.float32) * np.float32(0.25 if kind == "PReLU" else 1)
        else:
            # He et al., arXiv 1502.01852, equation 10: a ReLU halves the power.
            yield _uniform(shape, gain * math.sqrt(2 / max(math.prod(shape[1:]), 1)), generator)


def _statistics(index: int, shape: Shape, generator: np.random.Generator) -> Values:
    """Give mean, variance, and the factor by which both are divided."""
    if index == 0:
        return _uniform(shape, 0.1, generator)
    return np.ones(shape, np.float32) if index == 2 else generator.uniform(0.8, 1.2, shape).astype(np.float32)


def _uniform(shape: Shape, deviation: float, generator: np.random.Generator) -> Values:
    """Give values with mean 0 and this standard deviation."""
    values = generator.random(shape, np.float32)
    values -= np.float32(0.5)
    values *= np.float32(deviation * math.sqrt(12))
    return values
