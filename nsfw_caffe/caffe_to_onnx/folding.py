"""Folding BatchNorm, Scale and Bias into the layer before them, in float64."""

from __future__ import annotations

from collections import Counter

from nsfw_caffe.caffe_to_onnx.graph import AFFINE, Array, Node


def fold(nodes: list[Node], output: str) -> list[Node]:
    """Fold each multiplication and addition of constants into what makes its input, where that is the same.

    Parameters
    ----------
    nodes : list of Node
        The graph, in order. The nodes that stay are changed.
    output : str
        The value that the graph gives.

    Returns
    -------
    list of Node
        The nodes that stay, in order.
    """
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
