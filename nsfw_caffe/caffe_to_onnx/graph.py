"""The graph between Caffe and ONNX: nodes whose weights may be float64, and one Caffe layer while it becomes nodes.

It is written in float32, and only with what runtimes of years ago read too; nothing but the writing needs onnx.

Shapes are those of one picture: the first axis is 1, and every blob keeps it as the picture's, so that it can become
the dynamic axis of a batch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model import wire
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.layer import CheckedLayer, Shape, format_shape
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto, LayerParameter

if TYPE_CHECKING:
    import onnx

Array: TypeAlias = npt.NDArray[Any]
Attributes: TypeAlias = dict[str, int | float | list[int]]

AFFINE = "Affine"
"""The operator of a node that multiplies by its first constant and adds its second; ONNX has none, see `_steps`."""

OPSET = 13
"""Of ai.onnx, from ONNX 1.8 (2020): the first whose Softmax takes one axis, as Caffe's does."""

IR_VERSION = 7
"""The file format's version of the same release."""

BATCH = "n"
"""Name of the dynamic axis."""


@dataclass(frozen=True)
class Value:
    """What a layer gives to the next."""

    name: str  # unique in the graph
    shape: Shape
    storage: str  # which memory Caffe keeps it in: some layers give their input's own


@dataclass
class Node:
    """An operation of ONNX, or `AFFINE`; inputs and output are names of values."""

    operator: str
    inputs: list[str]
    output: str
    constants: list[Array]  # the inputs after those: weights in float32 or float64, shapes in int64
    attributes: Attributes
    shape: Shape  # of the output; inside an InnerProduct the first axis may be longer than 1


@dataclass
class Graph:
    """The nodes so far, in an order in which they can run."""

    nodes: list[Node] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """Give a name that no value has yet, like this one, and take it."""
        candidate, count = name, 0
        while candidate in self.names:
            count += 1
            candidate = f"{name}_{count}"
        self.names.add(candidate)
        return candidate


class Layer(CheckedLayer):
    """One layer of Caffe's, with what its conversion needs: what the prototxt says, and the values that it is given."""

    def __init__(
        self,
        parameter: LayerParameter,
        bottoms: list[Value],
        blobs: Sequence[BlobProto],
        files: tuple[Path, Path],
        graph: Graph,
    ) -> None:
        super().__init__(parameter, files[0])
        self.bottoms = bottoms
        self._blobs = blobs
        self._caffemodel = files[1]
        self._graph = graph

    def weights(self, index: int, shape: Shape) -> Array:
        """Give a learned blob in float64, to compute with."""
        return self.stored(index, shape).astype(np.float64)

    def stored(self, index: int, shape: Shape) -> Array:
        """Give a learned blob in float32, read-only; it must have the shape that the layer needs, as Caffe demands."""
        blob = self._blobs[index]
        found: Shape = tuple(blob.shape.dim)
        wanted = shape
        if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
            found = blob.num, blob.channels, blob.height, blob.width
            wanted = (1,) * (4 - len(shape)) + shape
        if found != wanted:
            raise ModelError(
                f"{self._caffemodel}: blob {index} of layer {self.parameter.name!r} is {format_shape(found)}; "
                f"{self.prototxt} needs {format_shape(shape)}"
            )
        values = blob_values(blob)
        if not np.isfinite(values).all():
            raise ModelError(
                f"{self._caffemodel}: blob {index} of layer {self.parameter.name!r} holds values that are not finite"
            )
        return values.reshape(shape)

    def unique_name(self) -> str:
        """Take a name for a value that this layer makes."""
        return self._graph.unique(self.parameter.top[0])

    def add(
        self,
        operator: str,
        inputs: Sequence[Value],
        shape: Shape,
        constants: Sequence[Array] = (),
        attributes: Attributes | None = None,
    ) -> Value:
        """Add a node, and give its output."""
        name = self.unique_name()
        names = [value.name for value in inputs]
        self._graph.nodes.append(Node(operator, names, name, list(constants), attributes or {}, shape))
        return Value(name, shape, name)

    def affine(self, value: Value, factor: Array | float, offset: Array | float) -> Value:
        """Multiply a value by an array that is broadcast to its shape, and add another one."""
        return self.add(AFFINE, [value], value.shape, [_spread(array, value.shape) for array in (factor, offset)])

    def reshape(self, value: Value, shape: Shape) -> Value:
        """Give a value another shape; as in Caffe, it stays in the same memory."""
        self.require(
            shape[:1] == (1,), f"a blob of {format_shape(shape)} for one picture has no axis of pictures in front"
        )
        if shape == value.shape:
            return value
        target = np.array((0, *shape[1:]), np.int64)  # 0: as many pictures as there are
        made = self.add("Reshape", [value], shape, [target])
        return Value(made.name, shape, value.storage)

    def regroup(self, value: Value, *rest: int) -> Value:
        """Give a value these axes after a first one that holds all the rest, pictures and more."""
        first = math.prod(value.shape) // math.prod(rest)
        return self.add("Reshape", [value], (first, *rest), [np.array((-1, *rest), np.int64)])


