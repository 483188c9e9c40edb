"""Layers that bring data."""

from __future__ import annotations

from collections.abc import Sequence

from nsfw_caffe.model.schema.caffe_pb2 import BlobShape, DataParameter, ImageDataParameter, WindowDataParameter
from nsfw_caffe.model.shapes.base import MANY, NONE, Made, Rule, ShapedLayer, Shapes


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


RULES = {
    "Data": Rule(_data, NONE, (1, 2)),
    "DummyData": Rule(_dummy_data, NONE, MANY),
    "ImageData": Rule(_data, NONE, (2, 2)),
    "Input": Rule(_input, NONE, MANY),
    "MemoryData": Rule(_memory_data, NONE, (2, 2)),
    "Parameter": Rule(_parameter, NONE),
    "WindowData": Rule(_data, NONE, (2, 2)),
}
