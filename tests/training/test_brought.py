"""Weights as they were published: in older formats, with layers that only training has, or of another network."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto, NetParameter, V1LayerParameter
from nsfw_caffe.networks.catalogue import COMPARED, build_network
from nsfw_caffe.training.brought import check_brought_weights
from nsfw_caffe.training.options import TrainingOptions
from nsfw_caffe.training.start import find_start

LAST = "loss3/classifier"


@pytest.fixture(scope="module")
def googlenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "new.caffemodel"
    write_random_caffemodel(build_network("googlenet"), path)
    return path


def as_in_2014(path: Path, target: Path) -> Path:
    """Write the format V1, blobs with four sides, and one of the layers of GoogLeNet's auxiliary losses."""
    kinds = {"Convolution": V1LayerParameter.CONVOLUTION, "InnerProduct": V1LayerParameter.INNER_PRODUCT}
    old = NetParameter(name="GoogleNet")
    for layer in read_caffemodel(path).layer:
        made = old.layers.add(name=layer.name, type=kinds[layer.type])
        for blob in layer.blobs:
            sides = (*(1,) * (4 - len(blob.shape.dim)), *blob.shape.dim)
            four: BlobProto = made.blobs.add(num=sides[0], channels=sides[1], height=sides[2], width=sides[3])
            four.data.extend(blob_values(blob).tolist())
    old.layers.add(name="loss1/classifier", type=kinds["InnerProduct"]).blobs.add(num=1, channels=1, height=1, width=1)
    target.write_bytes(old.SerializeToString())
    return target


def test_weights_of_2014_fit(tmp_path: Path, googlenet: Path) -> None:
    weights = as_in_2014(googlenet, tmp_path / "old.caffemodel")
    start = find_start(TrainingOptions(network="googlenet", weights=weights), tmp_path)
    last = start.first_layer(("a", "b", "c"))
    written = NetParameter.FromString(start.weights(last))
    assert last.name != LAST
    assert {layer.name for layer in written.layer if layer.blobs} == {
        layer.name for layer in read_caffemodel(googlenet).layer if layer.name != LAST
    } | {last.name}
    kept = {layer.name: layer for layer in written.layer}
    for layer in read_caffemodel(googlenet).layer:
        if layer.name != LAST:
            for before, after in zip(layer.blobs, kept[layer.name].blobs, strict=True):
                assert blob_values(before).tobytes() == blob_values(after).tobytes()


def test_a_last_layer_of_another_size_does_no_harm(tmp_path: Path, googlenet: Path) -> None:
    weights = read_caffemodel(googlenet)
    (last,) = [layer for layer in weights.layer if layer.name == LAST]
    del last.blobs[:]
    fill_blob(last.blobs.add(), blob_values(weights.layer[0].blobs[0])[:7].reshape(7, 1))
    (tmp_path / "w.caffemodel").write_bytes(weights.SerializeToString())
    check_brought_weights(build_network("googlenet"), LAST, tmp_path / "w.caffemodel", "googlenet")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("gone", r"56 of 57 layers find their weights in it, by name; it has none for layer 'conv1/7x7_s2'"),
        ("shape", r"layer 'conv1/7x7_s2' is 1x3x56x56 in it, and 64x3x7x7 in the network"),
        ("short", r"layer 'conv1/7x7_s2' is cut short in it"),
        ("bias", r"layer 'conv1/7x7_s2' has 1 blobs in it, and 2 in the network"),
        ("nan", r"layer 'conv1/7x7_s2' has a number in it that is not finite"),
    ],
)
def test_weights_that_fit_in_part_are_refused(tmp_path: Path, googlenet: Path, spoil: str, message: str) -> None:
    weights = read_caffemodel(googlenet)
    layer = weights.layer[0]
    if spoil == "gone":
        layer.name = "other"
    elif spoil == "shape":
        layer.blobs[0].shape.dim[:] = [1, 3, 56, 56]
    elif spoil == "short":
        layer.blobs[0].data.pop()
    elif spoil == "bias":
        del layer.blobs[1]
    else:
        layer.blobs[1].data[5] = float("nan")
    (tmp_path / "w.caffemodel").write_bytes(weights.SerializeToString())
    with pytest.raises(TrainingError, match=message):
        check_brought_weights(build_network("googlenet"), LAST, tmp_path / "w.caffemodel", "googlenet")


@pytest.mark.parametrize("name", [name for name in COMPARED if name not in ("vgg16", "ms_ctc", "squeezenet1_0")])
def test_weights_of_another_network_are_recognized(tmp_path: Path, name: str) -> None:
    write_random_caffemodel(build_network(name), tmp_path / "w.caffemodel")
    other = "squeezenet1_0"
    with pytest.raises(TrainingError, match=rf"does not fit {other}: .*; it fits {name} \(--network {name}\)"):
        check_brought_weights(build_network(other), "conv10", tmp_path / "w.caffemodel", other)
