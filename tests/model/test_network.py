"""Reading the model's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.network import _type, layers_in_test, read_caffemodel, read_prototxt, upgrade
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter, V1LayerParameter
from nsfw_caffe.model.spec import ModelFiles

# Debian's build leaves their libraries out.
NOT_BUILT = {"DATA", "HDF5_DATA", "HDF5_OUTPUT", "IMAGE_DATA", "WINDOW_DATA"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'name: "x"\nlayer { top: }', r"own\.prototxt is not a prototxt that can be read: 2:14 : .*Expected string"),
        (b"layer {", "not a prototxt that can be read"),
        (b"layer { pooling_param { pool: MEDIAN } }", "not a prototxt that can be read: 1:31 : .*MEDIAN"),
        (b"\xff\xfelayer {", "not a prototxt that can be read: 1:1"),
        (b'name: "x" layers { layer { name: "it" type: "conv" } }', "format before V1"),
        (b'layer { name: "a" } layers { name: "b" }', "layers of two formats"),
        (b"", "holds no network"),
        (b'name: "x"', "holds no network"),
        (b"a {" * 100_000, "nested too deep"),
    ],
)
def test_broken_prototxt(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.prototxt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_prototxt(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("read", [read_prototxt, read_caffemodel])
@pytest.mark.parametrize("name", [".", "missing", "a\0b"])
def test_not_a_file(read: Callable[[Path], NetParameter], name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / name)


def test_unknown_fields(tmp_path: Path) -> None:
    path = tmp_path / "own.prototxt"
    path.write_text('layer { name: "it" type: "Power" power_parm { power: 2 } }')
    assert read_prototxt(path).layer[0].type == "Power"
    with pytest.raises(ModelError, match=r"1:34 : .*power_parm"):
        read_prototxt(path, allow_unknown_fields=False)


@pytest.mark.linux
@pytest.mark.parametrize(
    "written", [b'"caf\xe9"', b'"caf\\351"', b'"caf\\xe9"', b'"caf\\303\\251"', b'"caf\\\\351"', b'"caf\xc3\xa9"']
)
def test_names_are_those_of_the_weights(written: bytes, tmp_path: Path) -> None:
    """Bytes stay the same bytes, however they are written: what pycaffe's parser makes of a name finds its weights."""
    from caffe.proto import caffe_pb2 as real

    name = {b'"caf\xc3\xa9"': "é".encode(), b'"caf\\303\\251"': b"\xc3\xa9", b'"caf\\\\351"': b"\\351"}
    raw = b"caf" + name.get(written, b"\xe9")
    prototxt, caffemodel = tmp_path / "own.prototxt", tmp_path / "own.caffemodel"
    prototxt.write_bytes(b"layer { name: " + written + b" }")
    layer = b"\x0a" + bytes([len(raw)]) + raw
    caffemodel.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert len(real.NetParameter.FromString(caffemodel.read_bytes()).layer) == 1
    assert read_prototxt(prototxt).layer[0].name == read_caffemodel(caffemodel).layer[0].name


@pytest.mark.parametrize("end", [0, 1, 1000, 1_000_000, 23_815_354])
def test_truncated_caffemodel(end: int, model_files: ModelFiles, tmp_path: Path) -> None:
    path = tmp_path / "own.caffemodel"
    path.write_bytes(model_files.caffemodel.read_bytes()[:end])
    with pytest.raises(ModelError, match=r"own\.caffemodel (is not a whole caffemodel|holds no network)"):
        read_caffemodel(path)


@pytest.mark.parametrize("start", [b"\x89HDF\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"PK\x03\x04", b"name: 'x' layer { }"])
def test_foreign_caffemodel(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.caffemodel"
    path.write_bytes(start + bytes(range(256)))
    with pytest.raises(ModelError, match=r"own\.caffemodel (is not a whole caffemodel|holds no network)"):
        read_caffemodel(path)


@pytest.mark.linux
@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("", True),
        ("include { phase: TEST }", True),
        ("include { phase: TRAIN }", False),
        ("include { phase: TRAIN } include { phase: TEST }", True),
        ("exclude { phase: TEST }", False),
        ("exclude { phase: TRAIN }", True),
        ("exclude { phase: TRAIN } exclude { phase: TEST }", False),
        ("include { min_level: 0 max_level: 0 }", True),
        ("include { min_level: 1 }", False),
        ("include { max_level: -1 }", False),
        ('include { stage: "on" }', True),
        ('include { stage: "on" stage: "off" }', False),
        ('include { not_stage: "off" }', True),
        ('exclude { not_stage: "on" }', True),
    ],
)
def test_layers_in_test_are_those_that_caffe_keeps(rules: str, kept: bool, tmp_path: Path) -> None:
    import caffe

    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }'
    text = f'state {{ stage: "on" }} {data} layer {{ name: "it" type: "ReLU" bottom: "data" top: "x" {rules} }}'
    path = tmp_path / "own.prototxt"
    path.write_text(text)
    assert [layer.name for layer in layers_in_test(read_prototxt(path))] == ["data"] + ["it"] * kept
    assert list(caffe.Net(str(path), caffe.TEST)._layer_names) == ["data"] + ["it"] * kept


def upgraded(text: str) -> NetParameter:
    network = text_format.Parse(text, NetParameter())
    upgrade(network, Path("own.prototxt"))
    return network


@pytest.mark.linux
@pytest.mark.parametrize("name", sorted(set(V1LayerParameter.LayerType.keys()) - NOT_BUILT - {"NONE"}))
def test_type_is_one_of_caffes(name: str) -> None:
    import caffe

    assert _type(name) in set(caffe.layer_type_list())
    assert upgraded(f"layers {{ type: {name} }}").layer[0].type == _type(name)


def test_type_none_and_no_type() -> None:
    layers = upgraded("layers { type: NONE } layers { }").layer
    assert [(layer.type, layer.HasField("type")) for layer in layers] == [("", True), ("", False)]


def test_every_field_of_the_format_before_2014() -> None:
    old = """
        name: "net" input: "data" input_dim: [1, 3, 224, 224]
        layers {
          name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
          param: "w" param: "b" blob_share_mode: PERMISSIVE
          blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 weight_decay: 3 loss_weight: 0.5
          convolution_param { num_output: 4 kernel_size: 7 } transform_param { scale: 2 }
          include { phase: TEST } exclude { stage: "x" stage: "y" }
          blobs { num: 4 channels: 3 height: 7 width: 7 data: 1 }
        }"""
    new = """
        name: "net" input: "data" input_dim: [1, 3, 224, 224]
        layer {
          name: "conv" type: "Convolution" bottom: "data" top: "conv"
          param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 }
          param { name: "b" lr_mult: 2 decay_mult: 0 } param { decay_mult: 3 } loss_weight: 0.5
          convolution_param { num_output: 4 kernel_size: 7 } transform_param { scale: 2 }
          include { phase: TEST } exclude { stage: "x" stage: "y" }
          blobs { num: 4 channels: 3 height: 7 width: 7 data: 1 }
        }"""
    assert upgraded(old) == text_format.Parse(new, NetParameter())


def test_a_new_network_stays() -> None:
    text = 'layer { name: "it" type: "ReLU" }'
    assert upgraded(text) == text_format.Parse(text, NetParameter())
