"""All layers of a network, one after another: what each is given, makes and learns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.layer import Shape, format_shape, miscount, refusal
from nsfw_caffe.model.network import layers_in_test
from nsfw_caffe.model.schema.caffe_pb2 import BlobShape, LayerParameter, NetParameter
from nsfw_caffe.model.shapes import arranging, data, layers, losses
from nsfw_caffe.model.shapes.base import Made, ShapedLayer, Shapes

RULES = layers.RULES | arranging.RULES | losses.RULES | data.RULES
"""By type of layer; what is missing needs data, or runs code of its own."""

_MOST = 2**31 - 1
"""The largest number of values in a blob, whose count is an int: Blob::Reshape."""


@dataclass(frozen=True)
class LayerShapes:
    """A layer with the shapes of what it reads, makes and learns."""

    layer: LayerParameter
    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    blobs: tuple[Shape, ...]


def network_shapes(network: NetParameter, prototxt: Path | str) -> list[LayerShapes]:
    """Work out the shapes of all layers that are there in the TEST phase, in order; an Input is made of older fields.

    ModelError names file, layer and type where Caffe would abort, or a shape cannot be told without data.
    """
    blobs = _Blobs(prototxt)
    shapes = []
    for layer in [*_older_inputs(network, prototxt), *layers_in_test(network)]:
        bottoms = blobs.take(layer)
        made = layer_shapes(layer, bottoms, prototxt)
        blobs.put(layer, made)
        shapes.append(LayerShapes(layer, tuple(bottoms), tuple(made.tops), tuple(made.blobs)))
    return shapes


def layer_shapes(layer: LayerParameter, bottoms: Shapes, prototxt: Path | str) -> Made:
    """Work out what a layer makes and learns of bottoms with these shapes."""
    rule = RULES.get(layer.type)
    if rule is None:
        raise refusal(prototxt, layer, "the shapes of this type cannot be told without Caffe")
    shaped = ShapedLayer(layer, prototxt, bottoms)
    wrong = miscount(layer, rule.bottoms, rule.tops)
    if wrong is not None:
        found, wanted = wrong
        raise shaped.refuse(f"{found}; it takes {wanted}")
    weights, tops = len(layer.loss_weight), max(len(layer.top), 1)
    shaped.require(weights in {0, tops}, f"{weights} loss_weight for {tops} top blobs")
    made = rule.make(shaped)
    for shape in [*made.tops, *made.blobs]:
        shaped.require(min(shape, default=0) >= 0, f"a blob cannot be {format_shape(shape)}")
        shaped.require(math.prod(shape) <= _MOST, f"a blob of {format_shape(shape)} is more than Caffe can hold")
    return made


def _older_inputs(network: NetParameter, prototxt: Path | str) -> Iterator[LayerParameter]:
    """Make a layer of the fields that stood for Input once: UpgradeNetInput."""
    if not network.input:
        return
    count, dims = len(network.input), list(network.input_dim)
    shapes = list(network.input_shape) or [BlobShape(dim=dims[first : first + 4]) for first in range(0, len(dims), 4)]
    if len(shapes) != count or len(dims) % 4:
        raise ModelError(f"{prototxt}: {count} inputs need as many input_shape, or four input_dim each")
    layer = LayerParameter(name="input", type="Input", top=network.input)
    layer.input_param.shape.extend(shapes)
    yield layer


class _Blobs:
    """The blobs so far, by name, as Net::Init and InsertSplits connect layers, and what layers share by name."""

    def __init__(self, prototxt: Path | str) -> None:
        self._prototxt = prototxt
        self._shapes: dict[str, Shape] = {}
        self._readers: dict[str, int] = {}
        self._shared: dict[str, Shape] = {}

    def take(self, layer: LayerParameter) -> Shapes:
        """Give the shapes of a layer's bottoms."""
        for name in layer.bottom:
            if name not in self._shapes:
                raise refusal(self._prototxt, layer, f"there is no blob {name!r} before it")
            self._readers[name] += 1
        return [self._shapes[name] for name in layer.bottom]

    def put(self, layer: LayerParameter, made: Made) -> None:
        """Keep a layer's tops, and what it learns under a name."""
        # A loss layer without names for its tops gets them from Caffe.
        for position, (name, shape) in enumerate(zip(layer.top, made.tops, strict=False)):
            if name in self._shapes:
                if position >= len(layer.bottom) or layer.bottom[position] != name:
                    raise refusal(self._prototxt, layer, f"a blob {name!r} is there already")
                if layer.type in _NEVER_IN_PLACE:
                    raise refusal(self._prototxt, layer, "Caffe does not compute this type in place")
                # Caffe splits such a blob into copies of other names, and then refuses the top.
                if self._readers[name] > 1:
                    raise refusal(self._prototxt, layer, f"writes into {name!r}, which another layer reads too")
            self._shapes[name], self._readers[name] = shape, 0
        if len(layer.param) > len(made.blobs):
            count = len(layer.param)
            raise refusal(self._prototxt, layer, f"{count} param for {len(made.blobs)} blobs")
        for parameter, shape in zip(layer.param, made.blobs, strict=False):
            if parameter.name:
                found = self._shared.setdefault(parameter.name, shape)
                permissive = parameter.share_mode == parameter.PERMISSIVE
                if found != shape and not (permissive and math.prod(found) == math.prod(shape)):
                    raise refusal(
                        self._prototxt,
                        layer,
                        f"the shared blob {parameter.name!r} is {format_shape(found)}, not {format_shape(shape)}",
                    )


_NEVER_IN_PLACE = {"AbsVal", "BatchReindex", "Filter", "Flatten", "Reshape", "Split"}
"""The types that check that their top is another blob than their bottom."""
