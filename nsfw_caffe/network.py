"""Reading a model's two files."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from nsfw_caffe.errors import ModelError
from nsfw_caffe.schema.caffe_pb2 import TEST, LayerParameter, NetParameter, NetStateRule


def read_prototxt(path: Path, *, allow_unknown_fields: bool = True) -> NetParameter:
    """Read the text form of a network.

    Parameters
    ----------
    path : pathlib.Path
        The prototxt.
    allow_unknown_fields : bool
        Whether to pass over the fields of Caffe that the schema leaves out; otherwise they are an error.

    Returns
    -------
    NetParameter
        The network; its layers hold no blobs.

    Raises
    ------
    ModelError
        The file cannot be read, or is not a prototxt; the message has the parser's line and column.
    """
    try:
        text = _read(path).decode("utf-8")
        network = text_format.Parse(text, NetParameter(), allow_unknown_field=allow_unknown_fields)
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{path} is not a prototxt: it is not UTF-8 text ({error.reason}, byte {error.start})"
        ) from error
    except text_format.ParseError as error:
        raise ModelError(f"{path} is not a prototxt that can be read: {error}") from error
    except RecursionError as error:
        raise ModelError(f"{path} is not a prototxt: it is nested too deep") from error
    return _with_layers(network, path)


def read_caffemodel(path: Path) -> NetParameter:
    """Read the binary form of a network.

    Parameters
    ----------
    path : pathlib.Path
        The caffemodel.

    Returns
    -------
    NetParameter
        The network as it was trained, with its blobs.

    Raises
    ------
    ModelError
        The file cannot be read, is cut short, or is not a caffemodel.
    """
    network = NetParameter()
    try:
        network.ParseFromString(_read(path))
    except DecodeError as error:
        raise ModelError(f"{path} is not a whole caffemodel: {error}") from error
    return _with_layers(network, path)


def layers_in_test(network: NetParameter) -> list[LayerParameter]:
    """List the layers that Caffe keeps in the TEST phase.

    Follows Net::FilterNet and Net::StateMeetsRule of Caffe, for a network that pycaffe opens at level 0.

    Parameters
    ----------
    network : NetParameter
        The network.

    Returns
    -------
    list of LayerParameter
        Layers whose include and exclude rules let them in, in order.
    """
    stages = set(network.state.stage)
    layers = []
    for layer in network.layer:
        if layer.include:
            kept = any(_meets(rule, stages) for rule in layer.include)
        else:
            kept = not any(_meets(rule, stages) for rule in layer.exclude)
        if kept:
            layers.append(layer)
    return layers


def _meets(rule: NetStateRule, stages: set[str]) -> bool:
    return (
        (not rule.HasField("phase") or rule.phase == TEST)
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


def _with_layers(network: NetParameter, path: Path) -> NetParameter:
    if not network.layer and not network.layers:
        raise ModelError(f"{path} holds no network: it has no layers")
    return network
