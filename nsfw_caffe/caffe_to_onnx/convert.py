"""From the two files of a Caffe model to the graph, as Caffe's Net::Init puts layers together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from nsfw_caffe.caffe_to_onnx import VERSION
from nsfw_caffe.caffe_to_onnx.graph import AFFINE, Array, Graph, Layer, Node, Value, write
from nsfw_caffe.caffe_to_onnx.rules import RULES, refuse_unknown, refuse_unknown_type
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.model.check import check_blobs
from nsfw_caffe.model.layer import Shape, refusal
from nsfw_caffe.model.network import layers_in_test, read_caffemodel, read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto, LayerParameter, NetParameter
from nsfw_caffe.system.extras import install_hint


def convert(prototxt: Path, caffemodel: Path) -> bytes:
    """Convert a Caffe model to ONNX, always to the same bytes; the input's first axis is dynamic.

    ModelError where a file cannot be read, or holds anything that the converter does not do exactly as Caffe does.
    """
    require_onnx()
    network, weights = _read(prototxt), read_caffemodel(caffemodel)
    layers = layers_in_test(network)
    for layer in layers:
        refuse_unknown(layer, prototxt)
    _refuse_shared_blobs(layers, prototxt)
    check_blobs(layers, weights, prototxt, caffemodel)
    blobs = {layer.name: list(layer.blobs) for layer in weights.layer}
    graph = Graph()
    builder = _Builder(layers, blobs, (prototxt, caffemodel), graph)
    source = builder.source(network)
    output = builder.build()
    try:
        return write(source, _fold(graph.nodes, output.name), output, VERSION)
    except OverflowError as error:
        raise ModelError(f"{prototxt} with {caffemodel}: {error}") from error


def require_onnx() -> None:
    """Raise EngineUnavailable where the package onnx is missing."""
    try:
        from onnx import TensorProto, helper, numpy_helper  # noqa: F401 - what writing the graph takes
    except ImportError as error:
        raise EngineUnavailable(f"converting the model: {error}; get it with {install_hint('onnxruntime')}") from error


def _read(prototxt: Path) -> NetParameter:
    """Read the prototxt with every field known."""
    try:
        return read_prototxt(prototxt, allow_unknown_fields=False)
    except ModelError:
        # A type that is not known often has options that the schema does not know: name the layer rather than those.
        for layer in layers_in_test(read_prototxt(prototxt)):
            refuse_unknown_type(layer, prototxt)
        raise


def _refuse_shared_blobs(layers: list[LayerParameter], prototxt: Path) -> None:
    names = Counter(parameter.name for layer in layers for parameter in layer.param if parameter.name)
    for layer in layers:
        for parameter in layer.param:
            if names[parameter.name] > 1:
                raise refusal(prototxt, layer, f"shares its blob {parameter.name!r}, which is not supported")


class _Builder:
    """Goes through the layers once; a blob's name stands for the value that the last layer put there."""

    def __init__(
        self, layers: list[LayerParameter], blobs: dict[str, list[BlobProto]], files: tuple[Path, Path], graph: Graph
    ) -> None:
        self._layers = layers
        self._blobs = blobs
        self._files = files
        self._graph = graph
        self._values: dict[str, Value] = {}
        self._readers: Counter[str] = Counter()
        self._last_use = {name: index for index, layer in enumerate(layers) for name in layer.bottom}
        self._last_made = {name: index for index, layer in enumerate(layers) for name in layer.top}

    def source(self, network: NetParameter) -> Value:
        """Take the one input: an Input layer, or the field `input` of older files."""
        inputs: list[tuple[str, Shape]] = []
        for layer in self._layers:
            if layer.type == "Input":
                inputs += [(layer.top[0], tuple(shape.dim)) for shape in layer.input_param.shape]
        shapes = [tuple(shape.dim) for shape in network.input_shape] or [tuple(network.input_dim)]
        if len(network.input) == len(shapes):
            inputs += zip(network.input, shapes, strict=True)
        if len(inputs) != 1 or len(inputs[0][1]) < 2 or min(inputs[0][1]) < 1:
            raise ModelError(f"{self._files[0]}: the network needs exactly one input, with a shape")
        ((name, shape),) = inputs
        source = self._graph.unique(name)
        self._values[name] = Value(source, (1, *shape[1:]), source)
        return self._values[name]

    def build(self) -> Value:
        """Convert all layers, and give the one blob that no layer reads."""
        for index, layer in enumerate(self._layers):
            if layer.type != "Input":
                self._convert(index, layer)
        outputs = [name for name, made in self._last_made.items() if self._last_use.get(name, -1) <= made]
        if len(outputs) != 1:
            raise ModelError(f"{self._files[0]}: expected one output, found {', '.join(outputs) or 'none'}")
        return self._values[outputs[0]]

    def _convert(self, index: int, parameter: LayerParameter) -> None:
        rule = RULES[parameter.type]
        for name in parameter.bottom:
            if name not in self._values:
                raise refusal(self._files[0], parameter, f"there is no blob {name!r} before it")
            self._readers[name] += 1
        bottoms = [self._values[name] for name in parameter.bottom]
        layer = Layer(parameter, bottoms, self._blobs.get(parameter.name, []), self._files, self._graph)
        value = rule.convert(layer)
        for position, top in enumerate(parameter.top):
            if top in self._values:
                layer.require(position == 0 and top == parameter.bottom[0], f"a blob {top!r} is there already")
                layer.require(rule.in_place, "Caffe does not compute this type in place")
                # Caffe splits such a blob into copies of other names, and then refuses the top.
                layer.require(self._readers[top] == 1, f"writes into {top!r}, which another layer reads too")
                self._refuse_spoiled(index, layer, top)
                value = replace(value, storage=bottoms[0].storage)
                self._readers[top] = 0
            self._values[top] = value

    def _refuse_spoiled(self, index: int, layer: Layer, top: str) -> None:
        """Refuse to write into memory that another blob, which is still to be read, shares in Caffe."""
        storage = self._values[top].storage
        for name, value in self._values.items():
            if name != top and value.storage == storage and self._last_use.get(name, -1) >= index:
                raise layer.refuse(f"writes into {top!r}, whose memory {name!r} shares in Caffe")


