"""What a training begins with: a network, and weights for all but perhaps its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import FillerParameter, LayerParameter, NetParameter
from nsfw_caffe.model.spec import INPUT_SHAPE
from nsfw_caffe.networks.catalogue import NETWORKS, build, build_network
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.brought import check_brought_weights
from nsfw_caffe.training.features import CutNetwork, Features, cut, last_layer_blobs
from nsfw_caffe.training.last_layer import Weights, new_layer, probabilities
from nsfw_caffe.training.options import TrainingOptions

_FIRST_WEIGHTS = 3
"""Keeps their random numbers apart from those of other things."""


@dataclass(frozen=True)
class Start:
    """A network, cut before its last layer, and the file of its weights."""

    network: CutNetwork
    caffemodel: Path
    original_last: LayerParameter | None
    """The original's last layer with its blobs, where the weights are the original's."""
    filler: FillerParameter | None = None
    """Of the last layer's weights as published, where that is a Convolution."""
    seed: int = 1

    def first_layer(self, classes: tuple[str, ...]) -> LayerParameter:
        """Give the last layer that training begins with, and that knows nothing, or the original's."""
        if self.original_last is not None and classes == ("sfw", "nsfw"):
            return self._original()
        return new_layer(self.network.last, self._first_weights(len(classes)))

    def _first_weights(self, classes: int) -> Weights:
        """Give zeros, by which all classes are as probable; but after a ReLU these would never learn."""
        shape = (classes, *self.network.inputs)
        if self.filler is None:
            return np.zeros(shape, np.float32)
        generator = np.random.default_rng((self.seed, _FIRST_WEIGHTS))
        return generator.normal(self.filler.mean, self.filler.std, shape).astype(np.float32)

    def original_scores(self, features: Features, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
        """Compute the original's scores of some features; None where the weights are none of the original's."""
        return None if self.original_last is None else probabilities(features, self._original(), rows)[:, 1]

    def _original(self) -> LayerParameter:
        assert self.original_last is not None
        layer = LayerParameter()
        layer.CopyFrom(self.network.last)
        layer.blobs.extend(self.original_last.blobs)
        return layer

    def with_last(self, last: LayerParameter) -> NetParameter:
        """Give the network for scoring with another last layer, without blobs."""
        whole = NetParameter()
        whole.CopyFrom(self.network.whole)
        for layer in whole.layer:
            if layer.name == self.network.last.name:
                layer.CopyFrom(last)
                del layer.blobs[:]
        return whole

    def weights(self, last: LayerParameter) -> bytes:
        """Give a caffemodel: the weights that there are, with another last layer, and none of layers for training."""
        weights = read_caffemodel(self.caffemodel)
        names = {layer.name for layer in self.network.whole.layer} - {self.network.last.name, last.name}
        kept = [layer for layer in weights.layer if layer.name in names]
        return NetParameter(name=weights.name, layer=[*kept, last]).SerializeToString()


def find_start(options: TrainingOptions, work: Path) -> Start:
    """Find the network and the weights to begin with; TrainingError where the weights do not fit."""
    if options.network not in NETWORKS:
        raise TrainingError(f"there is no network {options.network!r}; there are: {', '.join(NETWORKS)}")
    if options.weights is None:
        files = fetch()
        network = cut(files.prototxt)
        return Start(network, files.caffemodel, last_layer_blobs(network, files.caffemodel))
    prototxt = work / "network.prototxt"
    try:
        prototxt.write_text(_for_scoring(build(options.network)))
    except OSError as error:
        raise TrainingError(f"{prototxt} cannot be written ({reason(error)})") from error
    network, caffemodel = cut(prototxt), Path(options.weights)
    check_brought_weights(network.whole, network.last.name, caffemodel, options.network)
    filler = _published_filler(options.network, network.last.name) if network.convolves else None
    return Start(network, caffemodel, None, filler, options.seed)


def _for_scoring(text: str) -> str:
    """Have a network take what scoring makes: SqueezeNet, published for 227x227, has the same weights for 224x224."""
    network = text_format.Parse(text, NetParameter())
    for layer in network.layer:
        if layer.type == "Input":
            layer.input_param.shape[0].dim[2:] = INPUT_SHAPE[1:]
    return text_format.MessageToString(network)


def _published_filler(name: str, last: str) -> FillerParameter:
    published = build_network(name, form="train")
    (filler,) = [layer.convolution_param.weight_filler for layer in published.layer if layer.name == last]
    assert filler.type == "gaussian"
    return filler
