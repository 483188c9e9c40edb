"""The layers that move a window over a picture: Convolution and Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nsfw_caffe.caffe_to_onnx.graph import Array, Layer, Value
from nsfw_caffe.model.schema.caffe_pb2 import ConvolutionParameter, PoolingParameter

Pair: TypeAlias = tuple[int, int]
Options: TypeAlias = ConvolutionParameter | PoolingParameter


def convolution(layer: Layer) -> Value:
    """Convert a Convolution: BaseConvolutionLayer::LayerSetUp and ConvolutionLayer::compute_output_shape."""
    options = layer.parameter.convolution_param
    (bottom,) = layer.bottoms
    layer.require(len(bottom.shape) == 4, f"needs an input of 4 axes, has {len(bottom.shape)}")
    layer.require(layer.axis(options.axis, 4) == 1, f"axis {options.axis} is not the channels'")
    kernel = _pair(layer, options, "kernel", None, "kernel_size")
    stride = _pair(layer, options, "stride", 1)
    pad = _pair(layer, options, "pad", 0)
    dilation = _spread(layer, "dilation", options.dilation, 1)
    channels, group, count = bottom.shape[1], options.group, options.num_output
    layer.require(count > 0, "num_output is 0")
    layer.require(
        group > 0 and channels % group == 0 and count % group == 0,
        f"{channels} channels and num_output {count} cannot be cut into {group} groups",
    )
    layer.require(min(*kernel, *stride, *dilation) > 0, "kernel, stride and dilation must be 1 or more")
    room = [
        size + 2 * padding - step * (extent - 1) - 1
        for size, padding, step, extent in zip(bottom.shape[2:], pad, dilation, kernel, strict=True)
    ]
    layer.require(min(room) >= 0, f"the kernel is larger than the padded input, {bottom.shape[2]}x{bottom.shape[3]}")
    sizes = [space // step + 1 for space, step in zip(room, stride, strict=True)]
    weights = layer.weights(0, (count, channels // group, *kernel))
    bias = layer.weights(1, (count,)) if options.bias_term else np.zeros(count)
    window = [_Side(*side) for side in zip(bottom.shape[2:], sizes, kernel, stride, pad, pad, dilation, strict=True)]
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

    Caffe rounds the number of windows up, then drops the last one where it would start in the padding. The padding
    that ONNX is given at the end is what makes its own count, rounded down, the same.
    """
    options = layer.parameter.pooling_param
    (bottom,) = layer.bottoms
    layer.require(len(bottom.shape) == 4, f"needs an input of 4 axes, has {len(bottom.shape)}")
    layer.require(options.pool != PoolingParameter.STOCHASTIC, "pool: STOCHASTIC is not supported")
    size = bottom.shape[2], bottom.shape[3]
    stride = _pair(layer, options, "stride", 1)
    pad = _pair(layer, options, "pad", 0)
    if options.global_pooling:
        has_kernel = any(options.HasField(name) for name in ("kernel_size", "kernel_h", "kernel_w"))
        layer.require(not has_kernel, "global_pooling and a kernel size exclude one another")
        layer.require(pad == (0, 0) and stride == (1, 1), "global_pooling needs pad 0 and stride 1")
        kernel = size
    else:
        kernel = _pair(layer, options, "kernel", None, "kernel_size")
    layer.require(min(*kernel, *stride) > 0, "kernel and stride must be 1 or more")
    layer.require(all(one < other for one, other in zip(pad, kernel, strict=True)), "pad must be less than the kernel")
    counts = _window_counts(layer, size, kernel, stride, pad)
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


def _window_counts(layer: Layer, size: Pair, kernel: Pair, stride: Pair, pad: Pair) -> Pair:
    up = layer.parameter.pooling_param.round_mode == PoolingParameter.CEIL
    counts = []
    for length, extent, step, padding in zip(size, kernel, stride, pad, strict=True):
        room = length + 2 * padding - extent
        count = (-(-room // step) if up else room // step) + 1
        if any(pad) and (count - 1) * step >= length + padding:
            count -= 1
        layer.require(count > 0, f"the kernel is larger than the padded input, {size[0]}x{size[1]}")
        # Without padding Caffe does not look, and gives numbers that come from no pixel.
        layer.require((count - 1) * step < length + padding, "the last window lies outside the input")
        counts.append(count)
    return counts[0], counts[1]


def _pair(layer: Layer, options: Options, name: str, default: int | None, single_name: str | None = None) -> Pair:
    """Read an option that stands once for both axes, or as `name_h` and `name_w`; None: there is no default."""
    single_name = single_name or name
    single = _given(options, single_name)
    sides = [options.HasField(f"{name}_{side}") for side in "hw"]
    if not any(sides):
        layer.require(bool(single) or default is not None, f"{single_name} is missing")
        return _spread(layer, single_name, single, default or 0)
    # A pad on one side alone is 0 on the other, but only in Convolution.
    enough = all(sides) or (name == "pad" and isinstance(options, ConvolutionParameter))
    layer.require(enough and not single, f"give {single_name}, or {name}_h and {name}_w")
    return getattr(options, f"{name}_h"), getattr(options, f"{name}_w")


def _given(options: Options, name: str) -> Sequence[int]:
    """List the values of an option, which in Convolution may stand once for each axis."""
    value = getattr(options, name)
    if isinstance(options, ConvolutionParameter):
        return list(value)
    return [value] if options.HasField(name) else []


def _spread(layer: Layer, name: str, values: Sequence[int], default: int) -> Pair:
    layer.require(len(values) <= 2, f"{name} has {len(values)} values for 2 axes")
    return (values[0], values[-1]) if values else (default, default)
