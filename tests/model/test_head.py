"""How networks end: what is found of those that average a map and weigh it, and what is said of the others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from nsfw_caffe import ModelError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.head import find_head
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.networks import build
from tests.explain.networks import CLASSES, OWN, write


def test_the_originals_head(model_files: ModelFiles) -> None:
    head = find_head(model_files)
    assert head.blob == "eltwise_stage3_block2"
    (layer,) = (layer for layer in read_caffemodel(model_files.caffemodel).layer if layer.name == "fc_nsfw")
    assert np.array_equal(head.weights.ravel(), blob_values(layer.blobs[0]))
    assert np.array_equal(head.offsets, blob_values(layer.blobs[1]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("global_pooling: true", "kernel_size: 7"),
        ("global_pooling: true", "kernel_h: 7 kernel_w: 7 stride: 3"),
        (
            'layer { name: "fc" type: "InnerProduct" bottom: "pool"',
            'layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }\n'
            'layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }\n'
            'layer { name: "fc" type: "InnerProduct" bottom: "flat"',
        ),
    ],
)
def test_forms_that_average_all_places(old: str, new: str, tmp_path: Path) -> None:
    head = find_head(write(tmp_path, OWN.replace(old, new)))
    assert (head.blob, head.weights.shape, head.offsets.shape) == ("conv", (len(CLASSES), 6), (len(CLASSES),))


def test_a_product_that_is_stored_the_other_way(tmp_path: Path) -> None:
    files = write(tmp_path, OWN)
    expected = find_head(files).weights
    network = read_caffemodel(files.caffemodel)
    (layer,) = (layer for layer in network.layer if layer.type == "InnerProduct")
    layer.blobs[0].data[:] = expected.T.ravel()
    layer.blobs[0].shape.dim[:] = expected.T.shape
    files.caffemodel.write_bytes(network.SerializeToString())
    files.prototxt.write_text(OWN.replace("num_output: 3", "num_output: 3 transpose: true"))
    assert np.array_equal(find_head(files).weights, expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pool: AVE", "pool: MAX", "layer 'pool', of type Pooling: it does not average"),
        ("global_pooling: true", "kernel_size: 6", "layer 'pool', of type Pooling: it does not average over all"),
        ("global_pooling: true", "kernel_size: 8 pad: 1", "it does not average over all places"),
        (
            'layer { name: "fc"',
            'layer { name: "relu2" type: "ReLU" bottom: "pool" top: "pool" }\nlayer { name: "fc"',
            "layer 'relu2', of type ReLU: it stands where a Pooling would",
        ),
        (
            'layer { name: "prob"',
            'layer { name: "scale" type: "Power" bottom: "fc" top: "fc" power_param { scale: 2 } }\n'
            'layer { name: "prob"',
            "layer 'scale', of type Power: it stands where a InnerProduct would",
        ),
        ('type: "Softmax"', 'type: "Sigmoid"', "layer 'prob', of type Sigmoid: it stands where a Softmax would"),
    ],
)
def test_other_forms_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = OWN.replace(old, new)
    assert text != OWN
    files = write(tmp_path, text)
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        find_head(files)
    assert str(files.prototxt) in str(caught.value)
    assert "global average pooling" in str(caught.value)


@pytest.mark.parametrize("name", ["vgg16", "ms_ctc"])
def test_published_networks_without_such_a_map(name: str, tmp_path: Path) -> None:
    prototxt = tmp_path / "deploy.prototxt"
    prototxt.write_text(build(name, classes=2))
    with pytest.raises(ModelError, match="layer 'relu7', of type ReLU: it stands where a Pooling would"):
        find_head(ModelFiles(prototxt, tmp_path / "none.caffemodel", original=False))


def test_a_network_whose_classes_are_maps(tmp_path: Path) -> None:
    """SqueezeNet's last convolution has a map a class; their means are the logits."""
    text = build("squeezenet1_1", classes=2)
    prototxt, caffemodel = tmp_path / "deploy.prototxt", tmp_path / "my.caffemodel"
    prototxt.write_text(text)
    write_random_caffemodel(text_format.Parse(text, NetParameter()), caffemodel)
    head = find_head(ModelFiles(prototxt, caffemodel, original=False))
    assert np.array_equal(head.weights, np.eye(2))
    assert head.offsets.tolist() == [0, 0]
