"""The form for training: which layers learn, and that what scoring computes is what training starts from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.network import read_caffemodel, read_prototxt
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.networks.catalogue import COMPARED, build_network
from nsfw_caffe.training.network import read_training_network
from nsfw_caffe.training.solving import SolverJob, solve
from nsfw_caffe.training.training_form import training_form
from tests.support import run

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "conv_stage0" type: "Convolution" bottom: "data" top: "a"
        convolution_param { num_output: 8 kernel_size: 3 stride: 2 weight_filler { type: "msra" } } }
layer { name: "bn_stage0" type: "BatchNorm" bottom: "a" top: "a" }
layer { name: "scale_stage0" type: "Scale" bottom: "a" top: "a" scale_param { bias_term: true } }
layer { name: "relu_stage0" type: "ReLU" bottom: "a" top: "a" }
layer { name: "conv_stage1" type: "Convolution" bottom: "a" top: "b"
        convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "relu_stage1" type: "ReLU" bottom: "b" top: "b" }
layer { name: "pool" type: "Pooling" bottom: "b" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

_FEATURES = """
import sys, numpy as np, caffe
caffe.set_mode_cpu()
net = caffe.Net(sys.argv[1], caffe.TEST, weights=sys.argv[2])
rows = []
for row in np.load(sys.argv[3]):
    net.blobs["data"].data[...] = row
    net.forward()
    rows.append(net.blobs["pool"].data[0].copy())
np.save(sys.argv[4], np.stack(rows))
"""


def small() -> NetParameter:
    return text_format.Parse(SMALL, NetParameter())


def learning_layers(network: NetParameter) -> dict[str, list[float]]:
    """Return the rates of layers with weights, 1 where the network leaves them out."""
    return {
        layer.name: [param.lr_mult for param in layer.param]
        for layer in network.layer
        if layer.type in ("Convolution", "InnerProduct", "Scale", "BatchNorm")
    }


def test_all_layers_learn_but_the_statistics() -> None:
    made = training_form(small())
    assert learning_layers(made) == {
        "conv_stage0": [], "bn_stage0": [0, 0, 0], "scale_stage0": [], "conv_stage1": [], "fc": [5, 10]
    }  # fmt: skip
    assert all(layer.batch_norm_param.use_global_stats for layer in made.layer if layer.type == "BatchNorm")
    assert [layer.type for layer in made.layer][:2] == ["Input", "Input"]
    assert made.layer[-1].type == "SoftmaxWithLoss"


@pytest.mark.parametrize("learning", ["stage1", "conv_stage1"])
def test_layers_before_the_first_that_learns_are_frozen(learning: str) -> None:
    made = training_form(small(), learning=learning)
    assert learning_layers(made) == {
        "conv_stage0": [0, 0], "bn_stage0": [0, 0, 0], "scale_stage0": [0, 0], "conv_stage1": [], "fc": [5, 10]
    }  # fmt: skip


def test_a_stage_that_is_not_there_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"no layer or stage 'stage' .* 'last', 'all', stage0, stage1, and every"):
        training_form(small(), learning="stage")


def test_a_network_without_a_softmax_is_refused() -> None:
    network = small()
    del network.layer[-1]
    with pytest.raises(TrainingError, match="it ends with InnerProduct 'fc'; it has to end with a Softmax"):
        training_form(network)


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("form", ["deploy", "train"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_networks_of_the_catalogue_can_be_trained(name: str, form: str, weighted: bool, tmp_path: Path) -> None:
    made = training_form(build_network(name, classes=3, form=form), learning="last", weighted=weighted)  # type: ignore[arg-type]
    path = tmp_path / "train.prototxt"
    path.write_text(text_format.MessageToString(made))
    network = read_training_network(path, 4)
    assert network.classes == 3
    assert network.inputs["data"][0] == 4
    assert set(network.inputs) == {"data", "label"} | ({"weight"} if weighted else set())
    learning = {layer.name for layer in made.layer if any(param.lr_mult for param in layer.param)}
    last = [layer.name for layer in made.layer if layer.type in ("InnerProduct", "Convolution")][-1]
    assert learning == {last}


def make_jobs(folder: Path, deploy: NetParameter, side: int, rows: int, batch_size: int) -> tuple[SolverJob, SolverJob]:
    """Give the whole network with its last layer learning, and that layer alone on the features of the others."""
    (folder / "deploy.prototxt").write_text(text_format.MessageToString(deploy))
    write_random_caffemodel(read_prototxt(folder / "deploy.prototxt"), folder / "start.caffemodel")
    generator = np.random.default_rng(2)
    for name in ("pictures", "features"):
        (folder / name).mkdir()
        np.save(folder / name / "labels.npy", np.random.default_rng(1).integers(0, 2, rows))
    pictures = folder / "pictures" / "data.npy"
    np.save(pictures, generator.normal(0, 30, (rows, 3, side, side)).astype(np.float32))
    child = run(
        "-c", _FEATURES, folder / "deploy.prototxt", folder / "start.caffemodel", pictures,
        folder / "features" / "data.npy", environment={"OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "2"},
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-2000:]
    whole = training_form(deploy, learning="last")
    (folder / "whole.prototxt").write_text(text_format.MessageToString(whole))
    features = np.load(folder / "features" / "data.npy")
    last = NetParameter(name="last")
    head = next(layer.name for layer in whole.layer if layer.type == "InnerProduct")
    for layer in whole.layer:
        if layer.type == "Input" or layer.name in (head, "loss"):
            last.layer.add().CopyFrom(layer)
    last.layer[0].input_param.shape[0].dim[:] = [1, *features.shape[1:]]
    next(layer for layer in last.layer if layer.name == head).bottom[:] = ["data"]
    (folder / "last.prototxt").write_text(text_format.MessageToString(last))
    job = SolverJob(
        str(folder / "whole.prototxt"), str(folder / "whole"), str(folder / "start.caffemodel"),
        str(folder / "pictures"), base_rate=0.01, iterations=6, batch_size=batch_size, threads=1,
    )  # fmt: skip
    return job, dataclasses.replace(
        job, net=str(folder / "last.prototxt"), folder=str(folder / "last"), arrays=str(folder / "features")
    )


def last_layer(path: Path) -> list[bytes]:
    (layer,) = (layer for layer in read_caffemodel(path).layer if layer.type == "InnerProduct")
    return [blob_values(blob).tobytes() for blob in layer.blobs]


def check_cached_is_whole(folder: Path, deploy: NetParameter, side: int, rows: int, batch_size: int) -> None:
    whole, last = (solve(job) for job in make_jobs(folder, deploy, side, rows, batch_size))
    assert last_layer(whole.caffemodel) == last_layer(last.caffemodel)
    assert [one.loss for one in whole.history] == [one.loss for one in last.history]
    start = {layer.name: layer for layer in read_caffemodel(folder / "start.caffemodel").layer}
    for layer in read_caffemodel(whole.caffemodel).layer:
        if layer.blobs and layer.type != "InnerProduct":
            for blob, before in zip(layer.blobs, start[layer.name].blobs, strict=True):
                assert blob_values(blob).tobytes() == blob_values(before).tobytes()


def test_the_last_layer_on_features_is_the_whole_network_with_the_others_frozen(tmp_path: Path) -> None:
    """In bits, with one thread."""
    check_cached_is_whole(tmp_path, small(), 20, 30, 8)


@pytest.mark.slow
def test_so_it_is_with_open_nsfws_network(tmp_path: Path) -> None:
    check_cached_is_whole(tmp_path, build_network("resnet50_thin", classes=2), 224, 8, 4)
