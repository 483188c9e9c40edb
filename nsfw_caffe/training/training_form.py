"""A network's form for training, made of the one for scoring: a loss, fixed statistics, and which layers learn."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter, ParamSpec
from nsfw_caffe.model.shapes.network import network_shapes
from nsfw_caffe.training.network import in_training

HEAD_RATE = 5.0
"""How many times the others' rate the last layer learns with: `fc_nsfw` in open_nsfw's deploy.prototxt."""

_STAGE = re.compile(r"stage\d+|conv\d+|res\d+|inception_\d+|fire\d+")
"""What published networks call the parts that a layer's name begins with, or has within."""


def training_form(
    network: NetParameter,
    *,
    learning: str = "all",
    weighted: bool = False,
    head_rate: float = HEAD_RATE,
    fixed_statistics: bool = True,
) -> NetParameter:
    """Give a network as it is trained, of its form for scoring, or of one that has losses.

    `learning` is "last", "all", or the name of the layer or stage that is the first to learn; `weighted` has the losses
    take class weights from an Input; with `fixed_statistics` BatchNorm computes as it does in scoring, so that what a
    picture gives does not depend on its batch. TrainingError if there is no such layer, or no end to put a loss on.
    """
    made = in_training(network)
    if not _losses(made):
        _end_with_loss(made)
    _add_inputs(made, _classes(made, _losses(made)[-1]), weighted=weighted)
    losses = _losses(made)
    for loss in losses:
        loss.type = "InfogainLoss" if weighted else "SoftmaxWithLoss"
        loss.bottom[:] = [loss.bottom[0], "label", *(["weight"] if weighted else [])]
    heads = [_maker(made, loss.bottom[0]) for loss in losses]
    _set_rates(made, heads[-1:] if learning == "last" else heads, learning, head_rate)
    for layer in made.layer:
        if layer.type == "BatchNorm" and fixed_statistics:
            layer.batch_norm_param.use_global_stats = True
    return made


def _losses(network: NetParameter) -> list[LayerParameter]:
    return [layer for layer in network.layer if layer.type in ("SoftmaxWithLoss", "InfogainLoss")]


def _end_with_loss(network: NetParameter) -> None:
    """Make a loss of the Softmax at the network's end."""
    last = network.layer[-1]
    if last.type != "Softmax" or len(last.bottom) != 1:
        raise TrainingError(f"{network.name}: it ends with {last.type} {last.name!r}; it has to end with a Softmax")
    last.ClearField("softmax_param")
    last.top[:] = ["loss"]
    last.name, last.type = "loss", "SoftmaxWithLoss"


def _maker(network: NetParameter, blob: str) -> LayerParameter:
    """Return the layer with weights that a blob comes from, past what only changes it in place."""
    for layer in reversed(network.layer):
        if blob in layer.top and layer.type in ("InnerProduct", "Convolution"):
            return layer
        if blob in layer.top and layer.bottom and blob not in layer.bottom:
            blob = layer.bottom[0]
    raise TrainingError(f"{network.name}: no layer with weights makes {blob!r}, which the loss takes")


def _classes(network: NetParameter, loss: LayerParameter) -> int:
    head = _maker(network, loss.bottom[0])
    options = head.inner_product_param if head.type == "InnerProduct" else head.convolution_param
    return int(options.num_output)


def _add_inputs(network: NetParameter, classes: int, *, weighted: bool) -> None:
    """Add what else there is to feed, after the Input of the pictures."""
    inputs = [top for layer in network.layer if layer.type == "Input" for top in layer.top]
    wanted = {"label": (1,)} | ({"weight": (1, 1, classes, classes)} if weighted else {})
    layers = [LayerParameter() for _ in network.layer]
    for copy, layer in zip(layers, network.layer, strict=True):
        copy.CopyFrom(layer)
    del network.layer[:]
    place = next((number for number, layer in enumerate(layers) if layer.type == "Input"), -1) + 1
    for name, shape in wanted.items():
        if name not in inputs:
            added = LayerParameter(name=name, type="Input", top=[name])
            added.input_param.shape.add().dim.extend(shape)
            layers.insert(place, added)
            place += 1
    network.layer.extend(layers)


def _set_rates(network: NetParameter, heads: list[LayerParameter], learning: str, head_rate: float) -> None:
    """Have the last layers learn faster, and those before the first that is to learn not at all."""
    names = {head.name for head in heads}
    first = _first(network.layer, names, learning)
    counts = {made.layer.name: len(made.blobs) for made in network_shapes(network, network.name)}
    for number, layer in enumerate(network.layer):
        count = counts[layer.name]
        if layer.name in names:
            rates = [ParamSpec(lr_mult=head_rate, decay_mult=1), ParamSpec(lr_mult=2 * head_rate, decay_mult=0)]
            _set(layer, rates[:count])
        elif layer.type == "BatchNorm" or number < first:
            _set(layer, [ParamSpec(lr_mult=0, decay_mult=0)] * count)


def _set(layer: LayerParameter, rates: list[ParamSpec]) -> None:
    del layer.param[:]
    layer.param.extend(rates)


def _first(layers: Iterable[LayerParameter], heads: set[str], learning: str) -> int:
    """Return the number of the first layer that learns; all that come after it do too."""
    layers = list(layers)
    if learning == "all":
        return 0
    for number, layer in enumerate(layers):
        if layer.name in heads if learning == "last" else _is_of(layer.name, learning):
            return number
    stages = dict.fromkeys(found[0] for layer in layers if (found := _STAGE.search(layer.name)))
    raise TrainingError(
        f"there is no layer or stage {learning!r} to learn from on; there are 'last', 'all', {', '.join(stages)}, "
        "and every layer's name"
    )


def _is_of(name: str, stage: str) -> bool:
    """Tell whether a layer's name is this one, or has it as a whole part: stage1, but not stage10."""
    return name == stage or re.search(rf"(?<![A-Za-z0-9]){re.escape(stage)}(?![0-9])", name) is not None
