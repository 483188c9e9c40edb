"""The shapes of a network's blobs, those between its layers and those that they learn, as Caffe's Reshape has them.

What Caffe would abort on, and what it cannot know before it has read data, is an error that names the layer. The names
in docstrings are those of Caffe's classes and functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.layer import CheckedLayer, Shape, format_shape, refusal
from nsfw_caffe.model.network import layers_in_test
from nsfw_caffe.model.schema.caffe_pb2 import (
    BlobShape,
    DataParameter,
    EltwiseParameter,
    ImageDataParameter,
    LayerParameter,
    NetParameter,
    WindowDataParameter,
)
from nsfw_caffe.model.windows import convolution_windows, pooling_windows

Shapes: TypeAlias = list[Shape]

_ANY = 1 << 30

_MOST = 2**31 - 1
"""The largest number of values in a blob, whose count is an int: Blob::Reshape."""


@dataclass(frozen=True)
class LayerShapes:
    """A layer with the shapes of what it reads, makes and learns."""

    layer: LayerParameter
    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    blobs: tuple[Shape, ...]


class ShapedLayer(CheckedLayer):
    """A layer while its shapes are worked out."""

    def __init__(self, parameter: LayerParameter, prototxt: Path | str, bottoms: Shapes) -> None:
        super().__init__(parameter, prototxt)
        self.bottoms = bottoms

    @property
    def bottom(self) -> Shape:
        """The first bottom."""
        return self.bottoms[0]

    def bottom_axis(self, axis: int) -> int:
        """Give an axis of the first bottom as a number from 0 on."""
        return self.axis(axis, len(self.bottom))

    def require_rank(self, least: int, most: int | None = None) -> None:
        """Refuse a first bottom with other numbers of axes."""
        rank = len(self.bottom)
        wanted = str(least) if most == least else f"{least} or more"
        self.require(least <= rank <= (most or rank), f"needs an input of {wanted} axes, has {rank}")


@dataclass(frozen=True)
class Made:
    """What a layer makes and learns."""

    tops: Shapes
    blobs: Shapes = field(default_factory=list)


def network_shapes(network: NetParameter, prototxt: Path | str) -> list[LayerShapes]:
    """Work out the shapes of all layers that are there in the TEST phase, in order; an Input is made of older fields.

    ModelError names file, layer and type where Caffe would abort, or a shape cannot be told without data.
    """
    blobs = _Blobs(prototxt)
    shapes = []
    for layer in [*_older_inputs(network, prototxt), *layers_in_test(network)]:
        bottoms = blobs.take(layer)
        made = layer_shapes(layer, bottoms, prototxt)
        blobs.put(layer, made)
        shapes.append(LayerShapes(layer, tuple(bottoms), tuple(made.tops), tuple(made.blobs)))
    return shapes


def layer_shapes(layer: LayerParameter, bottoms: Shapes, prototxt: Path | str) -> Made:
    """Work out what a layer makes and learns of bottoms with these shapes."""
    rule = RULES.get(layer.type)
    if rule is None:
        raise refusal(prototxt, layer, "the shapes of this type cannot be told without Caffe")
    shaped = ShapedLayer(layer, prototxt, bottoms)
    for kind, count, (least, most) in (("bottom", len(bottoms), rule.bottoms), ("top", len(layer.top), rule.tops)):
        if not least <= count <= most:
            wanted = str(least) if least == most else f"{least} to {most}" if most < _ANY else f"{least} or more"
            raise shaped.refuse(f"{count} {kind} blobs; it takes {wanted}")
    weights, tops = len(layer.loss_weight), max(len(layer.top), 1)
    shaped.require(weights in {0, tops}, f"{weights} loss_weight for {tops} top blobs")
    made = rule.make(shaped)
    for shape in [*made.tops, *made.blobs]:
        shaped.require(min(shape, default=0) >= 0, f"a blob cannot be {format_shape(shape)}")
        shaped.require(math.prod(shape) <= _MOST, f"a blob of {format_shape(shape)} is more than Caffe can hold")
    return made


def _older_inputs(network: NetParameter, prototxt: Path | str) -> Iterator[LayerParameter]:
    """Make a layer of the fields that stood for Input once: UpgradeNetInput."""
    if not network.input:
        return
    count, dims = len(network.input), list(network.input_dim)
    shapes = list(network.input_shape) or [BlobShape(dim=dims[first : first + 4]) for first in range(0, len(dims), 4)]
    if len(shapes) != count or len(dims) % 4:
        raise ModelError(f"{prototxt}: {count} inputs need as many input_shape, or four input_dim each")
    layer = LayerParameter(name="input", type="Input", top=network.input)
    layer.input_param.shape.extend(shapes)
    yield layer


class _Blobs:
    """The blobs so far, by name, as Net::Init and InsertSplits connect layers, and what layers share by name."""

    def __init__(self, prototxt: Path | str) -> None:
        self._prototxt = prototxt
        self._shapes: dict[str, Shape] = {}
        self._readers: dict[str, int] = {}
        self._shared: dict[str, Shape] = {}

    def take(self, layer: LayerParameter) -> Shapes:
        """Give the shapes of a layer's bottoms."""
        for name in layer.bottom:
            if name not in self._shapes:
                raise refusal(self._prototxt, layer, f"there is no blob {name!r} before it")
            self._readers[name] += 1
        return [self._shapes[name] for name in layer.bottom]

    def put(self, layer: LayerParameter, made: Made) -> None:
        """Keep a layer's tops, and what it learns under a name."""
        # A loss layer without names for its tops gets them from Caffe.
        for position, (name, shape) in enumerate(zip(layer.top, made.tops, strict=False)):
            if name in self._shapes:
                if position >= len(layer.bottom) or layer.bottom[position] != name:
                    raise refusal(self._prototxt, layer, f"a blob {name!r} is there already")
                if layer.type in _NEVER_IN_PLACE:
                    raise refusal(self._prototxt, layer, "Caffe does not compute this type in place")
                # Caffe splits such a blob into copies of other names, and then refuses the top.
                if self._readers[name] > 1:
                    raise refusal(self._prototxt, layer, f"writes into {name!r}, which another layer reads too")
            self._shapes[name], self._readers[name] = shape, 0
        if len(layer.param) > len(made.blobs):
            count = len(layer.param)
            raise refusal(self._prototxt, layer, f"{count} param for {len(made.blobs)} blobs")
        for parameter, shape in zip(layer.param, made.blobs, strict=False):
            if parameter.name:
                found = self._shared.setdefault(parameter.name, shape)
                permissive = parameter.share_mode == parameter.PERMISSIVE
                if found != shape and not (permissive and math.prod(found) == math.prod(shape)):
                    raise refusal(
                        self._prototxt,
                        layer,
                        f"the shared blob {parameter.name!r} is {format_shape(found)}, not {format_shape(shape)}",
                    )


