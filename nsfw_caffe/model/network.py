"""Reading a model's two files, with what Caffe reads: older formats, and bytes that are no UTF-8."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.schema.caffe_pb2 import (
    TEST,
    LayerParameter,
    NetParameter,
    NetStateRule,
    Phase,
    V1LayerParameter,
)
from nsfw_caffe.system.memory_files import with_path

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_ESCAPE = re.compile(rb"\\(?:([0-3][0-7]{2})|[xX]([0-9a-fA-F]{2})|.)", re.DOTALL)
"""An escape in a string: octal, hexadecimal, or another one."""

# What `surrogateescape` makes of bytes that are no UTF-8, and the private characters that stand for them here:
# protobuf's strings take no surrogates.
_PRIVATE = {0xDC00 + byte: 0xF0000 + byte for byte in range(0x80, 0x100)}

_OTHER_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
"""Types whose new name is not the old one's words with a capital each, as InnerProduct is for INNER_PRODUCT."""

_PARAM_FIELDS = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}
"""Lists of V1 with one entry a blob, and the field of the new message `param`, of which there is one a blob."""


def read_prototxt(path: Path, *, allow_unknown_fields: bool = True) -> NetParameter:
    """Read the text form of a network: its layers hold no blobs, and those of the format V1 become new ones.

    Fields of Caffe that the schema leaves out are passed over, or else an error. ModelError, with the parser's line and
    column, if the file cannot be read or is not a prototxt.
    """
    try:
        text = _as_text(_ESCAPE.sub(_unescape, _read(path).removeprefix(_BYTE_ORDER_MARK)))
        network = text_format.Parse(text, NetParameter(), allow_unknown_field=allow_unknown_fields)
    except text_format.ParseError as error:
        raise ModelError(f"{path} is not a prototxt that can be read: {error}") from error
    except RecursionError as error:
        raise ModelError(f"{path} is not a prototxt: it is nested too deep") from error
    return _with_new_layers(network, path)


def read_caffemodel(path: Path) -> NetParameter:
    """Read the binary form of a network, as it was trained, with its blobs.

    ModelError if the file cannot be read, is cut short, or is not a caffemodel.
    """
    network = NetParameter()
    try:
        network.ParseFromString(_read(path))
    except (DecodeError, UnicodeDecodeError) as error:  # the latter from protobuf's implementation in Python
        raise ModelError(f"{path} is not a whole caffemodel: {error}") from error
    # Names are what weights are found by. What is no UTF-8 comes as bytes, which cannot be copied to a new layer.
    layers: list[LayerParameter | V1LayerParameter] = [*network.layer, *network.layers]
    for layer in layers:
        if layer.HasField("name"):
            layer.name = _as_text(layer.name)
    for old in network.layers:
        for field in ("bottom", "top", "param"):
            old.ClearField(field)
    return _with_new_layers(network, path)


@contextmanager
def for_caffe(prototxt: Path) -> Iterator[Path]:
    """Give a path under which Caffe can read a prototxt: its own, or that of a copy without a byte order mark."""
    content = _read(prototxt)
    if not content.startswith(_BYTE_ORDER_MARK):
        yield prototxt
        return
    with with_path(content.removeprefix(_BYTE_ORDER_MARK)) as copy:
        yield copy


def upgrade(network: NetParameter, path: Path) -> None:
    """Turn the layers of a network in the format before 2014 (V1: `layers`, types in capitals), if any, into new ones.

    Caffe does this itself when it reads such a file (upgrade_proto.cpp: UpgradeV1Net); what the library reads has to be
    the same network. ModelError if the format is the one before V1, or there are two formats.
    """
    if not network.layers:
        return
    if any(layer.HasField("layer") for layer in network.layers):
        raise ModelError(
            f"{path} has the format before V1 (`layers` with a `layer` inside), which is not supported; "
            "Caffe's tools upgrade_net_proto_text and upgrade_net_proto_binary upgrade such files"
        )
    if network.layer:
        raise ModelError(f"{path} has layers of two formats, `layers` and `layer`, which Caffe refuses")
    network.layer.extend(map(_upgraded, network.layers))
    del network.layers[:]


def _upgraded(old: V1LayerParameter) -> LayerParameter:
    new = LayerParameter()
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = _type(V1LayerParameter.LayerType.Name(value))
        elif field.name in _PARAM_FIELDS:
            for index, entry in enumerate(value):
                while len(new.param) <= index:
                    new.param.add()
                setattr(new.param[index], _PARAM_FIELDS[field.name], entry)
        elif field.message_type is not None and hasattr(value, "CopyFrom"):
            getattr(new, field.name).CopyFrom(value)
        elif hasattr(value, "extend"):
            getattr(new, field.name).extend(value)
        else:
            setattr(new, field.name, value)
    return new


def _type(name: str) -> str:
    return _OTHER_TYPES.get(name, "".join(word.capitalize() for word in name.split("_")))


def layers_in_test(network: NetParameter) -> list[LayerParameter]:
    """List the layers that Caffe keeps in the TEST phase, in order."""
    return layers_in(network, TEST)


def layers_in(network: NetParameter, phase: Phase) -> list[LayerParameter]:
    """List the layers that Caffe keeps in a phase, in order.

    Follows Net::FilterNet and Net::StateMeetsRule of Caffe, for a network that pycaffe opens at level 0.
    """
    stages = set(network.state.stage)
    layers = []
    for layer in network.layer:
        if layer.include:
            kept = any(_meets(rule, phase, stages) for rule in layer.include)
        else:
            kept = not any(_meets(rule, phase, stages) for rule in layer.exclude)
        if kept:
            layers.append(layer)
    return layers


def _meets(rule: NetStateRule, phase: Phase, stages: set[str]) -> bool:
    return (
        (not rule.HasField("phase") or rule.phase == phase)
        and (not rule.HasField("min_level") or rule.min_level <= 0)
        and (not rule.HasField("max_level") or rule.max_level >= 0)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def _with_new_layers(network: NetParameter, path: Path) -> NetParameter:
    upgrade(network, path)
    if not network.layer:
        raise ModelError(f"{path} holds no network: it has no layers")
    return network


def _unescape(escape: re.Match[bytes]) -> bytes:
    """Give the byte that an escape stands for, unless it is ASCII: those are the parser's."""
    octal, hexadecimal = escape.groups()
    byte = int(octal, 8) if octal else int(hexadecimal or b"0", 16)
    return bytes([byte]) if byte >= 0x80 else escape.group()


def _as_text(content: str | bytes) -> str:
    """Decode UTF-8; each byte that is none becomes a private character, so that other bytes stay other names."""
    if isinstance(content, str):
        return content
    return content.decode("utf-8", "surrogateescape").translate(_PRIVATE)
