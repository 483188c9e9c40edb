"""What a network costs: multiply-adds, learned numbers, and the memory of what lies between its layers."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.model.layer import Shape
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.shapes.network import LayerShapes, network_shapes
from nsfw_caffe.networks.builder import PUBLISHED_CLASSES
from nsfw_caffe.networks.catalogue import NETWORKS, build_network

_SHARED_MEMORY = {"Flatten", "Reshape", "Split"}
"""The types whose tops lie in the memory of their bottom."""

_FLOAT32 = 4


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs, for one picture.

    Attributes
    ----------
    name, type : str
        As in the prototxt.
    shapes : tuple of tuple of int
        Of its outputs, pictures first, as the prototxt has them.
    parameters : int
        Learnable numbers, biases among them. What another layer shares by name counts once.
    statistics : int
        Numbers that are kept but not learned by gradients: BatchNorm's.
    multiply_adds : int
        Of a Convolution, Deconvolution or InnerProduct; others are not counted.
    activation_bytes : int
        Of its outputs in float32; 0 where they lie in the memory of its input.
    first_blob : int
        Numbers in its first learned blob.
    pynetbuilder_multiply_adds : int
        By the rule of pynetbuilder's get_complexity.
    """

    name: str
    type: str
    shapes: tuple[Shape, ...]
    parameters: int
    statistics: int
    multiply_adds: int
    activation_bytes: int
    first_blob: int
    pynetbuilder_multiply_adds: int


@dataclass(frozen=True)
class Cost:
    """What a network costs, for one picture.

    Attributes
    ----------
    name : str
        The network's name, or the prototxt's path.
    input_shape : tuple of int
        Of one picture, channels first.
    layers : tuple of LayerCost
        In the network's order.
    """

    name: str
    input_shape: Shape
    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """Learnable numbers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def statistics(self) -> int:
        """BatchNorm's numbers, which are kept but not learned by gradients."""
        return sum(layer.statistics for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of parameters and statistics in float32, which are what a caffemodel holds."""
        return _FLOAT32 * (self.parameters + self.statistics)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition, of Convolution, Deconvolution and InnerProduct."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all blobs between layers in float32, the input's too; Caffe keeps all of them at once."""
        return sum(layer.activation_bytes for layer in self.layers)

    @property
    def pynetbuilder_parameters(self) -> int:
        """Parameters by pynetbuilder's rule: the first blob of each layer, so no biases, but BatchNorm's means."""
        return sum(layer.first_blob for layer in self.layers)

    @property
    def pynetbuilder_multiply_adds(self) -> int:
        """Flops by pynetbuilder's rule: a Convolution's first blob for each pixel of its output, any other's once."""
        return sum(layer.pynetbuilder_multiply_adds for layer in self.layers)


def cost(network: str | os.PathLike[str], *, classes: int = PUBLISHED_CLASSES, width: float = 1.0) -> Cost:
    """Count what a network costs, a row a layer, without Caffe.

    Parameters
    ----------
    network : str or path
        One of `NETWORKS`, or else the path of any prototxt; its layers of the TEST phase are counted.
    classes, width
        Of one of `NETWORKS`, see `build`; a prototxt has its own.

    Returns
    -------
    Cost
        Rows and totals, for one picture whatever the prototxt's batch.

    Raises
    ------
    ValueError
        If there is neither such a network nor such a file, or it cannot be built so.
    ModelError
        If the prototxt cannot be read, Caffe would abort on it, or a layer's shape depends on data; the message names
        file and layer.

    Examples
    --------
    >>> from nsfw_caffe.networks import cost
    >>> thin = cost("resnet50_thin")
    >>> f"{thin.parameters:,} parameters, {thin.multiply_adds / 1e6:,.2f} million multiply-adds"
    '6,940,840 parameters, 1,069.57 million multiply-adds'
    """
    name = os.fspath(network)
    if name in NETWORKS:
        return network_cost(build_network(name, classes=classes, width=width), name)
    if not Path(name).exists():
        raise ValueError(f"{name!r} is neither a file nor a network; there are: {', '.join(NETWORKS)}")
    return network_cost(read_prototxt(Path(name)), name)


def network_cost(network: NetParameter, name: str) -> Cost:
    """Count a network in the library's schema."""
    layers = network_shapes(network, name)
    first = next((layer.tops[0] for layer in layers if not layer.bottoms and layer.tops), ())
    seen: set[str] = set()
    return Cost(name, first[1:], tuple(_layer_cost(layer, max(first[:1], default=1), seen) for layer in layers))


def _layer_cost(shapes: LayerShapes, batch: int, seen: set[str]) -> LayerCost:
    layer = shapes.layer
    names = [parameter.name for parameter in layer.param] + [""] * len(shapes.blobs)
    own = [math.prod(blob) for name, blob in zip(names, shapes.blobs, strict=False) if name not in seen]
    seen.update(filter(None, names))
    kept = sum(own)
    first_blob = math.prod(shapes.blobs[0]) if shapes.blobs else 0
    normalizes = layer.type == "BatchNorm"
    pixels = math.prod(shapes.tops[0][2:4]) if layer.type == "Convolution" else 1
    return LayerCost(
        name=layer.name,
        type=layer.type,
        shapes=shapes.tops,
        parameters=0 if normalizes else kept,
        statistics=kept if normalizes else 0,
        multiply_adds=_multiply_adds(shapes) // batch,
        activation_bytes=-(-_FLOAT32 * _values(_own_memory(shapes)) // batch),
        first_blob=first_blob,
        pynetbuilder_multiply_adds=first_blob * pixels,
    )


def _multiply_adds(shapes: LayerShapes) -> int:
    """Count every weight once for each place that it is applied at."""
    layer = shapes.layer
    if layer.type not in {"Convolution", "Deconvolution", "InnerProduct"}:
        return 0
    weights = math.prod(shapes.blobs[0])
    if layer.type == "InnerProduct":
        return weights * math.prod(shapes.tops[0][:-1])
    axis = layer.convolution_param.axis % len(shapes.bottoms[0])
    placed = shapes.bottoms if layer.type == "Deconvolution" else shapes.tops
    return sum(weights * _values([shape]) // shape[axis] for shape in placed)


def _own_memory(shapes: LayerShapes) -> Iterable[Shape]:
    layer = shapes.layer
    if layer.type in _SHARED_MEMORY or (layer.type == "Concat" and len(shapes.bottoms) == 1):
        return ()
    names = [*layer.top, *[""] * len(shapes.tops)]
    return (shape for name, shape in zip(names, shapes.tops, strict=False) if name not in layer.bottom)


def _values(shapes: Iterable[Shape]) -> int:
    return sum(map(math.prod, shapes))
