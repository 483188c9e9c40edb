"""Where the windows of a Convolution and of a Pooling lie: what their options say, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nsfw_caffe.model.layer import CheckedLayer, Shape
from nsfw_caffe.model.schema.caffe_pb2 import ConvolutionParameter, PoolingParameter

Options: TypeAlias = ConvolutionParameter | PoolingParameter


@dataclass(frozen=True)
class Windows:
    """The windows of a layer: in each field a number for each axis of the picture."""

    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape
    counts: Shape


def convolution_windows(layer: CheckedLayer, bottom: Shape, axis: int = 1, *, transposed: bool = False) -> Windows:
    """Place the windows of a Convolution, or of a Deconvolution (transposed), whose channels are at an axis.

    Follows BaseConvolutionLayer::LayerSetUp and compute_output_shape of both.
    """
    options = layer.parameter.convolution_param
    channels, size = bottom[axis], bottom[axis + 1 :]
    kernel = _sides(layer, options, len(size), "kernel", None, "kernel_size")
    stride = _sides(layer, options, len(size), "stride", 1)
    pad = _sides(layer, options, len(size), "pad", 0)
    dilation = _spread(layer, len(size), "dilation", options.dilation, 1)
    layer.require(options.num_output > 0, "num_output is 0")
    layer.require(
        options.group > 0 and channels % options.group == 0 and options.num_output % options.group == 0,
        f"{channels} channels and num_output {options.num_output} cannot be cut into {options.group} groups",
    )
    layer.require(min(*kernel, *stride, *dilation, 1) > 0, "kernel, stride and dilation must be 1 or more")
    reach = [step * (extent - 1) + 1 for step, extent in zip(dilation, kernel, strict=True)]
    sides = list(zip(size, pad, reach, stride, strict=True))
    if transposed:
        counts = [step * (length - 1) + extent - 2 * padding for length, padding, extent, step in sides]
        layer.require(min(counts, default=1) > 0, "the padding leaves nothing of the output")
    else:
        room = [length + 2 * padding - extent for length, padding, extent, _ in sides]
        layer.require(min(room, default=0) >= 0, f"the kernel is larger than the padded input, {_times(size)}")
        counts = [space // step + 1 for space, step in zip(room, stride, strict=True)]
    return Windows(kernel, stride, pad, dilation, tuple(counts))


def pooling_windows(layer: CheckedLayer, bottom: Shape) -> Windows:
    """Place the windows of a Pooling: PoolingLayer::LayerSetUp and Reshape.

    Caffe rounds the number of windows up, then drops the last one where it would start in the padding.
    """
    options = layer.parameter.pooling_param
    size = bottom[2:]
    stride = _sides(layer, options, 2, "stride", 1)
    pad = _sides(layer, options, 2, "pad", 0)
    if options.global_pooling:
        has_kernel = any(options.HasField(name) for name in ("kernel_size", "kernel_h", "kernel_w"))
        layer.require(not has_kernel, "global_pooling and a kernel size exclude one another")
        layer.require(pad == (0, 0) and stride == (1, 1), "global_pooling needs pad 0 and stride 1")
        kernel = size
    else:
        kernel = _sides(layer, options, 2, "kernel", None, "kernel_size")
    layer.require(min(*kernel, *stride) > 0, "kernel and stride must be 1 or more")
    layer.require(all(one < other for one, other in zip(pad, kernel, strict=True)), "pad must be less than the kernel")
    return Windows(kernel, stride, pad, (1, 1), pooled(layer, size, kernel, stride, pad))


def pooled(layer: CheckedLayer, size: Shape, kernel: Shape, stride: Shape, pad: Shape) -> Shape:
    """Count the windows of a Pooling along each axis."""
    up = layer.parameter.pooling_param.round_mode == PoolingParameter.CEIL
    counts = []
    for length, extent, step, padding in zip(size, kernel, stride, pad, strict=True):
        room = length + 2 * padding - extent
        count = (-(-room // step) if up else room // step) + 1
        if any(pad) and (count - 1) * step >= length + padding:
            count -= 1
        layer.require(count > 0, f"the kernel is larger than the padded input, {_times(size)}")
        counts.append(count)
    return tuple(counts)


def _sides(
    layer: CheckedLayer, options: Options, axes: int, name: str, default: int | None, single_name: str | None = None
) -> Shape:
    """Read an option that stands once for all axes, or as `name_h` and `name_w`; None: there is no default."""
    single_name = single_name or name
    single = _given(options, single_name)
    sides = [options.HasField(f"{name}_{side}") for side in "hw"]
    if not any(sides):
        layer.require(bool(single) or default is not None, f"{single_name} is missing")
        return _spread(layer, axes, single_name, single, default or 0)
    # A pad on one side alone is 0 on the other, but only in Convolution.
    enough = all(sides) or (name == "pad" and isinstance(options, ConvolutionParameter))
    layer.require(enough and not single, f"give {single_name}, or {name}_h and {name}_w")
    layer.require(axes == 2, f"{name}_h and {name}_w are for 2 axes, here are {axes}")
    return getattr(options, f"{name}_h"), getattr(options, f"{name}_w")


def _given(options: Options, name: str) -> Sequence[int]:
    """List the values of an option, which in Convolution may stand once for each axis."""
    value = getattr(options, name)
    if isinstance(options, ConvolutionParameter):
        return list(value)
    return [value] if options.HasField(name) else []


def _spread(layer: CheckedLayer, axes: int, name: str, values: Sequence[int], default: int) -> Shape:
    layer.require(len(values) in {0, 1, axes}, f"{name} has {len(values)} values for {axes} axes")
    return tuple(values) if len(values) == axes else (*values, default)[:1] * axes


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))
