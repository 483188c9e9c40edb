"""A network in the format before 2014 (V1: `layers`, types in capitals) as one in the format after it.

Caffe does this itself when it reads such a file (upgrade_proto.cpp: UpgradeV1Net); what the library reads has to be the
same network.
"""

from __future__ import annotations

from pathlib import Path

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter, V1LayerParameter

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


def upgrade(network: NetParameter, path: Path) -> None:
    """Turn the old layers of a network, where it has any, into new ones.

    Parameters
    ----------
    network : NetParameter
        The network; it is changed.
    path : pathlib.Path
        Where it was read from, for the error.

    Raises
    ------
    ModelError
        The format is the one before V1, which had a layer inside each of `layers`, or there are two formats.
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