_NEVER_IN_PLACE = {"AbsVal", "BatchReindex", "Filter", "Flatten", "Reshape", "Split"}
"""The types that check that their top is another blob than their bottom."""


# Layers that keep their input's shape.


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


# Layers that put blobs together, or cut and reshape them.


def _eltwise(layer: ShapedLayer) -> Made:
    options = layer.parameter.eltwise_param
    layer.require(all(shape == layer.bottom for shape in layer.bottoms), f"the inputs differ: {_listed(layer)}")
    coefficients = len(options.coeff)
    layer.require(coefficients in {0, len(layer.bottoms)}, f"{coefficients} coeff for {len(layer.bottoms)} inputs")
    layer.require(not (coefficients and options.operation == EltwiseParameter.PROD), "coeff is not for operation: PROD")
    return Made([layer.bottom])


def _listed(layer: ShapedLayer) -> str:
    return ", ".join(map(format_shape, layer.bottoms))


def _concat(layer: ShapedLayer) -> Made:
    options = layer.parameter.concat_param
    layer.require(not (options.HasField("axis") and options.HasField("concat_dim")), "give axis or concat_dim")
    axis = layer.bottom_axis(options.concat_dim if options.HasField("concat_dim") else options.axis)
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in layer.bottoms}
    ranks = {len(shape) for shape in layer.bottoms}
    layer.require(len(others) == len(ranks) == 1, f"the inputs differ in more than axis {axis}: {_listed(layer)}")
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
    """ReshapeLayer: 0 keeps a dimension, -1 is worked out."""
    options = layer.parameter.reshape_param
    rank = len(layer.bottom)
    start = options.axis if options.axis >= 0 else options.axis + rank + 1
    end = rank if options.num_axes == -1 else start + options.num_axes
    layer.require(0 <= start <= end <= rank, f"axis {options.axis} and num_axes {options.num_axes} of {rank} axes")
    wanted = list(options.shape.dim)
    layer.require(min(wanted, default=0) >= -1 and wanted.count(-1) <= 1, f"the shape {wanted} is none")
    for index, size in enumerate(wanted):
        if size == 0:
            layer.require(start + index < rank, f"there is no axis {start + index} whose size a 0 could keep")
            wanted[index] = layer.bottom[start + index]
    total = math.prod(layer.bottom)
    dimensions = [*layer.bottom[:start], *wanted, *layer.bottom[end:]]
    if -1 in dimensions:
        known = -math.prod(dimensions)
        dimensions[dimensions.index(-1)] = total // known if known else 0
    layer.require(math.prod(dimensions) == total, f"{total} numbers do not fit the shape {dimensions}")
    return Made([tuple(dimensions)])


