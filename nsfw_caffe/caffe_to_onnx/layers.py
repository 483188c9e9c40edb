"""The layers without a window: one function each, which adds the nodes that do what Caffe's Forward_cpu does."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from nsfw_caffe.caffe_to_onnx.graph import Array, Attributes, Layer, Value
from nsfw_caffe.model.schema.caffe_pb2 import EltwiseParameter, LRNParameter
from nsfw_caffe.model.shapes.arranging import reshaped


def batch_norm(layer: Layer) -> Value:
    """Convert a BatchNorm by the stored mean and variance: Caffe's way in TEST unless it is told otherwise."""
    options = layer.parameter.batch_norm_param
    (bottom,) = layer.bottoms
    layer.require(
        options.use_global_stats or not options.HasField("use_global_stats"),
        "use_global_stats: false makes a picture's score depend on the pictures beside it",
    )
    layer.require(len(bottom.shape) > 1, "needs an input with channels")
    channels = bottom.shape[1:2]
    mean, variance = (layer.weights(index, channels) for index in range(2))
    (total,) = layer.weights(2, (1,))
    share = 0 if total == 0 else 1 / total
    # A float32, which protobuf's implementation in Python gives unrounded.
    spread = variance * share + float(np.float32(options.eps))
    layer.require(bool((spread > 0).all()), "the variance is not positive")
    factor = 1 / np.sqrt(spread)
    return layer.affine(bottom, *(_along(bottom, 1, array) for array in (factor, -mean * share * factor)))


def scale(layer: Layer) -> Value:
    """Convert a Scale: by a learned blob, or by the second bottom."""
    options = layer.parameter.scale_param
    if len(layer.bottoms) == 1:
        return _learned(layer, options.axis, options.num_axes, by_offset=False, with_bias=options.bias_term)
    value, axis = _by_second(layer, options.axis, "Mul")
    if not options.bias_term:
        return value
    shape = layer.bottoms[1].shape
    return layer.affine(value, 1, _along(value, axis, layer.weights(0, shape)))


def bias(layer: Layer) -> Value:
    """Convert a Bias: a learned blob is added, or the second bottom."""
    options = layer.parameter.bias_param
    if len(layer.bottoms) == 1:
        return _learned(layer, options.axis, options.num_axes, by_offset=True, with_bias=False)
    return _by_second(layer, options.axis, "Add")[0]


def relu(layer: Layer) -> Value:
    """Convert a ReLU; its negative slope is 0 unless it is given."""
    (bottom,) = layer.bottoms
    slope = layer.parameter.relu_param.negative_slope
    if slope == 0:
        return layer.add("Relu", [bottom], bottom.shape)
    if slope < 0 and len(bottom.shape) > 1:
        return _prelu(layer, np.array(slope))
    return layer.add("LeakyRelu", [bottom], bottom.shape, attributes={"alpha": slope})


def prelu(layer: Layer) -> Value:
    """Convert a PReLU, with one slope a channel or one for all."""
    (bottom,) = layer.bottoms
    layer.require(len(bottom.shape) > 1, "needs an input with channels")
    return _prelu(layer, layer.weights(0, () if layer.parameter.prelu_param.channel_shared else bottom.shape[1:2]))


def _prelu(layer: Layer, slope: Array) -> Value:
    # One a channel, always: OpenVINO moves a single slope across a maximum, which is wrong for a negative one.
    (bottom,) = layer.bottoms
    slopes = np.broadcast_to(slope, bottom.shape[1:2]).reshape(-1, *(1,) * (len(bottom.shape) - 2))
    return layer.add("PRelu", [bottom], bottom.shape, [slopes])


def inner_product(layer: Layer) -> Value:
    """Convert an InnerProduct: a matrix product over all axes from `axis` on."""
    options = layer.parameter.inner_product_param
    (bottom,) = layer.bottoms
    axis = _picture_axis(layer, options.axis, bottom)
    count, length = options.num_output, math.prod(bottom.shape[axis:])
    layer.require(count > 0, "num_output is 0")
    matrix = layer.stored(0, (length, count) if options.transpose else (count, length))
    offset = layer.weights(1, (count,)) if options.bias_term else np.zeros(count)
    if options.transpose:
        matrix = matrix.T
    if axis == 1:
        rows = bottom if len(bottom.shape) == 2 else layer.regroup(bottom, length)
        return layer.add("Gemm", [rows], (1, count), [matrix, offset], {"transB": 1})
    # As a convolution: OpenVINO fuses a Gemm with what follows the Reshape, and takes the wrong axis for the channels.
    points = layer.regroup(bottom, length, 1, 1)
    shape = (points.shape[0], count, 1, 1)
    product = layer.add("Conv", [points], shape, [matrix.reshape(count, length, 1, 1), offset])
    return layer.regroup(product, *bottom.shape[1:axis], count)


def eltwise(layer: Layer) -> Value:
    """Convert an Eltwise: the sum, with coefficients where they are given, the product or the maximum."""
    options = layer.parameter.eltwise_param
    values = layer.bottoms
    shape = values[0].shape
    layer.require(all(value.shape == shape for value in values), "the inputs differ in shape")
    if options.coeff:
        layer.require(options.operation == EltwiseParameter.SUM, "coeff is for operation: SUM")
        layer.require(len(options.coeff) == len(values), f"{len(options.coeff)} coeff for {len(values)} inputs")
        values = [
            value if coefficient == 1 else layer.affine(value, coefficient, 0)
            for value, coefficient in zip(values, options.coeff, strict=True)
        ]
    operator = {EltwiseParameter.SUM: "Add", EltwiseParameter.PROD: "Mul", EltwiseParameter.MAX: "Max"}[
        options.operation
    ]
    return reduce(lambda one, other: layer.add(operator, [one, other], shape), values)


