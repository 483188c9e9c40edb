"""How a network ends: whether its outputs are means over the places of a feature map, and which ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.layer import CheckedLayer
from nsfw_caffe.model.network import read_caffemodel, read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, PoolingParameter
from nsfw_caffe.model.shapes.network import LayerShapes, network_shapes
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.model.windows import pooling_windows

_SAME_NUMBERS = ("Dropout", "Flatten")
"""Types that give on what they are given when a network is used."""

_FORM = "an exact heat map needs a network that ends in a global average pooling, an InnerProduct and a Softmax"


@dataclass(frozen=True, eq=False)
class Head:
    """The end of a network: each class's logit is the mean over the places of a blob, weighted, and an offset.

    Attributes
    ----------
    blob : str
        Caffe's name of the blob whose places are averaged, (n, channels, height, width).
    weights : numpy.ndarray
        float64 (classes, channels).
    offsets : numpy.ndarray
        float64 (classes,).
    """

    blob: str
    weights: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]


def find_head(files: ModelFiles) -> Head:
    """Find how a network ends; ModelError, which says why, where a class's logit is not such a mean."""
    layers = network_shapes(read_prototxt(files.prototxt), files.prototxt)
    chain = _Chain(layers, files)
    chain.require("Softmax")
    product = None
    if chain.kind != "Pooling":
        product = chain.require("InnerProduct").layer
    position = chain.position
    pooling = chain.require("Pooling")
    _require_mean(pooling, files)
    ((_, channels, *_),) = pooling.bottoms
    blob = pooling.layer.bottom[0]
    if any(blob in later.layer.top for later in layers[position:]):
        raise _refusal(files, pooling.layer, f"{blob!r} is written to again after it")
    if product is None:
        return Head(blob, np.eye(channels), np.zeros(channels))
    return Head(blob, *_product(product, channels, files))


class _Chain:
    """The layers from the output backwards, without those that change no number."""

    def __init__(self, layers: list[LayerShapes], files: ModelFiles) -> None:
        self._layers = layers
        self._files = files
        read = {name: index for index, each in enumerate(layers) for name in each.layer.bottom}
        made = {name: index for index, each in enumerate(layers) for name in each.layer.top}
        # A blob that no later layer reads; an engine that has loaded the network has seen that there is one.
        self.position = next(index for name, index in made.items() if read.get(name, -1) <= index)

    @property
    def kind(self) -> str:
        """The type of the layer that comes next."""
        return self._layers[self.position].layer.type

    def require(self, kind: str) -> LayerShapes:
        """Give the layer that comes next, which has to be of a type, and go to what it reads."""
        found = self._layers[self.position]
        if self.kind != kind:
            raise _refusal(self._files, found.layer, f"it stands where a {kind} would")
        self._go_back()
        while self.kind in _SAME_NUMBERS:
            self._go_back()
        return found

    def _go_back(self) -> None:
        name = next(iter(self._layers[self.position].layer.bottom), None)
        makers = [index for index in range(self.position) if name in self._layers[index].layer.top]
        # What reads nothing, an Input, is what `require` refuses next.
        self.position = makers[-1] if makers else self.position


def _require_mean(pooling: LayerShapes, files: ModelFiles) -> None:
    """Refuse a Pooling that is not the mean of all places."""
    options = pooling.layer.pooling_param
    (bottom,), (top,) = pooling.bottoms, pooling.tops
    windows = pooling_windows(CheckedLayer(pooling.layer, files.prototxt), bottom)
    if options.pool != PoolingParameter.AVE:
        raise _refusal(files, pooling.layer, "it does not average")
    if top[2:] != (1, 1) or windows.kernel != bottom[2:] or any(windows.pad):
        raise _refusal(files, pooling.layer, "it does not average over all places")


def _product(
    layer: LayerParameter, channels: int, files: ModelFiles
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    options = layer.inner_product_param
    # Caffe takes the first layer of a name.
    blobs = next(list(each.blobs) for each in read_caffemodel(files.caffemodel).layer if each.name == layer.name)
    count = options.num_output
    matrix = blob_values(blobs[0]).astype(np.float64)
    if matrix.size != count * channels:
        raise _refusal(files, layer, f"it has {matrix.size} weights for {channels} channels")
    weights = matrix.reshape(channels, count).T if options.transpose else matrix.reshape(count, channels)
    return weights, blob_values(blobs[1]).astype(np.float64) if options.bias_term else np.zeros(count)


def _refusal(files: ModelFiles, layer: LayerParameter, reason: str) -> ModelError:
    return ModelError(f"{files.prototxt}: {_FORM}; of layer {layer.name!r}, of type {layer.type}: {reason}")
