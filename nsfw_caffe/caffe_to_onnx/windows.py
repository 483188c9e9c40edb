"""The layers that move a window over a picture: Convolution and Pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nsfw_caffe.caffe_to_onnx.graph import Array, Layer, Value
from nsfw_caffe.model.schema.caffe_pb2 import PoolingParameter
from nsfw_caffe.model.windows import convolution_windows, pooling_windows


def convolution(layer: Layer) -> Value:
    """Convert a Convolution: BaseConvolutionLayer::LayerSetUp and ConvolutionLayer::compute_output_shape."""
    options = layer.parameter.convolution_param
    (bottom,) = layer.bottoms
    layer.require(len(bottom.shape) == 4, f"needs an input of 4 axes, has {len(bottom.shape)}")
    layer.require(layer.axis(options.axis, 4) == 1, f"axis {options.axis} is not the channels'")
    placed = convolution_windows(layer, bottom.shape)
    kernel, stride, pad, sizes = placed.kernel, placed.stride, placed.pad, placed.counts
    channels, group, count = bottom.shape[1], options.group, options.num_output
    weights = layer.stored(0, (count, channels // group, *kernel))
    bias = layer.weights(1, (count,)) if options.bias_term else np.zeros(count)
    window = [
        _Side(*side) for side in zip(bottom.shape[2:], sizes, kernel, stride, pad, pad, placed.dilation, strict=True)
    ]
    for axis, side in enumerate(window):
        weights = _without_stride(layer, side, weights, axis + 2)
    if all(side.kernel == 1 for side in window) and max(pad) > 0 and max(side.stride for side in window) > 1:
        # OpenVINO moves the stride to the layers before and forgets the padding. A row and a column of zeros stop it.
        weights = np.pad(weights, ((0, 0), (0, 0), (0, 1), (0, 1)))
        for side in window:
            side.kernel, side.end = 2, side.end + 1
    return layer.add(
        "Conv",
        [bottom],
        (1, count, *sizes),
        [weights, bias],
        {
            "kernel_shape": [side.kernel for side in window],
            "strides": [side.stride for side in window],
            "pads": [side.begin for side in window] + [side.end for side in window],
            "dilations": [side.dilation for side in window],
            "group": group,
        },
    )


@dataclass
class _Side:
    """A convolution's window along one axis of the picture."""

    size: int
    count: int
    kernel: int
    stride: int
    begin: int
    end: int
    dilation: int


def _without_stride(layer: Layer, side: _Side, weights: Array, axis: int) -> Array:
    """Say a window that stands in one place only without its stride; give the weights for it.

    OpenVINO 2026.4 goes wrong where there is a stride and one output along an axis: it reads memory that nobody has
    written, or crashes. Zeros at the end of the kernel make it reach as far as the input does.
    """
    if side.kernel == 1:
        side.dilation = 1
    if side.stride == 1 or side.count > 1:
        layer.require(
            side.stride == 1 or side.size > 1, "a stride along an axis of one pixel, which OpenVINO computes wrongly"
        )
        return weights
    missing = side.begin + side.size - side.dilation * (side.kernel - 1) - 1
    more = max(-(-missing // side.dilation), 0)
    side.kernel += more
    side.end = side.dilation * (side.kernel - 1) + 1 - side.begin - side.size
    side.stride = 1
    return np.pad(weights, [(0, more if index == axis else 0) for index in range(4)])


def pooling(layer: Layer) -> Value:
    """Convert a Pooling: PoolingLayer::LayerSetUp, Reshape and Forward_cpu.

    Caffe rounds the number of windows up; the padding that ONNX is given at the end is what makes its own count,
    rounded down, the same.
    """
    options = layer.parameter.pooling_param
    (bottom,) = layer.bottoms
    layer.require(len(bottom.shape) == 4, f"needs an input of 4 axes, has {len(bottom.shape)}")
    layer.require(options.pool != PoolingParameter.STOCHASTIC, "pool: STOCHASTIC is not supported")
    placed = pooling_windows(layer, bottom.shape)
    size, kernel, stride, pad, counts = bottom.shape[2:], placed.kernel, placed.stride, placed.pad, placed.counts
    # Without padding Caffe does not look, and gives numbers that come from no pixel.
    layer.require(
        all(
            (count - 1) * step < length + padding
            for length, step, padding, count in zip(size, stride, pad, counts, strict=True)
        ),
        "the last window lies outside the input",
    )
    ends = [
        max((count - 1) * step + extent - length - padding, 0)
        for length, extent, step, padding, count in zip(size, kernel, stride, pad, counts, strict=True)
    ]
    window = {"kernel_shape": list(kernel), "strides": list(stride), "pads": [*pad, *ends]}
    shape = 1, bottom.shape[1], *counts
    if options.pool == PoolingParameter.MAX:
        return layer.add("MaxPool", [bottom], shape, attributes=dict(window))
    # ONNX divides by the size of the kernel; Caffe by how much of the window lies within picture and padding.
    mean = layer.add("AveragePool", [bottom], shape, attributes={**window, "count_include_pad": 1})
    covered = [
        np.minimum(np.arange(count) * step - padding + extent, length + padding) - np.arange(count) * step + padding
        for length, extent, step, padding, count in zip(size, kernel, stride, pad, counts, strict=True)
    ]
    areas: Array = np.outer(*covered)
    area = kernel[0] * kernel[1]
    return mean if (areas == area).all() else layer.affine(mean, area / areas, 0)
