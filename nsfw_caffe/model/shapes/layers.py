"""Layers that keep their input's shape, that move a window over it, and that multiply it by a matrix."""

from __future__ import annotations

import math

from nsfw_caffe.model.layer import CheckedLayer, Shape, format_shape
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter
from nsfw_caffe.model.shapes.base import MANY, NONE, Made, Rule, ShapedLayer, Shapes
from nsfw_caffe.model.windows import convolution_windows, pooling_windows


def _same(layer: ShapedLayer) -> Made:
    return Made([layer.bottom] * len(layer.parameter.top))


def _nothing(layer: ShapedLayer) -> Made:  # noqa: ARG001 - one of the table's functions
    return Made([])


def _batch_norm(layer: ShapedLayer) -> Made:
    """BatchNormLayer: mean, variance, and the number that both are divided by."""
    for parameter in layer.parameter.param:
        layer.require(parameter.lr_mult == 0 or not parameter.HasField("lr_mult"), "lr_mult has to be 0")
    layer.require_rank(2)
    channels = layer.bottom[1:2]
    return Made([layer.bottom], [channels, channels, (1,)])


def _scale(layer: ShapedLayer) -> Made:
    """ScaleLayer: a blob to multiply by, or the second bottom, then perhaps one to add."""
    options = layer.parameter.scale_param
    covered = _covered(layer, options.axis, options.num_axes)
    return Made([layer.bottom], [covered] * ((len(layer.bottoms) == 1) + options.bias_term))


def _bias(layer: ShapedLayer) -> Made:
    options = layer.parameter.bias_param
    covered = _covered(layer, options.axis, options.num_axes)
    return Made([layer.bottom], [covered] * (len(layer.bottoms) == 1))


def _covered(layer: ShapedLayer, axis: int, num_axes: int) -> Shape:
    """Give the shape of what is multiplied by or added: the second bottom's, or that of some axes."""
    rank = len(layer.bottom)
    if len(layer.bottoms) > 1:
        second = layer.bottoms[1]
        start = layer.bottom_axis(axis) if second else 0
        layer.require(
            layer.bottom[start : start + len(second)] == second,
            f"the second input is {format_shape(second)}, which is not the first one's, "
            f"{format_shape(layer.bottom)}, from axis {start} on",
        )
        return second
    start = layer.bottom_axis(axis) if num_axes else 0
    end = rank if num_axes == -1 else start + num_axes
    layer.require(num_axes >= -1 and end <= rank, f"axis {axis} and num_axes {num_axes} of {rank} axes")
    return layer.bottom[start:end]


def _prelu(layer: ShapedLayer) -> Made:
    layer.require_rank(2)
    return Made([layer.bottom], [() if layer.parameter.prelu_param.channel_shared else layer.bottom[1:2]])


def _lrn(layer: ShapedLayer) -> Made:
    layer.require_rank(4, 4)
    layer.require(layer.parameter.lrn_param.local_size % 2 == 1, "local_size must be odd")
    return _same(layer)


def _softmax(layer: ShapedLayer) -> Made:
    layer.bottom_axis(layer.parameter.softmax_param.axis)
    return _same(layer)


# Layers with windows or matrices.