def concat(layer: Layer) -> Value:
    """Convert a Concat along `axis`, or `concat_dim`, its older name."""
    options = layer.parameter.concat_param
    values = layer.bottoms
    layer.require(not (options.HasField("axis") and options.HasField("concat_dim")), "give axis or concat_dim")
    axis = _picture_axis(layer, options.concat_dim if options.HasField("concat_dim") else options.axis, values[0])
    others = {(*value.shape[:axis], *value.shape[axis + 1 :]) for value in values}
    layer.require(
        len(others) == 1 and len({len(value.shape) for value in values}) == 1,
        f"the inputs differ in shape in more than axis {axis}",
    )
    if len(values) == 1:
        return values[0]  # the same memory in Caffe
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    return layer.add("Concat", values, tuple(shape), attributes={"axis": axis})


def lrn(layer: Layer) -> Value:
    """Convert an LRN across channels; ONNX divides alpha by the number of channels as Caffe does."""
    options = layer.parameter.lrn_param
    (bottom,) = layer.bottoms
    layer.require(len(bottom.shape) == 4, f"needs an input of 4 axes, has {len(bottom.shape)}")
    layer.require(options.norm_region == LRNParameter.ACROSS_CHANNELS, "norm_region: WITHIN_CHANNEL is not supported")
    layer.require(options.local_size % 2 == 1, "local_size must be odd")
    layer.require(min(options.alpha, options.beta, options.k) > 0, "alpha, beta and k must be more than 0")
    attributes: Attributes = {
        "size": options.local_size,
        "alpha": options.alpha,
        "beta": options.beta,
        "bias": options.k,
    }
    return layer.add("LRN", [bottom], bottom.shape, attributes=attributes)


def dropout(layer: Layer) -> Value:
    """Convert a Dropout, which in TEST drops nothing; Caffe copies its input."""
    (bottom,) = layer.bottoms
    return Value(bottom.name, bottom.shape, layer.unique_name())


def split(layer: Layer) -> Value:
    """Convert a Split, whose tops are its input, in the same memory."""
    return layer.bottoms[0]


def flatten(layer: Layer) -> Value:
    """Convert a Flatten of the axes from `axis` to `end_axis`."""
    options = layer.parameter.flatten_param
    (bottom,) = layer.bottoms
    start = _picture_axis(layer, options.axis, bottom)
    end = layer.axis(options.end_axis, len(bottom.shape))
    layer.require(start <= end, f"end_axis {options.end_axis} lies before axis {options.axis}")
    flat = math.prod(bottom.shape[start : end + 1])
    return layer.reshape(bottom, (*bottom.shape[:start], flat, *bottom.shape[end + 1 :]))


def reshape(layer: Layer) -> Value:
    """Convert a Reshape."""
    (bottom,) = layer.bottoms
    return layer.reshape(bottom, reshaped(layer, bottom.shape))


def softmax(layer: Layer) -> Value:
    """Convert a Softmax along one axis."""
    (bottom,) = layer.bottoms
    axis = _picture_axis(layer, layer.parameter.softmax_param.axis, bottom)
    return layer.add("Softmax", [bottom], bottom.shape, attributes={"axis": axis})


def _picture_axis(layer: Layer, axis: int, value: Value) -> int:
    """Give an axis of a picture's blob; the first one is the pictures', which are scored each on its own."""
    canonical = layer.axis(axis, len(value.shape))
    layer.require(canonical > 0, f"axis {axis} goes across the pictures of a batch")
    return canonical


def _learned(layer: Layer, axis: int, num_axes: int, *, by_offset: bool, with_bias: bool) -> Value:
    """Multiply by the learned blob, then add the learned bias; or only add the blob."""
    (bottom,) = layer.bottoms
    rank = len(bottom.shape)
    start = layer.axis(axis, rank)
    end = rank if num_axes == -1 else start + num_axes
    layer.require(start <= end <= rank, f"axis {axis} and num_axes {num_axes} of {rank} axes")
    shape = bottom.shape[start:end]
    arrays = [_along(bottom, start, layer.weights(index, shape)) for index in range(1 + with_bias)]
    if by_offset:
        return layer.affine(bottom, 1, arrays[0])
    return layer.affine(bottom, arrays[0], arrays[1] if with_bias else 0)


def _by_second(layer: Layer, axis: int, operator: str) -> tuple[Value, int]:
    """Combine the first bottom with the second, whose axes are the first's from `axis` on; give that axis too."""
    first, second = layer.bottoms
    axis = layer.axis(axis, len(first.shape))
    layer.require(axis == 0, "the second input has no axis of pictures; it needs axis: 0")
    covered = first.shape[: len(second.shape)]
    layer.require(covered == second.shape, "the second input's shape is not that of the first one's axes")
    rest = (1,) * (len(first.shape) - len(covered))
    return layer.add(operator, [first, layer.reshape(second, covered + rest)], first.shape), axis


def _along(value: Value, start: int, array: Array) -> Array:
    """Give an array over axes from `start` on the axes that broadcast it to a value."""
    return array.reshape(array.shape + (1,) * (len(value.shape) - start - array.ndim))
