"""Checking a user's own model before Caffe sees it.

Caffe answers what it cannot load by aborting the process, and a layer without weights with random ones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.network import layers_in_test, read_caffemodel, read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto, LayerParameter, NetParameter
from nsfw_caffe.model.spec import INPUT_SHAPE, ModelFiles

_REFUSED_TYPES = {
    "Python": "runs Python code",
    **dict.fromkeys(
        ["Data", "ImageData", "WindowData", "HDF5Data", "MemoryData", "DummyData"], "brings data of its own"
    ),
    "HDF5Output": "writes a file",
}

# Layers whose blobs are counted here only as some or none: their number depends on options outside the schema.
_OTHER_TYPES_WITH_BLOBS = {"Embed", "LSTM", "Parameter", "RNN"}


def check_custom(files: ModelFiles) -> None:
    """Check a user's own model, as far as that goes without Caffe; ModelError names file and layer.

    The prototxt has one input of `INPUT_SHAPE`, no layer that needs more than that, and weights in the caffemodel for
    each layer that has some. What only Caffe knows, the shapes in between and the number of outputs, is left to it.
    """
    network = read_prototxt(files.prototxt)
    weights = read_caffemodel(files.caffemodel)
    layers = layers_in_test(network)
    _refuse_types(layers, files.prototxt)
    _check_input(network, layers, files.prototxt)
    check_blobs(layers, weights, files.prototxt, files.caffemodel)


def _refuse_types(layers: list[LayerParameter], path: Path) -> None:
    for layer in layers:
        if layer.type in _REFUSED_TYPES:
            reason = _REFUSED_TYPES[layer.type]
            raise ModelError(
                f"{path}: layer {layer.name!r} of type {layer.type} {reason}, which is refused; "
                "give the network for use (deploy.prototxt), not the one for training"
            )


def _check_input(network: NetParameter, layers: list[LayerParameter], path: Path) -> None:
    inputs = [layer for layer in layers if layer.type == "Input"]
    count = len(network.input) + sum(len(layer.top) for layer in inputs)
    if count != 1:
        raise ModelError(f"{path}: the network has {count} inputs; it needs exactly one")
    if not inputs:
        shapes = [tuple(shape.dim) for shape in network.input_shape] or [tuple(network.input_dim)]
    else:
        shapes = [tuple(shape.dim) for layer in inputs for shape in layer.input_param.shape]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] < 1 or shapes[0][1:] != INPUT_SHAPE:
        found = " and ".join("x".join(map(str, shape)) for shape in shapes) or "nothing"
        raise ModelError(f"{path}: the input is {found}; it has to be 1x3x224x224")


def check_blobs(layers: list[LayerParameter], weights: NetParameter, prototxt: Path, caffemodel: Path) -> None:
    """Check that each layer that has learned blobs finds as many of them, each as long as its shape says.

    ModelError names file and layer where one does not.
    """
    # Caffe copies by name, and of layers with one name only into the first.
    names = Counter(layer.name for layer in layers)
    stored = defaultdict(list)
    for layer in weights.layer:
        stored[layer.name].append(layer)
    for layer in layers:
        expected = _blob_count(layer)
        if expected == 0:
            continue
        if names[layer.name] > 1:
            raise ModelError(f"{prototxt}: {names[layer.name]} layers have the name {layer.name!r}")
        if not stored[layer.name]:
            raise ModelError(f"{caffemodel} has no weights for layer {layer.name!r} of {prototxt}")
        for source in stored[layer.name]:
            _check_layer(source, expected, caffemodel)


def _check_layer(source: LayerParameter, expected: int | None, path: Path) -> None:
    count = len(source.blobs)
    if count != expected and not (expected is None and count):
        wanted = "some" if expected is None else str(expected)
        raise ModelError(f"{path}: layer {source.name!r} has {count} blobs; it needs {wanted}")
    for index, blob in enumerate(source.blobs):
        shape = _blob_shape(blob)
        length = len(blob.double_data) or len(blob.data)
        if min(shape, default=0) < 0 or math.prod(shape) != length:
            found = "x".join(map(str, shape))
            raise ModelError(
                f"{path}: blob {index} of layer {source.name!r} has {length} values for a shape of {found}"
            )


def _blob_count(layer: LayerParameter) -> int | None:
    """Give the number of blobs that the layer learns, None for one or more."""
    if layer.type in {"Convolution", "Deconvolution"}:
        return 1 + layer.convolution_param.bias_term
    if layer.type == "InnerProduct":
        return 1 + layer.inner_product_param.bias_term
    if layer.type == "BatchNorm":
        return 3
    if layer.type == "Scale":
        return (len(layer.bottom) == 1) + layer.scale_param.bias_term
    if layer.type == "Bias":
        return int(len(layer.bottom) == 1)
    if layer.type == "PReLU":
        return 1
    return None if layer.type in _OTHER_TYPES_WITH_BLOBS else 0


def _blob_shape(blob: BlobProto) -> tuple[int, ...]:
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return blob.num, blob.channels, blob.height, blob.width
    return tuple(blob.shape.dim)