def _tile(layer: ShapedLayer) -> Made:
    options = layer.parameter.tile_param
    axis = layer.bottom_axis(options.axis)
    layer.require(options.tiles > 0, "tiles must be 1 or more")
    return Made([_with(layer.bottom, axis, layer.bottom[axis] * options.tiles)])


def _crop(layer: ShapedLayer) -> Made:
    options = layer.parameter.crop_param
    first, second = layer.bottoms
    axis = layer.bottom_axis(options.axis)
    layer.require(len(first) == len(second), f"the inputs differ in their number of axes: {_listed(layer)}")
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


# Losses and what goes with them: SoftmaxWithLossLayer, AccuracyLayer and the others' Reshape.


def _same_first(layer: ShapedLayer) -> None:
    """LossLayer::Reshape."""
    layer.require(
        layer.bottoms[0][:1] == layer.bottoms[1][:1] != (), f"the inputs differ in their first axis: {_listed(layer)}"
    )


def _one_label_each(layer: ShapedLayer, axis: int) -> int:
    """Refuse labels that are not one for each place along all axes but one; give that axis."""
    axis = layer.bottom_axis(axis)
    places = math.prod(layer.bottom[:axis]) * math.prod(layer.bottom[axis + 1 :])
    labels = math.prod(layer.bottoms[1])
    layer.require(places == labels, f"{labels} labels for {places} places: {_listed(layer)}")
    return axis


def _label_loss(layer: ShapedLayer) -> Made:
    _same_first(layer)
    infogain = layer.parameter.type == "InfogainLoss"
    parameter = layer.parameter
    _one_label_each(layer, parameter.infogain_loss_param.axis if infogain else parameter.softmax_param.axis)
    return Made([()])


def _accuracy(layer: ShapedLayer) -> Made:
    """AccuracyLayer: with a second top, the accuracy of each class."""
    options = layer.parameter.accuracy_param
    axis = _one_label_each(layer, options.axis)
    classes = layer.bottom[axis]
    layer.require(options.top_k <= classes, f"top_k {options.top_k} of {classes} classes")
    return Made([(), (classes,)][: len(layer.parameter.top)])


def _same_count_loss(layer: ShapedLayer) -> Made:
    _same_first(layer)
    start = 1 if layer.parameter.type == "EuclideanLoss" else 0
    counts = {math.prod(shape[start:]) for shape in layer.bottoms}
    layer.require(len(counts) == 1, f"the inputs differ in size: {_listed(layer)}")
    return Made([()])


def _row_loss(layer: ShapedLayer) -> Made:
    _same_first(layer)
    if layer.parameter.type == "MultinomialLogisticLoss":
        layer.require(math.prod(layer.bottoms[1][1:]) == 1, f"one label a row: {_listed(layer)}")
    return Made([()])


def _contrastive_loss(layer: ShapedLayer) -> Made:
    first, second, third = layer.bottoms
    layer.require(first[1:2] == second[1:2], f"the inputs differ in their channels: {_listed(layer)}")
    layer.require(
        all(math.prod(shape[2:]) == 1 for shape in (first, second)) and math.prod(third[1:]) == 1,
        f"the inputs have to be one by one pixel: {_listed(layer)}",
    )
    return Made([()])


# Layers that bring data.


def _shapes(layer: ShapedLayer, stated: Sequence[BlobShape]) -> Shapes:
    """Give each top the shape that is stated for it, or the one for all."""
    count = len(layer.parameter.top)
    layer.require(len(stated) in {1, count}, f"{len(stated)} shapes for {count} top blobs")
    shapes = [tuple(shape.dim) for shape in stated]
    return shapes if len(shapes) == count else shapes * count


def _input(layer: ShapedLayer) -> Made:
    return Made(_shapes(layer, layer.parameter.input_param.shape))


def _parameter(layer: ShapedLayer) -> Made:
    shape = tuple(layer.parameter.parameter_param.shape.dim)
    return Made([shape], [shape])


def _dummy_data(layer: ShapedLayer) -> Made:
    options = layer.parameter.dummy_data_param
    if options.shape:
        return Made(_shapes(layer, options.shape))
    sizes = [list(size) for size in (options.num, options.channels, options.height, options.width)]
    count = max(map(len, sizes))
    layer.require(all(len(size) in {1, count} for size in sizes), "num, channels, height and width differ in number")
    columns = [size if len(size) == count else size * count for size in sizes]
    return Made(_shapes(layer, [BlobShape(dim=dims) for dims in zip(*columns, strict=True)]))


