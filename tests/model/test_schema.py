"""The schema against pycaffe's own: the same wire format, in one process, and as generated."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from caffe.proto import caffe_pb2 as real
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from nsfw_caffe.model.network import read_caffemodel, read_prototxt
from nsfw_caffe.model.schema import caffe_pb2
from nsfw_caffe.model.spec import ModelFiles

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path("nsfw_caffe/model/schema/caffe.proto")
OWN_FILE = FileDescriptorProto()
caffe_pb2.DESCRIPTOR.CopyToProto(OWN_FILE)
REAL_FILE = FileDescriptorProto()
real.DESCRIPTOR.CopyToProto(REAL_FILE)
REAL_MESSAGES = {message.name: message for message in REAL_FILE.message_type}
# Only detected; every other message is whole.
PARTIAL = {"V0LayerParameter"}


def fields_of(message: DescriptorProto) -> dict[str, object]:
    return {
        field.name: (
            field.number,
            field.type,
            field.label,
            field.type_name.split(".", 2)[2:],
            field.HasField("default_value") and field.default_value,
            field.options.packed,
        )
        for field in message.field
    }


def enum_of(enum: EnumDescriptorProto) -> tuple[str, dict[str, int]]:
    return enum.name, {value.name: value.number for value in enum.value}


@pytest.mark.parametrize("message", OWN_FILE.message_type, ids=lambda message: message.name)
def test_message_is_caffes(message: DescriptorProto) -> None:
    theirs = REAL_MESSAGES[message.name]
    own_fields, real_fields = fields_of(message), fields_of(theirs)
    assert own_fields == {name: real_fields.get(name) for name in own_fields}
    assert [enum_of(enum) for enum in message.enum_type] == [
        enum_of(enum) for enum in theirs.enum_type if message.name not in PARTIAL
    ]
    if message.name not in PARTIAL:
        assert set(own_fields) == set(real_fields)


def test_enums_are_caffes() -> None:
    theirs = dict(enum_of(enum) for enum in REAL_FILE.enum_type)
    assert [enum_of(enum) for enum in OWN_FILE.enum_type] == [("Phase", theirs["Phase"])]


def test_pool_entry_is_not_caffes() -> None:
    assert (OWN_FILE.name, OWN_FILE.package) == (str(SCHEMA), "nsfw_caffe")
    assert REAL_FILE.name != OWN_FILE.name
    assert REAL_FILE.package == "caffe"


@pytest.mark.parametrize("first", ["nsfw_caffe.model.schema", "caffe.proto"])
def test_both_import_in_one_process(first: str) -> None:
    second = {"nsfw_caffe.model.schema": "caffe.proto", "caffe.proto": "nsfw_caffe.model.schema"}[first]
    code = (
        f"from {first} import caffe_pb2 as a; from {second} import caffe_pb2 as b; a.NetParameter(); b.NetParameter()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.skipif(shutil.which("protoc") is None, reason="protoc (Debian: protobuf-compiler) is not installed")
def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run(["protoc", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(SCHEMA)], check=True, cwd=ROOT)
    for name in ("caffe_pb2.py", "caffe_pb2.pyi"):
        assert (ROOT / SCHEMA).with_name(name).read_text() == (tmp_path / SCHEMA).with_name(name).read_text()


def test_original_model_reads_as_caffe_reads_it(model_files: ModelFiles) -> None:
    ours = read_caffemodel(model_files.caffemodel)
    theirs = real.NetParameter.FromString(model_files.caffemodel.read_bytes())
    assert [layer.name for layer in ours.layer] == [layer.name for layer in theirs.layer]
    blobs = [blob for layer in ours.layer for blob in layer.blobs]
    assert sum(len(blob.data) for blob in blobs) == 5_944_567
    assert [list(blob.shape.dim) for blob in blobs] == [
        list(b.shape.dim) for layer in theirs.layer for b in layer.blobs
    ]
    # Nothing is lost on the way: what the schema leaves out stays as unknown fields.
    assert real.NetParameter.FromString(ours.SerializeToString()) == theirs


def test_original_prototxt_has_no_field_outside_the_schema(model_files: ModelFiles) -> None:
    network = read_prototxt(model_files.prototxt, allow_unknown_fields=False)
    assert len(network.layer) == 229
    assert list(network.layer[0].input_param.shape[0].dim) == [1, 3, 224, 224]
    assert real.NetParameter.FromString(network.SerializeToString()).layer[-1].type == "Softmax"
