"""Writing the graph as an ONNX model: float32, and only what runtimes of years ago read too."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nsfw_caffe.caffe_to_onnx.graph import AFFINE, Array, Attributes, Node, Value

OPSET = 13
"""Of ai.onnx, from ONNX 1.8 (2020): the first whose Softmax takes one axis, as Caffe's does."""

IR_VERSION = 7
"""The file format's version of the same release."""

BATCH = "n"
"""Name of the dynamic axis."""


def write(source: Value, nodes: list[Node], output: Value, version: str) -> bytes:
    """Write a graph, from its source to its output, as the bytes of an ONNX file: the same bytes for the same graph.

    OverflowError names the value whose constant exceeds float32.
    """
    written: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for node in nodes:
        for operator, inputs, name, arrays in _steps(node):
            names = [f"{name}/{index}" for index in range(len(arrays))]
            constants += map(_tensor, names, arrays)
            written.append(_node(operator, [*inputs, *names], name, node.attributes))
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
        initializer=constants,
        value_info=between,
    )
    model = helper.make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="nsfw_caffe",
        producer_version=version,
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


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
    node = helper.make_node(operator, inputs, [output], output)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))
    return node


def _tensor(name: str, array: Array) -> TensorProto:
    if array.dtype != np.float64:
        return numpy_helper.from_array(array, name)
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise OverflowError(f"the constants of {name!r} are too large for float32")
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def _info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    first = BATCH if shape[0] == 1 else None
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [first, *shape[1:]])
