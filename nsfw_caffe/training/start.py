"""What a training begins with: a network, and weights for all but perhaps its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.networks.catalogue import NETWORKS, build
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.brought import check_brought_weights
from nsfw_caffe.training.features import CutNetwork, Features, cut, last_layer_blobs
from nsfw_caffe.training.last_layer import new_layer, probabilities
from nsfw_caffe.training.options import TrainingOptions


@dataclass(frozen=True)
class Start:
    """A network, cut before its last layer, and the file of its weights."""

    network: CutNetwork
    caffemodel: Path
    original_last: LayerParameter | None
    """The original's last layer with its blobs, where the weights are the original's."""

    def first_layer(self, classes: tuple[str, ...]) -> LayerParameter:
        """Give the last layer that training begins with: the original's, or one that knows nothing."""
        if self.original_last is not None and classes == ("sfw", "nsfw"):
            return self._original()
        return new_layer(self.network.last, self.network.width, len(classes))

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
        prototxt.write_text(build(options.network))
    except OSError as error:
        raise TrainingError(f"{prototxt} cannot be written ({reason(error)})") from error
    network, caffemodel = cut(prototxt), Path(options.weights)
    check_brought_weights(network.whole, network.last.name, caffemodel, options.network)
    return Start(network, caffemodel, None)
