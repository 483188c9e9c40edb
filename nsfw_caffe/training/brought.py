"""Weights that a user brings: whether they are those of the network, before anything is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nsfw_caffe.errors import ModelError, TrainingError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.layer import format_shape
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.model.shapes.network import LayerShapes, network_shapes
from nsfw_caffe.networks.catalogue import NETWORKS, build_network
from nsfw_caffe.training.network import blob_shape

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class _Fit:
    """How many layers find their weights, and what is wrong with the first that does not."""

    fitting: int
    layers: int
    wrong: str | None


def check_brought_weights(network: NetParameter, last: str, caffemodel: Path, name: str) -> None:
    """Raise TrainingError unless each layer but the last finds weights of its shape in a caffemodel, by name.

    What else is in the file, as auxiliary losses of the network's form for training are, does no harm.
    """
    weights = read_weights(caffemodel)
    fit = _fit(weights, network_shapes(network, name), last)
    if fit.wrong is None:
        return
    raise TrainingError(
        f"{caffemodel} does not fit {name}: {fit.fitting} of {fit.layers} layers find their weights in it, by name; "
        f"{fit.wrong}{_advice(weights, name)}"
    )


def read_weights(caffemodel: Path) -> NetParameter:
    """Read a caffemodel; TrainingError says what it is where it is none."""
    try:
        with caffemodel.open("rb") as file:
            if caffemodel.suffix == ".h5" or file.read(len(_HDF5)) == _HDF5:
                raise TrainingError(
                    f"{caffemodel}: weights in HDF5 cannot be read; 'snapshot_format: BINARYPROTO' in a solver's "
                    "prototxt has Caffe write a caffemodel"
                )
        return read_caffemodel(caffemodel)
    except OSError as error:
        raise TrainingError(f"{caffemodel} cannot be read ({error.strerror})") from error
    except ModelError as error:
        raise TrainingError(f"{error}; --weights takes a .caffemodel, whole as it was published") from error


def _fit(weights: NetParameter, shapes: Sequence[LayerShapes], last: str) -> _Fit:
    stored = {layer.name: layer for layer in weights.layer if layer.blobs}
    learning = [made for made in shapes if made.blobs and made.layer.name != last]
    wrong = [why for made in learning if (why := _difference(stored.get(made.layer.name), made)) is not None]
    return _Fit(len(learning) - len(wrong), len(learning), wrong[0] if wrong else None)


def _difference(layer: LayerParameter | None, made: LayerShapes) -> str | None:
    """Say what keeps a layer from its weights."""
    name = made.layer.name
    if layer is None:
        return f"it has none for layer {name!r}"
    if len(layer.blobs) != len(made.blobs):
        return f"layer {name!r} has {len(layer.blobs)} blobs in it, and {len(made.blobs)} in the network"
    for blob, shape in zip(layer.blobs, made.blobs, strict=True):
        found, wanted = blob_shape(blob, shape)
        if found != wanted:
            return f"layer {name!r} is {format_shape(found)} in it, and {format_shape(wanted)} in the network"
        values = blob_values(blob)
        if len(values) != np.prod(shape):
            return f"layer {name!r} is cut short in it"
        if not np.isfinite(values).all():
            return f"layer {name!r} has a number in it that is not finite"
    return None


def _advice(weights: NetParameter, name: str) -> str:
    """Say which network the weights are of, if that is known."""
    for other in NETWORKS:
        network = build_network(other)
        shapes = network_shapes(network, other)
        last = [made.layer.name for made in shapes if made.blobs][-1]
        if other != name and _fit(weights, shapes, last).wrong is None:
            return f"; it fits {other} (--network {other})"
    return f"; it calls itself {weights.name}" if weights.name else ""
