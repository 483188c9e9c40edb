"""Shapes without Caffe, held against the shapes of the real pycaffe's blobs, and against what it aborts on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.shapes.network import RULES, LayerShapes, network_shapes
from tests.caffe_networks import LAYERS, RandomNetwork
from tests.support import run

Shape = tuple[int, ...]

_PROGRAM = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
caffe.set_mode_cpu()
found = []
for path in sys.argv[1:]:
    net = caffe.Net(path, caffe.TEST)
    found.append([
        {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        {name: [list(blob.data.shape) for blob in layer.blobs]
         for name, layer in zip(net._layer_names, net.layers) if len(layer.blobs)},
    ])
print(json.dumps(found))
"""

_ABORTING = """
import json, os, sys
import caffe
caffe.set_mode_cpu()
found = []
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        caffe.Net(path, caffe.TEST)
        os._exit(0)
    found.append(os.waitpid(child, 0)[1])
print(json.dumps(found))
"""


def input_layer(name: str, *shape: int) -> str:
    dims = ", ".join(map(str, shape))
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ dim: [{dims}] }} }} }}'


def layer(type_: str, options: str = "", *, bottom: str = "data", top: str = "x", name: str = "it") -> str:
    """Write a layer; bottoms and tops are names with spaces between."""
    wires = " ".join([f'bottom: "{one}"' for one in bottom.split()] + [f'top: "{one}"' for one in top.split()])
    return f'layer {{ name: "{name}" type: "{type_}" {wires} {options} }}'


DATA = input_layer("data", 2, 8, 9, 7)
MATRIX = input_layer("rows", 4, 10)
LABELS = input_layer("labels", 4)
SERIES = input_layer("series", 3, 2, 5, 4) + input_layer("cont", 3, 2) + input_layer("static", 2, 6)

