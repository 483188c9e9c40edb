"""Refusing a user's own model that Caffe could not run."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.check import check_custom
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto, NetParameter
from nsfw_caffe.model.spec import ModelFiles

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 224, 224] } } }'
# One layer of each type that has blobs, with the shapes of its blobs.
LAYERS = {
    "Convolution": (
        'layer { name: "it" type: "Convolution" bottom: "data" top: "x" '
        "convolution_param { num_output: 2 kernel_size: 1 } }",
        [(2, 3, 1, 1), (2,)],
    ),
    "Convolution without bias": (
        'layer { name: "it" type: "Convolution" bottom: "data" top: "x" convolution_param { bias_term: false } }',
        [(2, 3, 1, 1)],
    ),
    "Deconvolution": ('layer { name: "it" type: "Deconvolution" bottom: "data" top: "x" }', [(3, 2, 1, 1), (2,)]),
    "InnerProduct": ('layer { name: "it" type: "InnerProduct" bottom: "data" top: "x" }', [(2, 5), (2,)]),
    "InnerProduct without bias": (
        'layer { name: "it" type: "InnerProduct" bottom: "data" top: "x" inner_product_param { bias_term: false } }',
        [(2, 5)],
    ),
    "BatchNorm": ('layer { name: "it" type: "BatchNorm" bottom: "data" top: "x" }', [(3,), (3,), (1,)]),
    "Scale": ('layer { name: "it" type: "Scale" bottom: "data" top: "x" }', [(3,)]),
    "Scale with bias": (
        'layer { name: "it" type: "Scale" bottom: "data" top: "x" scale_param { bias_term: true } }',
        [(3,), (3,)],
    ),
    "Scale by a bottom, with bias": (
        'layer { name: "it" type: "Scale" bottom: "data" bottom: "y" top: "x" scale_param { bias_term: true } }',
        [(3,)],
    ),
    "Bias": ('layer { name: "it" type: "Bias" bottom: "data" top: "x" }', [(3,)]),
    "PReLU": ('layer { name: "it" type: "PReLU" bottom: "data" top: "x" }', [(3,)]),
    "PReLU of one value": (
        'layer { name: "it" type: "PReLU" bottom: "data" top: "x" prelu_param { channel_shared: true } }',
        [()],
    ),
    "LSTM": ('layer { name: "it" type: "LSTM" bottom: "data" top: "x" recurrent_param { num_output: 4 } }', [(4, 3)]),
}


def blob(shape: tuple[int, ...]) -> BlobProto:
    made = BlobProto(data=[0.5] * math.prod(shape))
    made.shape.dim.extend(shape)
    return made


def model(folder: Path, text: str, shapes: list[tuple[int, ...]] | None) -> ModelFiles:
    """Write a model: the text after an input, and a caffemodel whose layer `it` has blobs of these shapes."""
    weights = NetParameter()
    weights.layer.add(name="before", type="ReLU")
    if shapes is not None:
        weights.layer.add(name="it", blobs=[blob(shape) for shape in shapes])
    (folder / "own.prototxt").write_text(text)
    (folder / "own.caffemodel").write_bytes(weights.SerializeToString())
    return ModelFiles(folder / "own.prototxt", folder / "own.caffemodel", original=False)


def refusal(files: ModelFiles) -> str:
    with pytest.raises(ModelError) as caught:
        check_custom(files)
    return str(caught.value)


def test_the_original_passes(model_files: ModelFiles) -> None:
    check_custom(model_files)


@pytest.mark.parametrize(("text", "shapes"), LAYERS.values(), ids=LAYERS)
def test_blobs_of_a_layer(text: str, shapes: list[tuple[int, ...]], tmp_path: Path) -> None:
    check_custom(model(tmp_path, INPUT + text, shapes))
    message = refusal(model(tmp_path, INPUT + text, None))
    assert re.search(r"own\.caffemodel has no weights for layer 'it' of .*own\.prototxt", message)
    assert "layer 'it' has 0 blobs" in refusal(model(tmp_path, INPUT + text, []))
    if "LSTM" not in text:
        assert f"it needs {len(shapes)}" in refusal(model(tmp_path, INPUT + text, [*shapes, (1,)]))


@pytest.mark.parametrize(
    "layer",
    [
        'layer { name: "it" type: "ReLU" bottom: "data" top: "x" }',
        'layer { name: "it" type: "Scale" bottom: "data" bottom: "y" top: "x" }',
        'layer { name: "it" type: "Bias" bottom: "data" bottom: "y" top: "x" }',
        'layer { name: "it" type: "InnerProduct" include { phase: TRAIN } }',
    ],
)
def test_layers_that_need_no_blobs(layer: str, tmp_path: Path) -> None:
    check_custom(model(tmp_path, INPUT + layer, None))


def test_two_layers_of_one_name(tmp_path: Path) -> None:
    text = INPUT + LAYERS["Scale"][0] * 2
    assert "2 layers have the name 'it'" in refusal(model(tmp_path, text, [(3,)]))
    # One at a time is how networks for training name them.
    phased = LAYERS["Scale"][0].removesuffix("}")
    text = f"{INPUT} {phased} include {{ phase: TRAIN }} }} {phased} include {{ phase: TEST }} }}"
    check_custom(model(tmp_path, text, [(3,)]))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (BlobProto(data=[1.0] * 2, shape={"dim": [3]}), "blob 0 of layer 'it' has 2 values for a shape of 3"),
        (BlobProto(data=[1.0] * 4, shape={"dim": [-2, -2]}), "4 values for a shape of -2x-2"),
        (BlobProto(data=[1.0] * 3, num=1, channels=1, height=1, width=2), "3 values for a shape of 1x1x1x2"),
        (BlobProto(data=[1.0] * 3, double_data=[1.0] * 2, shape={"dim": [3]}), "2 values for a shape of 3"),
        (BlobProto(data=[1.0] * 3, shape={"dim": [3]}), None),
        (BlobProto(data=[1.0] * 3, num=1, channels=1, height=1, width=3, shape={"dim": [9]}), None),
        (BlobProto(double_data=[1.0] * 3, shape={"dim": [3]}), None),
    ],
)
def test_length_of_a_blob(made: BlobProto, message: str | None, tmp_path: Path) -> None:
    files = model(tmp_path, INPUT + LAYERS["Bias"][0], None)
    weights = NetParameter()
    weights.layer.add(name="it", blobs=[made])
    files.caffemodel.write_bytes(weights.SerializeToString())
    if message is None:
        check_custom(files)
    else:
        assert message in refusal(files)


@pytest.mark.parametrize(
    "layer_type",
    ["Python", "Data", "ImageData", "WindowData", "HDF5Data", "HDF5Output", "MemoryData", "DummyData"],
)
def test_refused_type(layer_type: str, tmp_path: Path) -> None:
    text = f'{INPUT} layer {{ name: "it" type: "{layer_type}" top: "x" }}'
    message = refusal(model(tmp_path, text, []))
    assert f"own.prototxt: layer 'it' of type {layer_type}" in message
    assert "deploy.prototxt" in message


def test_refused_types_of_training_alone_are_left_out_as_caffe_does(tmp_path: Path) -> None:
    data = 'layer { name: "t" type: "Data" top: "data" include { phase: TRAIN } data_param { source: "x" } }'
    check_custom(model(tmp_path, data + INPUT, None))


RELU = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "x" }'


@pytest.mark.parametrize(
    "text",
    [
        INPUT,
        INPUT.replace("[1,", "[10,"),
        'input: "data" input_shape { dim: [1, 3, 224, 224] }' + RELU,
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224 ' + RELU,
    ],
)
def test_input(text: str, tmp_path: Path) -> None:
    check_custom(model(tmp_path, text, None))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RELU, "has 0 inputs"),
        (INPUT + 'input: "more" input_shape { dim: [1, 3, 224, 224] }', "has 2 inputs"),
        (INPUT.replace('top: "data"', 'top: "data" top: "label"'), "has 2 inputs"),
        (INPUT.replace("224, 224", "227, 227"), "the input is 1x3x227x227; it has to be 1x3x224x224"),
        (INPUT.replace("[1, 3, 224, 224]", "[3, 224, 224]"), "the input is 3x224x224"),
        (INPUT.replace("[1,", "[0,"), "the input is 0x3x224x224"),
        (INPUT.replace("input_param { shape { dim: [1, 3, 224, 224] } }", ""), "the input is nothing"),
        ('input: "data"' + RELU, "the input is nothing"),
        ('input: "data" input_dim: [1, 3, 224]' + RELU, "the input is 1x3x224;"),
        ('input: "data" input_shape { dim: [1, 1, 224, 224] }' + RELU, "the input is 1x1x224x224"),
    ],
)
def test_refused_input(text: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(model(tmp_path, text, None))
