"""What the converter knows of each type of layer, and the refusal of everything else.

A network with an option that is passed over would be another network. So each type lists the options that its function
reads; any other one is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.caffe_to_onnx import layers, windows
from nsfw_caffe.caffe_to_onnx.graph import Layer, Value
from nsfw_caffe.model.layer import ANY, miscount, refusal
from nsfw_caffe.model.schema.caffe_pb2 import TRAIN, LayerParameter


@dataclass(frozen=True)
class Rule:
    """How a type of layer is converted."""

    convert: Callable[[Layer], Value]  # adds the layer's nodes, and gives what its tops get
    parameter: str  # the message that holds its options, "" where it has none
    options: tuple[str, ...] = ()  # those that `convert` reads
    bottoms: tuple[int, int] = (1, 1)  # the smallest and the largest number
    tops: tuple[int, int] = (1, 1)
    in_place: bool = False  # whether Caffe gives the right numbers where the top is the bottom


_WINDOW = ("kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w")

RULES = {
    "BatchNorm": Rule(layers.batch_norm, "batch_norm_param", ("use_global_stats", "eps"), in_place=True),
    "Bias": Rule(layers.bias, "bias_param", ("axis", "num_axes"), (1, 2), in_place=True),
    "Concat": Rule(layers.concat, "concat_param", ("axis", "concat_dim"), (1, ANY)),
    "Convolution": Rule(
        windows.convolution,
        "convolution_param",
        (*_WINDOW, "num_output", "bias_term", "group", "dilation", "axis"),
    ),
    "Dropout": Rule(layers.dropout, "dropout_param", in_place=True),
    "Eltwise": Rule(layers.eltwise, "eltwise_param", ("operation", "coeff"), (2, ANY)),
    "Flatten": Rule(layers.flatten, "flatten_param", ("axis", "end_axis")),
    "InnerProduct": Rule(layers.inner_product, "inner_product_param", ("num_output", "bias_term", "axis", "transpose")),
    "LRN": Rule(layers.lrn, "lrn_param", ("local_size", "alpha", "beta", "norm_region", "k")),
    "Pooling": Rule(windows.pooling, "pooling_param", (*_WINDOW, "pool", "global_pooling", "round_mode")),
    "PReLU": Rule(layers.prelu, "prelu_param", ("channel_shared",), in_place=True),
    "ReLU": Rule(layers.relu, "relu_param", ("negative_slope",), in_place=True),
    "Reshape": Rule(layers.reshape, "reshape_param", ("shape", "axis", "num_axes")),
    "Scale": Rule(layers.scale, "scale_param", ("axis", "num_axes", "bias_term"), (1, 2), in_place=True),
    "Softmax": Rule(layers.softmax, "softmax_param", ("axis",), in_place=True),
    "Split": Rule(layers.split, "", tops=(1, ANY)),
}
"""By type of layer. `Input` is not among them: it makes no node."""

_INPUT = Rule(layers.split, "input_param", ("shape",), bottoms=(0, 0))

# What says where a layer stands, and what plays a part only in training.
_HARMLESS_FIELDS = {
    *("name", "type", "bottom", "top", "include", "exclude", "phase"),
    *("param", "loss_weight", "propagate_down"),
}

# How blobs are filled before training, what else plays a part only there, and the choice among implementations that
# compute the same.
_HARMLESS_OPTIONS = {
    *("filler", "weight_filler", "bias_filler", "moving_average_fraction", "dropout_ratio", "stable_prod_grad"),
    *("engine", "force_nd_im2col"),
}


def refuse_unknown_type(layer: LayerParameter, prototxt: Path) -> None:
    """Raise the ModelError for a layer that the converter does not know."""
    if layer.type not in RULES and layer.type != "Input":
        raise refusal(prototxt, layer, f"this type is not supported; these are: Input, {', '.join(RULES)}")


def refuse_unknown(layer: LayerParameter, prototxt: Path) -> None:
    """Raise the ModelError for a type, an option or a number of blobs that the converter does not know."""
    refuse_unknown_type(layer, prototxt)
    rule = _INPUT if layer.type == "Input" else RULES[layer.type]
    for field, value in layer.ListFields():
        if field.name == rule.parameter:
            for option, _ in value.ListFields():
                if option.name not in rule.options and option.name not in _HARMLESS_OPTIONS:
                    raise refusal(prototxt, layer, f"the option {rule.parameter}.{option.name} is not supported")
        # Options of other types: each type of Caffe's reads its own alone.
        elif field.name not in _HARMLESS_FIELDS and not field.name.endswith("_param"):
            raise refusal(prototxt, layer, f"{field.name} is not supported here")
    if layer.phase == TRAIN and layer.HasField("phase"):
        raise refusal(prototxt, layer, "phase: TRAIN makes it work as in training")
    wrong = miscount(layer, rule.bottoms, rule.tops)
    if wrong is not None:
        found, wanted = wrong
        raise refusal(prototxt, layer, f"{found}; {wanted} are supported")