KNOWN = [
    *[layer(type_) for type_ in ("AbsVal", "BNLL", "Dropout", "ELU", "Exp", "Log", "MVN", "Power", "ReLU", "Sigmoid")],
    *[
        layer(type_)
        for type_ in ("Swish", "TanH", "Threshold", "LRN", "Softmax", "PReLU", "BatchNorm", "Scale", "Bias")
    ],
    layer("Clip", "clip_param { min: 0 max: 1 }"),
    layer("ReLU", bottom="data", top="data"),
    layer("Split", top="x y z"),
    layer("Silence", top=""),
    layer("PReLU", "prelu_param { channel_shared: true }"),
    layer("Scale", "scale_param { axis: 0 num_axes: -1 bias_term: true }"),
    layer("Scale", "scale_param { num_axes: 0 bias_term: true }"),
    layer("Scale", "scale_param { axis: 0 bias_term: true }", bottom="rows labels"),
    layer("Bias", "bias_param { axis: -2 num_axes: 2 }"),
    layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }"),
    layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 2 group: 2 }"),
    layer("Convolution", "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 1 pad_w: 2 bias_term: false }"),
    layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 kernel_size: 2 dilation: 2 stride: 3 }"),
    layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 }", bottom="data data", top="x y"),
    layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 axis: 2 }"),
    layer("Deconvolution", "convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 group: 2 }"),
    layer("Deconvolution", "convolution_param { num_output: 6 kernel_size: 2 dilation: 3 bias_term: false }"),
    layer("Im2col", "convolution_param { kernel_size: 3 stride: 2 pad: 1 }"),
    layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }"),
    layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 round_mode: FLOOR }"),
    layer("Pooling", "pooling_param { kernel_size: 2 stride: 3 pad: 1 pool: AVE }"),
    layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", top="x y"),
    layer("Pooling", "pooling_param { global_pooling: true pool: AVE }"),
    layer("Pooling", "pooling_param { kernel_h: 2 kernel_w: 3 stride_h: 4 stride_w: 1 pool: STOCHASTIC }"),
    layer("Pooling", "pooling_param { kernel_size: 10 stride: 4 }"),
    *[layer("SPP", f"spp_param {{ pyramid_height: {height} }}") for height in (1, 2, 3)],
    layer("InnerProduct", "inner_product_param { num_output: 5 }"),
    layer("InnerProduct", "inner_product_param { num_output: 5 axis: -1 transpose: true bias_term: false }"),
    layer("Embed", "embed_param { num_output: 5 input_dim: 7 }", bottom="labels"),
    layer("Embed", "embed_param { num_output: 5 input_dim: 7 bias_term: false }", bottom="rows"),
    layer("LSTM", "recurrent_param { num_output: 3 }", bottom="series cont"),
    layer("LSTM", "recurrent_param { num_output: 3 }", bottom="series cont static"),
    layer("RNN", "recurrent_param { num_output: 3 }", bottom="series cont"),
    layer("RNN", "recurrent_param { num_output: 3 }", bottom="series cont static"),
    layer("Eltwise", bottom="data data"),
    layer("Eltwise", "eltwise_param { operation: MAX }", bottom="data data data"),
    layer("Concat", bottom="data data"),
    layer("Concat", "concat_param { axis: -1 }", bottom="rows rows rows"),
    layer("Concat", "concat_param { concat_dim: 0 }", bottom="rows rows"),
    layer("Slice", top="x y"),
    layer("Slice", "slice_param { axis: 2 slice_point: 1 slice_point: 5 }", top="x y z"),
    layer("Slice", "slice_param { slice_dim: 0 }", top="x"),
    layer("Flatten"),
    layer("Flatten", "flatten_param { axis: 0 end_axis: -2 }"),
    layer("Flatten", "flatten_param { axis: 2 end_axis: 1 }"),
    layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 9 } }"),
    layer("Reshape", "reshape_param { shape { dim: 4 dim: 2 } axis: 1 num_axes: 1 }"),
    layer("Reshape", "reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }"),
    layer("Tile", "tile_param { tiles: 3 axis: 2 }"),
    layer("Crop", "crop_param { axis: 1 offset: 0 offset: 1 offset: 2 }", bottom="data small"),
    layer("Crop", "crop_param { offset: 2 }", bottom="data small"),
    layer("BatchReindex", bottom="data labels"),
    layer("Reduction"),
    layer("Reduction", "reduction_param { axis: -2 }"),
    layer("ArgMax"),
    layer("ArgMax", "argmax_param { top_k: 3 out_max_val: true }"),
    layer("ArgMax", "argmax_param { top_k: 3 out_max_val: true axis: 1 }"),
    layer("ArgMax", "argmax_param { top_k: 3 }", bottom="rows"),
    layer("SoftmaxWithLoss", bottom="rows labels"),
    layer("SoftmaxWithLoss", "loss_weight: 2", bottom="rows labels"),
    layer("SoftmaxWithLoss", bottom="rows labels", top=""),
    layer("SoftmaxWithLoss", "softmax_param { axis: -2 }", bottom="data places"),
    layer("Accuracy", bottom="rows labels", top="x y"),
    layer("Accuracy", "accuracy_param { top_k: 5 }", bottom="rows labels"),
    layer("EuclideanLoss", bottom="rows rows"),
    layer("HingeLoss", bottom="rows labels"),
    layer("SigmoidCrossEntropyLoss", bottom="rows rows"),
    layer("MultinomialLogisticLoss", bottom="rows labels"),
    layer("InfogainLoss", bottom="rows labels gains"),
    layer("ContrastiveLoss", bottom="rows rows labels"),
    layer("Parameter", "parameter_param { shape { dim: 3 dim: 4 } }", bottom=""),
    layer("DummyData", "dummy_data_param { shape { dim: 3 dim: 4 } }", bottom="", top="x y"),
    layer("DummyData", "dummy_data_param { num: 1 num: 2 channels: 3 height: 4 width: 5 }", bottom="", top="x y"),
    layer("DummyData", "dummy_data_param { num: 1 channels: 3 height: 4 width: 5 }", bottom="", top="x y"),
    layer("MemoryData", "memory_data_param { batch_size: 4 channels: 3 height: 8 width: 6 }", bottom="", top="x y"),
    layer(
        "MemoryData",
        "transform_param { crop_size: 4 } memory_data_param { batch_size: 4 channels: 3 height: 8 width: 6 }",
        bottom="",
        top="x y",
    ),
]
"""Layers on the blobs of SOURCES, which Caffe takes."""