def _fold(nodes: list[Node], output: str) -> list[Node]:
    """Fold BatchNorm, Scale and Bias, in float64, into the node before, and give the nodes that stay, changed."""
    uses = Counter(name for node in nodes for name in node.inputs)
    uses[output] += 1
    makers: dict[str, Node] = {}
    kept = []
    for node in nodes:
        source = node.inputs[0]
        maker = makers.get(source)
        # What others read too has to stay as it is.
        if node.operator == AFFINE and maker is not None and uses[source] == 1 and _absorb(maker, *node.constants):
            maker.output = node.output
            makers[node.output] = maker
        else:
            kept.append(node)
            makers[node.output] = node
    return kept


def _absorb(node: Node, factor: Array, offset: Array) -> bool:
    """Make a node multiply its output by a factor and add an offset; False where its constants cannot."""
    if node.operator == AFFINE:
        node.constants = [node.constants[0] * factor, node.constants[1] * factor + offset]
        return True
    if node.operator not in {"Conv", "Gemm"} or not (_by_channel(factor, node) and _by_channel(offset, node)):
        return False
    weights, bias = node.constants
    rows = (-1,) + (1,) * (weights.ndim - 1)
    node.constants = [weights * factor.reshape(rows), bias * factor.ravel() + offset.ravel()]
    return True


def _by_channel(array: Array, node: Node) -> bool:
    """Tell whether an array that is broadcast to a node's output differs at most from channel to channel."""
    rank = len(node.shape)
    shape = (1,) * (rank - array.ndim) + array.shape
    return all(size == 1 for axis, size in enumerate(shape) if axis != 1)