def _convolution(layer: ShapedLayer) -> Made:
    """BaseConvolutionLayer: each bottom gives a top, by the same blobs."""
    options = layer.parameter.convolution_param
    transposed = layer.parameter.type == "Deconvolution"
    axis = layer.bottom_axis(options.axis)
    layer.require(len(set(layer.bottoms)) == 1, "the inputs differ in shape")
    _same_number(layer)
    windows = convolution_windows(layer, layer.bottom, axis, transposed=transposed)
    channels, count = layer.bottom[axis], options.num_output
    filters = (channels, count) if transposed else (count, channels)
    weights = (filters[0], filters[1] // options.group, *windows.kernel)
    top = (*layer.bottom[:axis], count, *windows.counts)
    return Made([top] * len(layer.bottoms), [weights, (count,)][: 1 + options.bias_term])


def _same_number(layer: ShapedLayer) -> None:
    tops = len(layer.parameter.top)
    layer.require(tops == len(layer.bottoms), f"{len(layer.bottoms)} bottom blobs and {tops} top blobs")


def _im2col(layer: ShapedLayer) -> Made:
    """Im2colLayer: the windows of a Convolution, each as one column."""
    as_convolution = LayerParameter()
    as_convolution.CopyFrom(layer.parameter)
    as_convolution.convolution_param.num_output = 1
    as_convolution.convolution_param.group = 1
    axis = layer.bottom_axis(layer.parameter.convolution_param.axis)
    windows = convolution_windows(CheckedLayer(as_convolution, layer.prototxt), layer.bottom, axis)
    return Made([(*layer.bottom[:axis], layer.bottom[axis] * math.prod(windows.kernel), *windows.counts)])


def _pooling(layer: ShapedLayer) -> Made:
    """PoolingLayer: with a second top, which maximum it was."""
    layer.require_rank(4, 4)
    options = layer.parameter.pooling_param
    tops = len(layer.parameter.top)
    layer.require(tops == 1 or options.pool == options.MAX, "a second top blob is for pool: MAX")
    windows = pooling_windows(layer, layer.bottom)
    layer.require(options.pool != options.STOCHASTIC or not any(windows.pad), "pad is for pool: MAX and AVE")
    return Made([(*layer.bottom[:2], *windows.counts)] * tops)


def _spp(layer: ShapedLayer) -> Made:
    """SPPLayer: a Pooling into 1, 2, 4 bins a side and so on, each made flat, joined."""
    layer.require_rank(4, 4)
    options = layer.parameter.spp_param
    layer.require(0 < options.pyramid_height < 16, f"pyramid_height is {options.pyramid_height}")
    layer.require(min(layer.bottom[2:]) > 0, "the input is empty")
    pooled = [_spp_level(layer, 2**level) for level in range(options.pyramid_height)]
    number, channels = layer.bottom[:2]
    if len(pooled) == 1:
        return Made(pooled)
    return Made([(number, channels * sum(height * width for _, _, height, width in pooled))])


def _spp_level(layer: ShapedLayer, bins: int) -> Shape:
    """SPPLayer::GetPoolingParam."""
    kernel = [-(-length // bins) for length in layer.bottom[2:]]
    pad = [(extent * bins - length + 1) // 2 for length, extent in zip(layer.bottom[2:], kernel, strict=True)]
    level = LayerParameter(name=layer.parameter.name, type=layer.parameter.type, top=["level"])
    options = level.pooling_param
    options.kernel_h, options.kernel_w = options.stride_h, options.stride_w = kernel
    options.pad_h, options.pad_w = pad
    return _pooling(ShapedLayer(level, layer.prototxt, layer.bottoms)).tops[0]


def _inner_product(layer: ShapedLayer) -> Made:
    options = layer.parameter.inner_product_param
    axis = layer.bottom_axis(options.axis)
    count, length = options.num_output, math.prod(layer.bottom[axis:])
    layer.require(count > 0, "num_output is 0")
    weights = (length, count) if options.transpose else (count, length)
    return Made([(*layer.bottom[:axis], count)], [weights, (count,)][: 1 + options.bias_term])


def _embed(layer: ShapedLayer) -> Made:
    options = layer.parameter.embed_param
    layer.require(options.num_output > 0 and options.input_dim > 0, "num_output and input_dim must be 1 or more")
    weights = options.input_dim, options.num_output
    return Made([(*layer.bottom, options.num_output)], [weights, weights[1:]][: 1 + options.bias_term])


def _recurrent(layer: ShapedLayer) -> Made:
    """RecurrentLayer: bottoms are (time, streams, ...), (time, streams) and perhaps a static (streams, ...)."""
    options = layer.parameter.recurrent_param
    count = options.num_output
    layer.require(count > 0, "num_output is 0")
    layer.require(not options.expose_hidden, "expose_hidden is not supported")
    layer.require_rank(2)
    steps, streams = layer.bottom[:2]
    layer.require(layer.bottoms[1] == (steps, streams), "the second input has to be time by streams")
    gates = 4 if layer.parameter.type == "LSTM" else 1
    blobs: Shapes = [(gates * count, math.prod(layer.bottom[2:])), (gates * count,)]
    for static in layer.bottoms[2:]:
        layer.require(static[:1] == (streams,), "the third input has to have as many streams")
        blobs.append((gates * count, math.prod(static[1:])))
    blobs.append((gates * count, count))
    if layer.parameter.type == "RNN":
        blobs += [(count, count), (count,)]
    return Made([(steps, streams, count)], blobs)


_ELEMENTWISE = (
    *("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "MVN", "Power", "ReLU", "Sigmoid", "Swish", "TanH"),
    "Threshold",
)

RULES = {
    **dict.fromkeys(_ELEMENTWISE, Rule(_same)),
    "BatchNorm": Rule(_batch_norm),
    "Bias": Rule(_bias, (1, 2)),
    "Convolution": Rule(_convolution, MANY, MANY),
    "Deconvolution": Rule(_convolution, MANY, MANY),
    "Embed": Rule(_embed),
    "HDF5Output": Rule(_nothing, (2, 2), NONE),
    "Im2col": Rule(_im2col),
    "InnerProduct": Rule(_inner_product),
    "LRN": Rule(_lrn),
    "LSTM": Rule(_recurrent, (2, 3)),
    "PReLU": Rule(_prelu),
    "Pooling": Rule(_pooling, (1, 1), (1, 2)),
    "RNN": Rule(_recurrent, (2, 3)),
    "SPP": Rule(_spp),
    "Scale": Rule(_scale, (1, 2)),
    "Silence": Rule(_nothing, MANY, NONE),
    "Softmax": Rule(_softmax),
    "Split": Rule(_same, (1, 1), MANY),
}