SOURCES = "\n".join(
    [
        *(DATA, MATRIX, LABELS, SERIES),
        input_layer("small", 2, 8, 5, 4),
        input_layer("places", 2, 8, 1, 7),
        input_layer("gains", 1, 1, 10, 10),
    ]
)

REFUSED = {
    "unknown bottom": (layer("ReLU", bottom="nothing"), "there is no blob 'nothing' before it"),
    "a top twice": (layer("ReLU", top="rows"), "a blob 'rows' is there already"),
    "in place, read elsewhere": (
        layer("ReLU", name="before") + layer("Sigmoid", top="data"),
        "writes into 'data', which another layer reads too",
    ),
    "not in place": (layer("Flatten", top="data"), "Caffe does not compute this type in place"),
    "bottoms": (layer("ReLU", bottom="data rows"), "2 bottom blobs; it takes 1"),
    "no bottom": (layer("Eltwise"), "1 bottom blobs; it takes 2 or more"),
    "tops": (layer("Accuracy", bottom="rows labels", top="x y z"), "3 top blobs; it takes 1 to 2"),
    "kernel": (
        layer("Convolution", "convolution_param { num_output: 1 kernel_size: 12 }"),
        "the kernel is larger than the padded input, 9x7",
    ),
    "pooled kernel": (
        layer("Pooling", "pooling_param { kernel_size: 12 }"),
        "the kernel is larger than the padded input, 9x7",
    ),
    "kernel missing": (layer("Convolution", "convolution_param { num_output: 1 }"), "kernel_size is missing"),
    "num_output": (layer("Convolution", "convolution_param { kernel_size: 1 }"), "num_output is 0"),
    "groups": (
        layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 group: 3 }"),
        "8 channels and num_output 4 cannot be cut into 3 groups",
    ),
    "stride": (layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 stride: 0 }"), "1 or more"),
    "bottoms of two shapes": (
        layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 }", bottom="data small", top="x y"),
        "the inputs differ in shape",
    ),
    "two bottoms, one top": (
        layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 }", bottom="data data"),
        "2 bottom blobs and 1 top blobs",
    ),
    "axes": (
        layer("Convolution", "convolution_param { num_output: 4 kernel_h: 1 kernel_w: 1 axis: 2 }"),
        "kernel_h and kernel_w are for 2 axes, here are 1",
    ),
    "values": (
        layer("Convolution", "convolution_param { num_output: 4 kernel_size: [1, 1, 1] }"),
        "kernel_size has 3 values for 2 axes",
    ),
    "transposed": (
        layer("Deconvolution", "convolution_param { num_output: 4 kernel_size: 1 pad: 8 }"),
        "the padding leaves nothing of the output",
    ),
    "pad": (layer("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"), "pad must be less than the kernel"),
    "stochastic pad": (layer("Pooling", "pooling_param { kernel_size: 2 pad: 1 pool: STOCHASTIC }"), "pad is for"),
    "second top": (layer("Pooling", "pooling_param { kernel_size: 2 pool: AVE }", top="x y"), "is for pool: MAX"),
    "pooled rank": (layer("Pooling", "pooling_param { kernel_size: 2 }", bottom="rows"), "input of 4 axes, has 2"),
    "spp": (layer("SPP", "spp_param { pyramid_height: 5 }"), "pad must be less than the kernel"),
    "no spp": (layer("SPP"), "pyramid_height is 0"),
    "product": (layer("InnerProduct"), "num_output is 0"),
    "no axis": (layer("InnerProduct", "inner_product_param { num_output: 1 axis: 4 }"), "there is no axis 4 among 4"),
    "too large": (layer("InnerProduct", "inner_product_param { num_output: 100000000 }"), "more than Caffe can hold"),
    "sum": (layer("Eltwise", bottom="data small"), "the inputs differ: 2x8x9x7, 2x8x5x4"),
    "coefficients": (layer("Eltwise", "eltwise_param { coeff: 1 }", bottom="data data"), "1 coeff for 2 inputs"),
    "product with coefficients": (
        layer("Eltwise", "eltwise_param { operation: PROD coeff: [1, 1] }", bottom="data data"),
        "coeff is not for operation: PROD",
    ),
    "concat": (layer("Concat", bottom="data small"), "differ in more than axis 1: 2x8x9x7, 2x8x5x4"),
    "concat ranks": (layer("Concat", bottom="data rows"), "differ in more than axis 1"),
    "two axes": (layer("Concat", "concat_param { axis: 1 concat_dim: 1 }", bottom="data data"), "give axis or"),
    "slices": (layer("Slice", top="x y z"), "8 cannot be cut into 3 equal parts"),
    "slice points": (layer("Slice", "slice_param { slice_point: 3 }", top="x y z"), "1 slice_point for 3 top blobs"),
    "order of slices": (
        layer("Slice", "slice_param { slice_point: [3, 2] }", top="x y z"),
        r"slice_point [3, 2] cannot cut an axis of 8",
    ),
    "flatten": (layer("Flatten", "flatten_param { axis: 3 end_axis: 1 }"), "end_axis 1 lies before axis 3"),
    "reshape": (layer("Reshape", "reshape_param { shape { dim: 5 dim: -1 } }"), "1008 numbers do not fit the shape"),
    "two unknowns": (layer("Reshape", "reshape_param { shape { dim: [-1, -1] } }"), "the shape [-1, -1] is none"),
    "reshape with nothing": (layer("Reshape", "reshape_param { shape { dim: [0, 0, 0, 0, 0] } }"), "no axis 4 whose"),
    "reshaped axes": (layer("Reshape", "reshape_param { axis: 3 num_axes: 2 }"), "axis 3 and num_axes 2 of 4 axes"),
    "scale": (layer("Scale", bottom="data rows"), "the second input is 4x10, which is not the first one's, 2x8x9x7"),
    "scaled axes": (layer("Scale", "scale_param { axis: 3 num_axes: 2 }"), "axis 3 and num_axes 2 of 4 axes"),
    "learned statistics": (layer("BatchNorm", "param { lr_mult: 1 }"), "lr_mult has to be 0"),
    "statistics of what": (layer("BatchNorm", bottom="labels"), "needs an input of 2 or more axes, has 1"),
    "two tops of a loss": (layer("SoftmaxWithLoss", bottom="rows labels", top="x y"), "2 top blobs; it takes 0 to 1"),
    "two tops with weights": (
        layer("SoftmaxWithLoss", "loss_weight: 1 loss_weight: 0", bottom="rows labels", top="x y"),
        "2 top blobs; it takes 0 to 1",
    ),
    "weights": (layer("ReLU", "loss_weight: 1 loss_weight: 1"), "2 loss_weight for 1 top blobs"),
    "params": (layer("ReLU", "param { lr_mult: 1 }"), "1 param for 0 blobs"),
    "slopes": (layer("PReLU", bottom="labels"), "needs an input of 2 or more axes, has 1"),
    "lrn": (layer("LRN", "lrn_param { local_size: 4 }"), "local_size must be odd"),
    "tile": (layer("Tile"), "tiles must be 1 or more"),
    "crop": (layer("Crop", "crop_param { offset: 5 }", bottom="data small"), "the crop at axis 2 exceeds"),
    "crop ranks": (layer("Crop", "crop_param { axis: 0 }", bottom="data rows"), "differ in their number of axes"),
    "offsets": (layer("Crop", "crop_param { offset: [1, 1, 1] }", bottom="data small"), "3 offset for 2 axes"),
    "labels": (layer("SoftmaxWithLoss", bottom="data labels"), "differ in their first axis: 2x8x9x7, 4"),
    "too many labels": (layer("SoftmaxWithLoss", bottom="rows rows"), "40 labels for 4 places"),
    "best": (layer("Accuracy", "accuracy_param { top_k: 11 }", bottom="rows labels"), "top_k 11 of 10 classes"),
    "euclid": (layer("EuclideanLoss", bottom="rows labels"), "the inputs differ in size: 4x10, 4"),
    "sigmoid": (layer("SigmoidCrossEntropyLoss", bottom="rows labels"), "the inputs differ in size"),
    "rows": (layer("MultinomialLogisticLoss", bottom="rows rows"), "one label a row: 4x10, 4x10"),
    "argmax": (layer("ArgMax", "argmax_param { top_k: 9 axis: 1 }"), "top_k 9 of 8"),
    "argmax of all": (layer("ArgMax", "argmax_param { top_k: 11 }", bottom="rows"), "top_k 11 of 10"),
    "recurrent": (layer("LSTM", "recurrent_param { num_output: 2 }", bottom="series labels"), "time by streams"),
    "shapes": (layer("Input", "input_param { shape { } shape { } }", bottom="", top="x y z"), "2 shapes for 3 top"),
    "memory": (layer("MemoryData", bottom="", top="x y"), "batch_size, channels, height and width must be 1 or"),
    "shared": (
        layer("InnerProduct", 'param { name: "w" } inner_product_param { num_output: 3 }', bottom="rows", top="y",
              name="before")
        + layer("InnerProduct", 'param { name: "w" } inner_product_param { num_output: 4 }', bottom="rows"),
        "the shared blob 'w' is 3x10, not 4x10",
    ),
}  # fmt: skip
"""Layers on the blobs of SOURCES, on which Caffe aborts, and what is said instead."""


