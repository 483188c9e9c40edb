"""The network that is trained: what is checked of it before Caffe, which aborts on what it does not like, sees it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from nsfw_caffe.errors import ModelError, TrainingError
from nsfw_caffe.model.layer import Shape, format_shape
from nsfw_caffe.model.network import layers_in, read_caffemodel, read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import TRAIN, BlobProto, LayerParameter, NetParameter
from nsfw_caffe.model.shapes.network import LayerShapes, network_shapes

_LOSSES = ("SoftmaxWithLoss", "InfogainLoss")
"""What takes a class's number as its label."""

_REFUSED = ("Python", "Data", "ImageData", "WindowData", "HDF5Data", "HDF5Output", "MemoryData", "DummyData")
"""What brings code or data of its own."""

INPUTS = ("data", "label", "weight")


@dataclass(frozen=True)
class TrainedNetwork:
    """A network in the phase TRAIN, with what training has to know of it."""

    network: NetParameter
    shapes: tuple[LayerShapes, ...]
    classes: int

    @property
    def text(self) -> str:
        """What Caffe reads."""
        return text_format.MessageToString(self.network)

    @property
    def inputs(self) -> dict[str, Shape]:
        """The shapes of the Input blobs."""
        return {
            top: shape
            for made in self.shapes
            if made.layer.type == "Input"
            for top, shape in zip(made.layer.top, made.tops, strict=True)
        }

    @property
    def losses(self) -> dict[str, float]:
        """The blobs that the loss is summed of, with their weights."""
        return {
            top: made.layer.loss_weight[0] if made.layer.loss_weight else 1.0
            for made in self.shapes
            if made.layer.type.endswith("Loss")
            for top in made.layer.top
        }

    @property
    def learning(self) -> list[tuple[str, int]]:
        """The blobs that are learned: each layer's name and the blob's number."""
        return [
            (made.layer.name, number)
            for made in self.shapes
            for number in range(len(made.blobs))
            if number >= len(made.layer.param) or made.layer.param[number].lr_mult
        ]

    @property
    def values(self) -> int:
        """How many values all learned blobs have."""
        return sum(_count(shape) for made in self.shapes for shape in made.blobs)


def read_training_network(path: Path, batch_size: int, *, weighted: bool = False) -> TrainedNetwork:
    """Read a network for training, with its number of pictures replaced; TrainingError for what Caffe would abort on.

    `weighted` says whether the Input `weight` has a value a picture.
    """
    try:
        network = in_training(read_prototxt(path))
        _check_layers(network, path)
        _set_batch_size(network, batch_size, weighted=weighted)
        shapes = tuple(network_shapes(network, path))
    except ModelError as error:
        raise TrainingError(str(error)) from error
    trained = TrainedNetwork(network, shapes, _classes(shapes, path))
    _check_inputs(trained, path)
    return trained


def in_training(network: NetParameter) -> NetParameter:
    """Give the network that Caffe makes in the phase TRAIN: Net::FilterNet."""
    trained = NetParameter()
    trained.CopyFrom(network)
    del trained.layer[:]
    for layer in layers_in(network, TRAIN):
        copy = trained.layer.add()
        copy.CopyFrom(layer)
        copy.ClearField("include")
        copy.ClearField("exclude")
    return trained


def _check_layers(network: NetParameter, path: Path) -> None:
    names = Counter(layer.name for layer in network.layer)
    for layer in network.layer:
        if layer.type in _REFUSED:
            raise TrainingError(
                f"{path}: layer {layer.name!r} of type {layer.type} brings data or code of its own; "
                "pictures and labels come through Input layers 'data' and 'label'"
            )
        if layer.type == "BatchNorm" and any(param.lr_mult for param in layer.param):
            raise TrainingError(f"{path}: layer {layer.name!r}: a BatchNorm's lr_mult has to be 0")
        if names[layer.name] > 1:
            raise TrainingError(f"{path}: {names[layer.name]} layers have the name {layer.name!r}")


