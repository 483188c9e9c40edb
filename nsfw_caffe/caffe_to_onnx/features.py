"""A converted network with one more output: the feature map that its last pooling averages."""

from __future__ import annotations


def with_features(content: bytes) -> bytes:
    """Give a converted network, of those that `model.head.find_head` knows, that map as its second output.

    EngineUnavailable where the package onnx is missing.
    """
    from nsfw_caffe.caffe_to_onnx.convert import require_onnx  # which needs protobuf; loading an engine does not

    require_onnx()
    import onnx

    model = onnx.ModelProto.FromString(content)
    makers = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while (node := makers[name]).op_type != "AveragePool":
        name = node.input[0]
    found = next(value for value in model.graph.value_info if value.name == node.input[0])
    model.graph.output.append(found)
    return model.SerializeToString()
