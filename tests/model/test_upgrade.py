"""The format before 2014: the same network as in the one after it, and as in Caffe."""

from __future__ import annotations

from pathlib import Path

import caffe
import pytest
from google.protobuf import text_format

from nsfw_caffe.model.schema.caffe_pb2 import NetParameter, V1LayerParameter
from nsfw_caffe.model.upgrade import _type, upgrade

# Debian's build leaves their libraries out.
NOT_BUILT = {"DATA", "HDF5_DATA", "HDF5_OUTPUT", "IMAGE_DATA", "WINDOW_DATA"}


def upgraded(text: str) -> NetParameter:
    network = text_format.Parse(text, NetParameter())
    upgrade(network, Path("own.prototxt"))
    return network


@pytest.mark.parametrize("name", sorted(set(V1LayerParameter.LayerType.keys()) - NOT_BUILT - {"NONE"}))
def test_type_is_one_of_caffes(name: str) -> None:
    assert _type(name) in set(caffe.layer_type_list())
    assert upgraded(f"layers {{ type: {name} }}").layer[0].type == _type(name)


def test_type_none_and_no_type() -> None:
    layers = upgraded("layers { type: NONE } layers { }").layer
    assert [(layer.type, layer.HasField("type")) for layer in layers] == [("", True), ("", False)]


def test_every_field() -> None:
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
