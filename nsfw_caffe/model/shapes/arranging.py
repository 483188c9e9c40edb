"""Layers that put blobs together, or cut and reshape them."""

from __future__ import annotations

import math
from itertools import pairwise

from nsfw_caffe.model.layer import ANY, CheckedLayer, Shape
from nsfw_caffe.model.schema.caffe_pb2 import EltwiseParameter
from nsfw_caffe.model.shapes.base import MANY, Made, Rule, ShapedLayer, listed


def _eltwise(layer: ShapedLayer) -> Made:
    options = layer.parameter.eltwise_param
    layer.require(all(shape == layer.bottom for shape in layer.bottoms), f"the inputs differ: {listed(layer)}")
    coefficients = len(options.coeff)
    layer.require(coefficients in {0, len(layer.bottoms)}, f"{coefficients} coeff for {len(layer.bottoms)} inputs")
    layer.require(not (coefficients and options.operation == EltwiseParameter.PROD), "coeff is not for operation: PROD")
    return Made([layer.bottom])


def _concat(layer: ShapedLayer) -> Made:
    options = layer.parameter.concat_param
    layer.require(not (options.HasField("axis") and options.HasField("concat_dim")), "give axis or concat_dim")
    axis = layer.bottom_axis(options.concat_dim if options.HasField("concat_dim") else options.axis)
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in layer.bottoms}
    ranks = {len(shape) for shape in layer.bottoms}
    layer.require(len(others) == len(ranks) == 1, f"the inputs differ in more than axis {axis}: {listed(layer)}")
    return Made([_with(layer.bottom, axis, sum(shape[axis] for shape in layer.bottoms))])


def _with(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _slice(layer: ShapedLayer) -> Made:
    options = layer.parameter.slice_param
    layer.require(not (options.HasField("axis") and options.HasField("slice_dim")), "give axis or slice_dim")
    axis = layer.bottom_axis(options.slice_dim if options.HasField("slice_dim") else options.axis)
    size, count = layer.bottom[axis], len(layer.parameter.top)
    points = list(options.slice_point)
    if points:
        layer.require(len(points) == count - 1, f"{len(points)} slice_point for {count} top blobs")
    else:
        layer.require(size % count == 0, f"{size} cannot be cut into {count} equal parts")
        points = [size // count * part for part in range(1, count)]
    edges = [0, *points, size]
    sizes = [end - start for start, end in pairwise(edges)]
    layer.require(min(sizes) > 0, f"slice_point {points} cannot cut an axis of {size}")
    return Made([_with(layer.bottom, axis, part) for part in sizes])


def _flatten(layer: ShapedLayer) -> Made:
    options = layer.parameter.flatten_param
    start, end = layer.bottom_axis(options.axis), layer.bottom_axis(options.end_axis)
    # One axis before, and Caffe puts an axis of 1 in.
    layer.require(start <= end + 1, f"end_axis {options.end_axis} lies before axis {options.axis}")
    return Made([(*layer.bottom[:start], math.prod(layer.bottom[start : end + 1]), *layer.bottom[end + 1 :])])


def _reshape(layer: ShapedLayer) -> Made:
    return Made([reshaped(layer, layer.bottom)])


def reshaped(layer: CheckedLayer, bottom: Shape) -> Shape:
    """ReshapeLayer: 0 keeps a dimension, -1 is worked out."""
    options = layer.parameter.reshape_param
    rank = len(bottom)
    start = options.axis if options.axis >= 0 else options.axis + rank + 1
    end = rank if options.num_axes == -1 else start + options.num_axes
    layer.require(0 <= start <= end <= rank, f"axis {options.axis} and num_axes {options.num_axes} of {rank} axes")
    wanted = list(options.shape.dim)
    layer.require(min(wanted, default=0) >= -1 and wanted.count(-1) <= 1, f"the shape {wanted} is none")
    for index, size in enumerate(wanted):
        if size == 0:
            layer.require(start + index < rank, f"there is no axis {start + index} whose size a 0 could keep")
            wanted[index] = bottom[start + index]
    total = math.prod(bottom)
    dimensions = [*bottom[:start], *wanted, *bottom[end:]]
    if -1 in dimensions:
        known = -math.prod(dimensions)
        dimensions[dimensions.index(-1)] = total // known if known else 0
    layer.require(math.prod(dimensions) == total, f"{total} numbers do not fit the shape {dimensions}")
    return tuple(dimensions)


def _tile(layer: ShapedLayer) -> Made:
    options = layer.parameter.tile_param
    axis = layer.bottom_axis(options.axis)
    layer.require(options.tiles > 0, "tiles must be 1 or more")
    return Made([_with(layer.bottom, axis, layer.bottom[axis] * options.tiles)])


def _crop(layer: ShapedLayer) -> Made:
    options = layer.parameter.crop_param
    first, second = layer.bottoms
    axis = layer.bottom_axis(options.axis)
    layer.require(len(first) == len(second), f"the inputs differ in their number of axes: {listed(layer)}")
    offsets = list(options.offset) or [0]
    axes = len(first) - axis
    layer.require(len(offsets) in {1, axes}, f"{len(offsets)} offset for {axes} axes")
    offsets *= axes // len(offsets)
    for index, offset in enumerate(offsets, axis):
        layer.require(first[index] - offset >= second[index], f"the crop at axis {index} exceeds the first input")
    return Made([(*first[:axis], *second[axis:])])


def _batch_reindex(layer: ShapedLayer) -> Made:
    first, second = layer.bottoms
    layer.require(len(second) == 1, "the second input has to have one axis")
    layer.require_rank(1)
    return Made([(*second, *first[1:])])


def _reduction(layer: ShapedLayer) -> Made:
    return Made([layer.bottom[: layer.bottom_axis(layer.parameter.reduction_param.axis)]])


def _argmax(layer: ShapedLayer) -> Made:
    """ArgMaxLayer: without an axis, the largest of everything but the first axis."""
    options = layer.parameter.argmax_param
    layer.require(options.top_k > 0, "top_k must be 1 or more")
    if options.HasField("axis"):
        axis = layer.bottom_axis(options.axis)
        layer.require(options.top_k <= layer.bottom[axis], f"top_k {options.top_k} of {layer.bottom[axis]}")
        return Made([_with(layer.bottom, axis, options.top_k)])
    layer.require_rank(1)
    values = math.prod(layer.bottom[1:])
    layer.require(options.top_k <= values, f"top_k {options.top_k} of {values}")
    middle = (1 + options.out_max_val, options.top_k)
    return Made([(layer.bottom[0], *middle, *(1,) * (len(layer.bottom) - 3))])


RULES = {
    "ArgMax": Rule(_argmax),
    "BatchReindex": Rule(_batch_reindex, (2, 2)),
    "Concat": Rule(_concat, MANY),
    "Crop": Rule(_crop, (2, 2)),
    "Eltwise": Rule(_eltwise, (2, ANY)),
    "Flatten": Rule(_flatten),
    "Reduction": Rule(_reduction),
    "Reshape": Rule(_reshape),
    "Slice": Rule(_slice, (1, 1), MANY),
    "Tile": Rule(_tile),
}