def shapes(path: Path) -> list[LayerShapes]:
    return network_shapes(read_prototxt(path), path)


def write(folder: Path, name: str, *parts: str) -> Path:
    path = folder / f"{name}.prototxt"
    path.write_text("\n".join(parts))
    return path


def hold_against_caffe(paths: list[Path]) -> None:
    """Compare all blobs of networks with those of pycaffe, in one child process."""
    child = run("-c", _PROGRAM, *paths)
    assert child.returncode == 0, child.stderr[-1500:]
    for path, (blobs, params) in zip(paths, json.loads(child.stdout), strict=True):
        layers = shapes(path)
        found = {top: list(shape) for one in layers for top, shape in zip(one.layer.top, one.tops, strict=False)}
        assert found == {name: blobs[name] for name in found}, path.read_text()
        learned = {one.layer.name: list(map(list, one.blobs)) for one in layers if one.blobs}
        assert learned == params, path.read_text()


def test_every_known_type_has_caffes_shapes(tmp_path: Path) -> None:
    hold_against_caffe([write(tmp_path, str(index), SOURCES, text) for index, text in enumerate(KNOWN)])


def test_every_type_is_held_against_caffe() -> None:
    """But those that pycaffe's build leaves out, or that need a source that is there."""
    held = set(re.findall(r'type: "(\w+)"', " ".join(KNOWN)))
    assert set(RULES) - held == {"Data", "HDF5Output", "ImageData", "Input", "WindowData"}


