"""The converter against pycaffe: small random networks, run by both engines; and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest

from nsfw_caffe import ModelError
from nsfw_caffe.caffe_to_onnx.convert import convert
from nsfw_caffe.caffe_to_onnx.rules import RULES
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.spec import ModelFiles
from tests import caffe_networks
from tests.caffe_networks import Array, Case

TOLERANCE = 1e-5
"""Of the largest number in each part of the output, or of 1, the size that the numbers in between have."""

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 6 dim: 7 } } }\n'
CONVOLUTION = 'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { %s } }\n'


def by_onnxruntime(model: bytes, data: Array) -> Array:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    output: Array = session.run(None, {session.get_inputs()[0].name: data})[0]
    return output


def by_openvino(model: bytes, data: Array) -> Array:
    """Run one by one, as the engine does."""
    core = openvino.Core()
    network = core.read_model(model)
    network.reshape([1, *data.shape[1:]])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    return np.concatenate([request.infer([one[np.newaxis]])[0] for one in data])


def assert_equal(case: Case) -> bytes:
    """Convert, run, compare each part of the output; give the model."""
    model = convert(case.prototxt, case.caffemodel)
    for run in (by_onnxruntime, by_openvino):
        found = run(model, case.data)
        start = 0
        for width in case.leaves:
            part = slice(start, start + width)
            expected = case.output.reshape(len(case.output), -1)[:, part]
            difference = np.abs(found.reshape(len(found), -1)[:, part] - expected).max()
            assert difference <= TOLERANCE * max(np.abs(expected).max(), 1), run.__name__
            start += width
    return model


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def case(folder: Path, text: str) -> Case:
    return caffe_networks.write(folder, text, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(300))
def test_random_network(seed: int, tmp_path: Path) -> None:
    assert_equal(caffe_networks.random_case(tmp_path, seed))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", caffe_networks.LAYERS)
def test_layer(kind: str, seed: int, tmp_path: Path) -> None:
    assert_equal(caffe_networks.random_case(tmp_path, seed, kind))


def test_networks_have_every_type() -> None:
    assert caffe_networks.LAYERS.keys() == RULES.keys()


POOLING = 'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { %s } }'


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("rounding", ["CEIL", "FLOOR"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_pooling_at_the_borders(kernel: int, stride: int, rounding: str, method: str, tmp_path: Path) -> None:
    for pad in range(min(kernel, 3)):
        options = f"pool: {method} round_mode: {rounding} kernel_size: {kernel} stride: {stride} pad: {pad}"
        if kernel >= stride:  # else the last window may lie outside, which is refused
            assert_equal(case(tmp_path, DATA + POOLING % options))


@pytest.mark.parametrize(
    "head",
    [
        'input: "data" input_dim: 2 input_dim: 4 input_dim: 6 input_dim: 7\n',
        'input: "data" input_shape { dim: 2 dim: 4 dim: 6 dim: 7 }\n',
    ],
)
def test_older_ways_to_name_the_input(head: str, tmp_path: Path) -> None:
    model = assert_equal(case(tmp_path, head + CONVOLUTION % "num_output: 3 kernel_size: 2"))
    (source,) = onnx.load_from_string(model).graph.input
    assert [dim.dim_param or dim.dim_value for dim in source.type.tensor_type.shape.dim] == ["n", 4, 6, 7]


BATCH_NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "%s" }\n'
SCALE = 'layer { name: "scale" type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: true } }\n'


def test_folding(tmp_path: Path) -> None:
    text = DATA + CONVOLUTION % "num_output: 4 kernel_size: 1" + BATCH_NORM % "conv" + SCALE % ("conv", "conv")
    assert operators(assert_equal(case(tmp_path, text))) == ["Conv"]


def test_no_folding_where_another_layer_reads(tmp_path: Path) -> None:
    """Eltwise reads what the convolution gave before BatchNorm came."""
    text = DATA + CONVOLUTION % "num_output: 4 kernel_size: 1" + BATCH_NORM % "bn" + SCALE % ("bn", "bn")
    text += 'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "bn" top: "sum" }\n'
    assert operators(assert_equal(case(tmp_path, text))) == ["Conv", "Mul", "Add", "Add"]


def test_refused_in_place_layer_with_another_reader(tmp_path: Path) -> None:
    """Caffe aborts: "Top blob 'data' produced by multiple sources"."""
    text = 'layer { name: "drop" type: "Dropout" bottom: "data" top: "kept" }\n'
    assert "another layer reads too" in refusal(
        tmp_path, DATA + text + layer("ReLU", wires='bottom: "data" top: "data"')
    )


def test_network_without_any_operation(tmp_path: Path) -> None:
    text = DATA + 'layer { name: "drop" type: "Dropout" bottom: "data" top: "out" }'
    assert operators(assert_equal(case(tmp_path, text))) == ["Identity"]


def test_variance_without_a_total(tmp_path: Path) -> None:
    """A network that was never trained: Caffe takes mean and variance for 0."""
    made = case(tmp_path, DATA + CONVOLUTION % "num_output: 4 kernel_size: 1" + BATCH_NORM % "conv")
    edit_blob(made.caffemodel, "bn", 2, [0.0])
    net = caffe_networks.load(made.prototxt)
    net.copy_from(str(made.caffemodel))
    net.blobs["data"].data[...] = made.data
    output = net.forward()["conv"].copy()
    (width,) = made.leaves
    assert_equal(Case(made.prototxt, made.caffemodel, made.data, output, (width,)))


def edit_blob(caffemodel: Path, name: str, index: int, values: list[float]) -> None:
    weights = NetParameter.FromString(caffemodel.read_bytes())
    (layer,) = (layer for layer in weights.layer if layer.name == name)
    layer.blobs[index].data[:] = values
    caffemodel.write_bytes(weights.SerializeToString())


def test_blobs_in_the_older_shape_and_in_double(tmp_path: Path) -> None:
    inner = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 } }'
    made = case(tmp_path, DATA + inner)
    weights = NetParameter.FromString(made.caffemodel.read_bytes())
    (layer,) = (layer for layer in weights.layer if layer.name == "fc")
    for blob in layer.blobs:
        shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
        blob.num, blob.channels, blob.height, blob.width = shape
        blob.ClearField("shape")
        blob.double_data.extend(blob.data)
        blob.ClearField("data")
    made.caffemodel.write_bytes(weights.SerializeToString())
    assert_equal(made)


def refusal(folder: Path, text: str, blobs: dict[str, list[tuple[int, ...]]] | None = None) -> str:
    """Return what the converter says; the weights are zeros of these shapes."""
    weights = NetParameter()
    weights.layer.add(name="nothing")
    for name, shapes in (blobs or {}).items():
        layer = weights.layer.add(name=name)
        for shape in shapes:
            blob = layer.blobs.add(data=[0.0] * int(np.prod(shape)))
            blob.shape.dim.extend(shape)
    (folder / "net.prototxt").write_text(text)
    (folder / "net.caffemodel").write_bytes(weights.SerializeToString())
    with pytest.raises(ModelError) as caught:
        convert(folder / "net.prototxt", folder / "net.caffemodel")
    message = str(caught.value)
    assert "net." in message  # the file is named
    return message


def layer(kind: str, options: str = "", wires: str = 'bottom: "data" top: "it"') -> str:
    return f'layer {{ name: "it" type: "{kind}" {wires} {options} }}\n'


TWO = 'bottom: "data" bottom: "data" top: "it"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("Deconvolution", "convolution_param { num_output: 2 }"), "this type is not supported"),
        (layer("Crop", "crop_param { axis: 2 }"), "this type is not supported"),
        (layer("ReLU", "pooling_param { pol: MAX }"), 'no field named "pol"'),
        (layer("ReLU", "frobnicate: 1"), 'no field named "frobnicate"'),
        (layer("ReLU", "relu_param { slope: 1 }"), 'no field named "slope"'),
        (layer("ReLU", "blobs { data: 1 }"), "blobs is not supported here"),
        (layer("ReLU", "phase: TRAIN"), "phase: TRAIN"),
        (layer("ReLU", 'param { name: "a" } param { name: "a" }'), "shares its blob 'a'"),
        (layer("ReLU", wires='bottom: "nowhere" top: "it"'), "there is no blob 'nowhere'"),
        (layer("ReLU", wires='bottom: "data" bottom: "data" top: "it"'), "2 bottom blobs; 1 are supported"),
        (layer("Eltwise"), "1 bottom blobs; 2 or more are supported"),
        (layer("ReLU", wires='bottom: "data"'), "0 top blobs; 1 are supported"),
        (layer("Pooling", "pooling_param { kernel_size: 2 }", 'bottom: "data" top: "data"'), "in place"),
        (layer("Split", wires='bottom: "data" top: "a" top: "a"'), "a blob 'a' is there already"),
        (layer("Split", wires='bottom: "data" top: "a" top: "b"'), "expected one output, found a, b"),
        (layer("Convolution", "convolution_param { num_output: 2 }"), "kernel_size is missing"),
        (layer("Convolution", "convolution_param { kernel_size: 2 }"), "num_output is 0"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 2 kernel_h: 2 }"), "or kernel_h and"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 2 stride_h: 2 }"), "or stride_h and"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: [1, 1, 1] }"), "3 values for 2 axes"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 1 axis: 2 }"), "not the channels'"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 1 axis: 4 }"), "there is no axis 4"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 1 group: 3 }"), "into 3 groups"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 1 stride: 0 }"), "must be 1 or more"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 9 }"), "larger than the padded input"),
        (layer("Pooling"), "kernel_size is missing"),
        (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "STOCHASTIC"),
        (layer("Pooling", "pooling_param { global_pooling: true kernel_size: 2 }"), "exclude one another"),
        (layer("Pooling", "pooling_param { global_pooling: true stride: 2 }"), "needs pad 0 and stride 1"),
        (layer("Pooling", "pooling_param { kernel_size: 2 stride: 0 }"), "must be 1 or more"),
        (layer("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"), "pad must be less"),
        (layer("Pooling", "pooling_param { kernel_size: 1 stride: 4 }"), "lies outside the input"),
        (layer("Pooling", "pooling_param { kernel_size: 9 }"), "larger than the padded input"),
        (layer("Softmax", "softmax_param { axis: 0 }"), "across the pictures"),
        (layer("InnerProduct", "inner_product_param { num_output: 2 axis: 0 }"), "across the pictures"),
        (layer("InnerProduct"), "num_output is 0"),
        (layer("Flatten", "flatten_param { axis: 0 }"), "across the pictures"),
        (layer("Flatten", "flatten_param { axis: 3 end_axis: 2 }"), "lies before axis"),
        (layer("Concat", "concat_param { axis: -4 }"), "across the pictures"),
        (layer("Concat", "concat_param { axis: 1 concat_dim: 1 }"), "give axis or concat_dim"),
        (layer("Reshape", "reshape_param { shape { dim: 4 dim: -1 } }"), "no axis of pictures in front"),
        (layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: -1 } }"), "is none"),
        (layer("Reshape", "reshape_param { shape { dim: 0 dim: 5 } }"), "do not fit"),
        (layer("Reshape", "reshape_param { shape { dim: 0 dim: 5 dim: -1 } }"), "do not fit"),
        (layer("Reshape", "reshape_param { shape { dim: 0 } axis: -1 num_axes: 0 }"), "could keep"),
        (layer("Reshape", "reshape_param { shape { dim: 0 } axis: 3 num_axes: 2 }"), "axis 3 and num_axes 2"),
        (layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }"), "WITHIN_CHANNEL"),
        (layer("LRN", "lrn_param { local_size: 4 }"), "local_size must be odd"),
        (layer("LRN", "lrn_param { alpha: 0 }"), "must be more than 0"),
        (layer("Eltwise", "eltwise_param { operation: MAX coeff: 1 coeff: 1 }", TWO), "coeff is for operation: SUM"),
        (layer("Eltwise", "eltwise_param { coeff: 1 }", TWO), "1 coeff for 2"),
        (layer("Scale", wires=TWO), "it needs axis: 0"),
        (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "use_global_stats: false"),
    ],
    ids=str,
)  # fmt: skip
def test_refused(text: str, message: str, tmp_path: Path) -> None:
    blobs: dict[str, list[tuple[int, ...]]] = {"it": [(4,), (4,), (1,)] if "BatchNorm" in text else [(4,), (4,)]}
    said = refusal(tmp_path, DATA + text, blobs)
    assert message in said
    if "no field named" not in message and "expected one output" not in message:
        assert "layer 'it'" in said


ONE_PIXEL = DATA + POOLING % "pool: AVE global_pooling: true" + layer("Convolution", "%s", 'bottom: "pool" top: "it"')


@pytest.mark.parametrize(
    "options",
    [
        "kernel_size: 1 stride: 2",
        "kernel_size: 3 stride: 2 pad: 1",
        "kernel_size: 3 dilation: 2 stride: 3 pad: 2",
        "kernel_size: 2 dilation: 2 stride: 3 pad: 1",  # both taps miss the pixel
        "kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2 pad_h: 2 pad_w: 2",
    ],
)
def test_stride_along_one_pixel(options: str, tmp_path: Path) -> None:
    assert_equal(case(tmp_path, ONE_PIXEL % f"convolution_param {{ num_output: 2 {options} }}"))


def test_refused_stride_along_one_pixel(tmp_path: Path) -> None:
    options = "convolution_param { num_output: 2 kernel_size: 2 stride: 2 pad: 2 }"
    assert "of one pixel" in refusal(tmp_path, ONE_PIXEL % options, {"it": [(2, 4, 2, 2), (2,)]})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('type: "Split" top: "a" top: "b"', 'type: "ReLU" bottom: "a" top: "a"'),
        ('type: "Flatten" top: "a"', 'type: "ReLU" bottom: "a" top: "a"'),
        ('type: "Concat" top: "a"', 'type: "ReLU" bottom: "a" top: "a"'),
    ],
)
def test_refused_in_place_layer_on_shared_memory(first: str, second: str, tmp_path: Path) -> None:
    """Caffe would change the other blob too, which stands in no file."""
    other = "b" if "Split" in first else "data"
    text = f'layer {{ name: "one" bottom: "data" {first} }}\nlayer {{ name: "it" {second} }}\n'
    text += f'layer {{ name: "f" type: "Flatten" bottom: "{other}" top: "f" }}\n'
    text += 'layer { name: "g" type: "Flatten" bottom: "a" top: "g" }\n'
    text += 'layer { name: "join" type: "Concat" bottom: "f" bottom: "g" top: "join" }\n'
    assert "shares in Caffe" in refusal(tmp_path, DATA + text)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 4, 1, 1)], "has 1 blobs; it needs 2"),
        ([(2, 4, 1), (2,)], "blob 0 of layer 'it' is 2x4x1"),
        ([(2, 4, 1, 1), (1, 2)], "blob 1 of layer 'it' is 1x2"),
        ([(2, 5, 1, 1), (2,)], "is 2x5x1x1"),
        ([], "has 0 blobs"),
    ],
)
def test_refused_blobs(shapes: list[tuple[int, ...]], message: str, tmp_path: Path) -> None:
    text = layer("Convolution", "convolution_param { num_output: 2 kernel_size: 1 }")
    said = refusal(tmp_path, DATA + text, {"it": shapes})
    assert message in said
    assert "net.caffemodel" in said


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "not finite"), (float("inf"), "not finite"), (3e38, "too large for float32")]
)
def test_refused_values(value: float, message: str, tmp_path: Path) -> None:
    text = DATA + CONVOLUTION % "num_output: 4 kernel_size: 1" + SCALE % ("conv", "conv")
    made = case(tmp_path, text)
    edit_blob(made.caffemodel, "conv", 1, [value] * 4)
    edit_blob(made.caffemodel, "scale", 0, [4.0] * 4)
    with pytest.raises(ModelError, match=message):
        convert(made.prototxt, made.caffemodel)


def test_refused_variance(tmp_path: Path) -> None:
    made = case(tmp_path, DATA + CONVOLUTION % "num_output: 4 kernel_size: 1" + BATCH_NORM % "conv")
    edit_blob(made.caffemodel, "bn", 1, [-1.0] * 4)
    with pytest.raises(ModelError, match="layer 'bn' of type BatchNorm: the variance is not positive"):
        convert(made.prototxt, made.caffemodel)


@pytest.mark.parametrize(
    "text", ["", 'layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 1 dim: 3 } } }']
)
def test_refused_number_of_inputs(text: str, tmp_path: Path) -> None:
    body = layer("ReLU") if not text else DATA + text + layer("ReLU")
    assert "exactly one input" in refusal(tmp_path, body)


def test_the_original(model_files: ModelFiles) -> None:
    content = convert(model_files.prototxt, model_files.caffemodel)
    assert content == convert(model_files.prototxt, model_files.caffemodel)
    model = onnx.load_from_string(content)
    assert {entry.version for entry in model.opset_import} == {13}
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["data", "prob"]
    found = operators(content)
    assert found.count("Conv") == 53
    assert not {"BatchNormalization", "Mul", "Identity"} & set(found)
    # Eltwise alone adds: nothing of BatchNorm, Scale or a bias is left over.
    assert found.count("Add") == 16