def _memory_data(layer: ShapedLayer) -> Made:
    options = layer.parameter.memory_data_param
    shape = options.batch_size, options.channels, options.height, options.width
    layer.require(min(shape) > 0, "batch_size, channels, height and width must be 1 or more")
    return Made([shape, shape[:1]])


def _data(layer: ShapedLayer) -> Made:
    """Give what is stated of pictures that Caffe would read from a source: crop_size, and the means' number."""
    parameter = layer.parameter
    options: DataParameter | ImageDataParameter | WindowDataParameter = parameter.data_param
    transform = parameter.transform_param
    # Caffe asks the first picture for its channels; those of colour have three.
    channels = 1 if transform.force_gray else max(len(transform.mean_value), 3)
    size = (0, 0)
    if parameter.type == "ImageData":
        options = parameter.image_data_param
        channels, size = (3 if options.is_color else 1), (options.new_height, options.new_width)
    elif parameter.type == "WindowData":
        options = parameter.window_data_param
    side = transform.crop_size or options.crop_size
    size = (side, side) if side else size
    layer.require(min(size) > 0, "the size of its pictures is not stated: it has no crop_size")
    layer.require(options.batch_size > 0, "batch_size is 0")
    shape = options.batch_size, channels, *size
    return Made([shape, shape[:1]][: len(parameter.top)])


@dataclass(frozen=True)
class Rule:
    """How a type of layer makes its shapes, and the smallest and the largest number of blobs that it takes."""

    make: Callable[[ShapedLayer], Made]
    bottoms: tuple[int, int] = (1, 1)
    tops: tuple[int, int] = (1, 1)


_ELEMENTWISE = (
    *("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "MVN", "Power", "ReLU", "Sigmoid", "Swish", "TanH"),
    "Threshold",
)
_MANY = (1, _ANY)
_NONE = (0, 0)
# Caffe names a loss's top where there is none. A second one aborts: the layer inside has one top, and as many weights.
_LOSS = (0, 1)

RULES = {
    **dict.fromkeys(_ELEMENTWISE, Rule(_same)),
    "Accuracy": Rule(_accuracy, (2, 2), (1, 2)),
    "ArgMax": Rule(_argmax),
    "BatchNorm": Rule(_batch_norm),
    "BatchReindex": Rule(_batch_reindex, (2, 2)),
    "Bias": Rule(_bias, (1, 2)),
    "Concat": Rule(_concat, _MANY),
    "ContrastiveLoss": Rule(_contrastive_loss, (3, 3), _LOSS),
    "Convolution": Rule(_convolution, _MANY, _MANY),
    "Crop": Rule(_crop, (2, 2)),
    "Data": Rule(_data, _NONE, (1, 2)),
    "Deconvolution": Rule(_convolution, _MANY, _MANY),
    "DummyData": Rule(_dummy_data, _NONE, _MANY),
    "Eltwise": Rule(_eltwise, (2, _ANY)),
    "Embed": Rule(_embed),
    "EuclideanLoss": Rule(_same_count_loss, (2, 2), _LOSS),
    "Flatten": Rule(_flatten),
    "HDF5Output": Rule(_nothing, (2, 2), _NONE),
    "HingeLoss": Rule(_row_loss, (2, 2), _LOSS),
    "Im2col": Rule(_im2col),
    "ImageData": Rule(_data, _NONE, (2, 2)),
    "InfogainLoss": Rule(_label_loss, (2, 3), _LOSS),
    "InnerProduct": Rule(_inner_product),
    "Input": Rule(_input, _NONE, _MANY),
    "LRN": Rule(_lrn),
    "LSTM": Rule(_recurrent, (2, 3)),
    "MemoryData": Rule(_memory_data, _NONE, (2, 2)),
    "MultinomialLogisticLoss": Rule(_row_loss, (2, 2), _LOSS),
    "PReLU": Rule(_prelu),
    "Parameter": Rule(_parameter, _NONE),
    "Pooling": Rule(_pooling, (1, 1), (1, 2)),
    "RNN": Rule(_recurrent, (2, 3)),
    "Reduction": Rule(_reduction),
    "Reshape": Rule(_reshape),
    "SPP": Rule(_spp),
    "Scale": Rule(_scale, (1, 2)),
    "SigmoidCrossEntropyLoss": Rule(_same_count_loss, (2, 2), _LOSS),
    "Silence": Rule(_nothing, _MANY, _NONE),
    "Slice": Rule(_slice, (1, 1), _MANY),
    "Softmax": Rule(_softmax),
    "SoftmaxWithLoss": Rule(_label_loss, (2, 2), _LOSS),
    "Split": Rule(_same, (1, 1), _MANY),
    "Tile": Rule(_tile),
    "WindowData": Rule(_data, _NONE, (2, 2)),
}
"""By type of layer; what is missing needs data, or runs code of its own."""