def test_random_networks_have_caffes_shapes(tmp_path: Path) -> None:
    paths = []
    for seed in range(30):
        network = RandomNetwork(tmp_path, seed)
        for _ in range(network.integer(3, 8)):
            network.grow()
        paths.append(write(tmp_path, f"random{seed}", network.text))
    hold_against_caffe(paths)


@pytest.mark.parametrize("kind", LAYERS)
def test_random_options_have_caffes_shapes(tmp_path: Path, kind: str) -> None:
    paths = []
    for seed in range(8):
        network = RandomNetwork(tmp_path, 1000 + seed)
        network.grow(kind)
        paths.append(write(tmp_path, f"random{seed}", network.text))
    hold_against_caffe(paths)


@pytest.mark.parametrize("case", REFUSED)
def test_what_caffe_would_abort_on_is_an_error(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    path = write(tmp_path, "net", SOURCES, text)
    with pytest.raises(ModelError) as caught:
        shapes(path)
    assert str(caught.value).startswith(f"{path}: layer 'it' of type ")
    assert message in str(caught.value)


def test_caffe_aborts_on_all_of_that(tmp_path: Path) -> None:
    paths = [write(tmp_path, str(index), SOURCES, text) for index, (text, _) in enumerate(REFUSED.values())]
    child = run("-c", _ABORTING, *paths)
    survived = {case for case, status in zip(REFUSED, json.loads(child.stdout), strict=True) if status == 0}
    assert not survived


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ("Data transform_param { crop_size: 8 } data_param { batch_size: 4 }", (4, 3, 8, 8)),
        ("Data data_param { batch_size: 4 crop_size: 8 }", (4, 3, 8, 8)),
        ("Data transform_param { crop_size: 8 force_gray: true } data_param { batch_size: 4 }", (4, 1, 8, 8)),
        ("Data transform_param { crop_size: 8 mean_value: [1, 2, 3, 4] } data_param { batch_size: 4 }", (4, 4, 8, 8)),
        ("ImageData image_data_param { batch_size: 4 new_height: 8 new_width: 6 }", (4, 3, 8, 6)),
        ("ImageData transform_param { crop_size: 5 } image_data_param { is_color: false }", (1, 1, 5, 5)),
        ("WindowData transform_param { crop_size: 5 } window_data_param { batch_size: 2 }", (2, 3, 5, 5)),
    ],
)
def test_data_that_caffe_would_read(tmp_path: Path, options: str, shape: Shape) -> None:
    type_, _, rest = options.partition(" ")
    (found,) = shapes(write(tmp_path, "net", layer(type_, rest, bottom="", top="x y")))
    assert found.tops == (shape, shape[:1])