def _set_batch_size(network: NetParameter, batch_size: int, *, weighted: bool) -> None:
    for layer in network.layer:
        if layer.type != "Input":
            continue
        shapes = layer.input_param.shape
        if len(shapes) == 1:
            for _ in layer.top[1:]:
                shapes.add().CopyFrom(shapes[0])
        for top, shape in zip(layer.top, shapes, strict=False):
            if shape.dim and (top in ("data", "label") or (top == "weight" and weighted)):
                shape.dim[0] = batch_size


def _classes(shapes: tuple[LayerShapes, ...], path: Path) -> int:
    """Return how many classes the losses tell apart; a label that is none of them would corrupt Caffe's memory."""
    found = {}
    for made in shapes:
        if "label" in made.layer.bottom[1:] or made.layer.type.endswith("Loss"):
            if made.layer.type == "Accuracy":
                continue
            if made.layer.type not in _LOSSES or list(made.layer.bottom[1:2]) != ["label"]:
                raise TrainingError(
                    f"{path}: layer {made.layer.name!r}: a loss has to be {' or '.join(_LOSSES)}, of the blob 'label'"
                )
            scores = made.bottoms[0]
            if len(scores) < 2 or _count(scores) != scores[0] * scores[1]:
                raise TrainingError(f"{path}: layer {made.layer.name!r} takes {format_shape(scores)}, not n x classes")
            found[made.layer.name] = scores[1]
    if not found:
        raise TrainingError(f"{path} has no loss; give the network for training, not deploy.prototxt")
    if len(set(found.values())) > 1:
        raise TrainingError(f"{path}: its losses differ in their number of classes: {found}")
    return min(found.values())


def _check_inputs(trained: TrainedNetwork, path: Path) -> None:
    inputs = trained.inputs
    if not {"data", "label"} <= set(inputs) <= set(INPUTS):
        raise TrainingError(f"{path}: its inputs are {', '.join(inputs) or 'none'}; they have to be data and label")
    if _count(inputs["label"]) != inputs["label"][0]:
        raise TrainingError(f"{path}: the input 'label' is {format_shape(inputs['label'])}; it has to be n")


def check_weights(trained: TrainedNetwork, caffemodel: Path) -> tuple[str, ...]:
    """Return the layers that take their blobs from a caffemodel, by name; TrainingError if none does, or misfits."""
    if caffemodel.suffix == ".h5":
        raise TrainingError(f"{caffemodel}: weights in HDF5 cannot be read")
    try:
        weights = read_caffemodel(caffemodel)
    except ModelError as error:
        raise TrainingError(str(error)) from error
    learning = {made.layer.name: made for made in trained.shapes}
    taken = []
    for layer in weights.layer:
        made = learning.get(layer.name)
        if made is not None and (made.blobs or layer.blobs):
            _check_fit(layer, made, caffemodel)
            taken.append(layer.name)
    if not taken:
        raise TrainingError(f"{caffemodel} has weights for no layer of the network; layers match by name")
    return tuple(taken)


def _check_fit(layer: LayerParameter, made: LayerShapes, caffemodel: Path) -> None:
    if len(layer.blobs) != len(made.blobs):
        raise TrainingError(
            f"{caffemodel}: layer {layer.name!r} has {len(layer.blobs)} blobs, but {len(made.blobs)} in the network"
        )
    for blob, wanted in zip(layer.blobs, made.blobs, strict=True):
        found, wanted = blob_shape(blob, wanted)
        if found != wanted:
            raise TrainingError(
                f"{caffemodel}: layer {layer.name!r} is {format_shape(found)}, but {format_shape(wanted)} "
                "in the network; a layer that is to start anew needs another name"
            )
        if (len(blob.data) or len(blob.double_data)) != _count(wanted):
            raise TrainingError(f"{caffemodel}: layer {layer.name!r} is cut short")


def blob_shape(blob: BlobProto, wanted: Shape) -> tuple[Shape, Shape]:
    """Give both shapes as Blob::ShapeEquals compares them: in the older form of four sides, where the file has that."""
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return (blob.num, blob.channels, blob.height, blob.width), (1,) * (4 - len(wanted)) + tuple(wanted)
    return tuple(blob.shape.dim), tuple(wanted)


def _count(shape: Shape) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