def _spread(array: Array | float, shape: Shape) -> Array:
    """Repeat an array that differs from pixel to pixel until it has the whole shape of what it is applied to.

    OpenVINO takes a shorter one for weights of the convolution that follows, where the kernel happens to have its size.
    """
    array = np.asarray(array, float)
    return np.broadcast_to(array, shape) if max(array.shape[-len(shape) + 2 :], default=1) > 1 else array


def write(source: Value, nodes: list[Node], output: Value, version: str) -> bytes:
    """Write a graph, from its source to its output, as the bytes of an ONNX file: the same bytes for the same graph.

    OverflowError names the value whose constant exceeds float32.
    """
    from onnx import helper

    written: list[onnx.NodeProto] = []
    constants: dict[str, Array] = {}
    for node in nodes:
        for operator, inputs, name, arrays in _steps(node):
            names = [f"{name}/{index}" for index in range(len(arrays))]
            constants.update(zip(names, map(_as_written, names, arrays), strict=True))
            written.append(_node(operator, [*inputs, *names], name, node.attributes))
        node.constants = []
    if output.name == source.name:
        output = Value(f"{output.name}/same", output.shape, output.storage)
        written.append(helper.make_node("Identity", [source.name], [output.name]))
    # With the shapes in between, the checker compares ours with its own.
    between = [_info(node.output, node.shape) for node in nodes if node.output != output.name]
    graph = helper.make_graph(
        written,
        "caffe",
        [_info(source.name, source.shape)],
        [_info(output.name, output.shape)],
        value_info=between,
    )
    model = helper.make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="nsfw_caffe",
        producer_version=version,
    )
    _check(model, constants)
    return _with_constants(model, constants)


def _check(model: onnx.ModelProto, constants: dict[str, Array]) -> None:
    """Check a model whose weights are given as inputs: the checker would copy them three times over."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    for name, array in constants.items():
        if array.dtype == np.float32:
            checked.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
        else:
            checked.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.checker.check_model(checked, full_check=True)


def _with_constants(model: onnx.ModelProto, constants: dict[str, Array]) -> bytes:
    """Write a model with these constants, byte for byte as protobuf does, but with one copy of them and no more."""
    from onnx import GraphProto, ModelProto, TensorProto, helper

    before, after = _halves(model.graph, GraphProto.INITIALIZER_FIELD_NUMBER)
    graph = [before]
    for name, array in constants.items():
        tensor = TensorProto(dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), name=name)
        content = wire.field(TensorProto.RAW_DATA_FIELD_NUMBER, array.reshape(-1).view(np.uint8).data)
        graph += wire.field(GraphProto.INITIALIZER_FIELD_NUMBER, tensor.SerializeToString(), *content)
    before_graph, after_graph = _halves(model, ModelProto.GRAPH_FIELD_NUMBER)
    return b"".join([before_graph, *wire.field(ModelProto.GRAPH_FIELD_NUMBER, *graph, after), after_graph])


def _halves(message: onnx.ModelProto | onnx.GraphProto, number: int) -> tuple[wire.Part, wire.Part]:
    """Write the fields before and after a number: protobuf writes them in the order of their numbers."""
    before, after = copy.deepcopy(message), copy.deepcopy(message)
    for present, _ in message.ListFields():
        if present.number >= number:
            before.ClearField(present.name)
        if present.number <= number:
            after.ClearField(present.name)
    return before.SerializeToString(deterministic=True), after.SerializeToString(deterministic=True)


def _steps(node: Node) -> list[tuple[str, list[str], str, list[Array]]]:
    """Give the operations that make up a node: operator, inputs, output, constants."""
    if node.operator != AFFINE:
        return [(node.operator, node.inputs, node.output, node.constants)]
    factor, offset = node.constants
    between = f"{node.output}/scaled"
    if not offset.any():
        return [("Mul", node.inputs, node.output, [factor])]
    if (factor == 1).all():
        return [("Add", node.inputs, node.output, [offset])]
    return [("Mul", node.inputs, between, [factor]), ("Add", [between], node.output, [offset])]


def _node(operator: str, inputs: list[str], output: str, attributes: Attributes) -> onnx.NodeProto:
    from onnx import helper

    node = helper.make_node(operator, inputs, [output], output)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))
    return node


def _as_written(name: str, array: Array) -> Array:
    """Give a constant as it lies in the file."""
    if array.dtype == np.int64:
        return np.ascontiguousarray(array, "<i8")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, "<f4")
    if array.dtype != np.float32 and not np.isfinite(values).all():
        raise OverflowError(f"the constants of {name!r} are too large for float32")
    return values


def _info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    first = BATCH if shape[0] == 1 else None
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [first, *shape[1:]])