@pytest.mark.parametrize("type_", ["Data", "ImageData", "WindowData"])
def test_data_of_a_size_that_is_not_stated(tmp_path: Path, type_: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'it' of type {type_}: the size of its pictures is not stated"):
        shapes(write(tmp_path, "net", layer(type_, bottom="", top="x y")))


@pytest.mark.parametrize("type_", ["Python", "HDF5Data", "Filter", "NoSuchType", ""])
def test_types_that_cannot_be_told(tmp_path: Path, type_: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'it' of type {type_}: the shapes of this type cannot be told"):
        shapes(write(tmp_path, "net", DATA, layer(type_)))


def test_older_inputs(tmp_path: Path) -> None:
    old = 'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8] '
    first = shapes(write(tmp_path, "dims", old, layer("ReLU", bottom="b")))[0]
    assert (first.layer.type, first.tops) == ("Input", ((1, 2, 3, 4), (5, 6, 7, 8)))
    new = 'input: "a" input: "b" input_shape { dim: 1 } input_shape { dim: [2, 3] } '
    assert shapes(write(tmp_path, "shapes", new, layer("ReLU", bottom="b")))[0].tops == ((1,), (2, 3))
    with pytest.raises(ModelError, match="2 inputs need as many input_shape, or four input_dim each"):
        shapes(write(tmp_path, "wrong", 'input: "a" input: "b" input_dim: [1, 2, 3, 4]', layer("ReLU", bottom="b")))
