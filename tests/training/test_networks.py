"""Other networks than the original's: the real ones with random weights, and small ones that end as they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

import nsfw_caffe
from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.network import read_caffemodel, read_prototxt
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.networks.catalogue import NETWORKS, build, build_network
from nsfw_caffe.options import ENGINES, ScoringOptions
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.training import TrainingOptions, TrainingResult, start, train
from nsfw_caffe.training.features import cut
from nsfw_caffe.training.solving import Iteration
from nsfw_caffe.training.start import _for_scoring, find_start
from tests.support import nsfw_caffe as command
from tests.training.pictures import labelled

CONVOLVING = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 227 dim: 227 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
        pooling_param { pool: AVE kernel_size: 28 stride: 28 } }
layer { name: "fire2" type: "Convolution" bottom: "pool" top: "fire2"
        convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "fire2" top: "fire2" }
layer { name: "drop" type: "Dropout" bottom: "fire2" top: "fire2" }
layer { name: "conv10" type: "Convolution" bottom: "fire2" top: "conv10"
        convolution_param { num_output: 1000 kernel_size: 1 pad: 1 } }
layer { name: "relu10" type: "ReLU" bottom: "conv10" top: "conv10" }
layer { name: "pool10" type: "Pooling" bottom: "conv10" top: "pool10"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "prob" type: "Softmax" bottom: "pool10" top: "prob" }
"""


def write_weights(network: NetParameter, path: Path) -> Path:
    """Write random weights, the first layer's so small that activations are as those of trained ones."""
    write_random_caffemodel(network, path)
    weights = read_caffemodel(path)
    blob = weights.layer[0].blobs[0]
    values = blob_values(blob).reshape(tuple(blob.shape.dim)) * np.float32(0.02)
    blob.Clear()
    fill_blob(blob, values)
    path.write_bytes(weights.SerializeToString())
    return path


def blobs(path: Path) -> dict[str, list[bytes]]:
    return {
        layer.name: [blob_values(blob).tobytes() for blob in layer.blobs]
        for layer in read_caffemodel(path).layer
        if layer.blobs
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_cut_before_their_last_layer(tmp_path: Path, name: str) -> None:
    (tmp_path / "net.prototxt").write_text(_for_scoring(build(name)))
    if name.endswith("_4k"):
        with pytest.raises(TrainingError, match=r"the last layer that learns is 'scale_.*_1000' of type Scale"):
            cut(tmp_path / "net.prototxt")
        return
    network = cut(tmp_path / "net.prototxt")
    assert list(network.whole.layer[0].input_param.shape[0].dim) == [1, 3, 224, 224]
    assert network.convolves == name.startswith("squeezenet")
    options = network.last.convolution_param if network.convolves else network.last.inner_product_param
    assert options.num_output == 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "last", "layers"),
    [
        ("googlenet", "loss3/classifier", "last"),
        ("squeezenet1_1", "conv10", "last"),
        ("squeezenet1_1", "conv10", "fire9"),
    ],
)
def test_a_real_network_scores_alike_in_each_engine(tmp_path: Path, name: str, last: str, layers: str) -> None:
    weights = write_weights(build_network(name), tmp_path / "w.caffemodel")
    data = labelled(tmp_path / "data", 10)
    child = command(
        "train", data, "-o", tmp_path / "model", "--network", name, "--weights", weights, "--layers", layers,
        "--iterations", "2", "--batch-size", "4", "--engine", "onnxruntime", "--decay", "0.001",
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert "trained on 8 blue, 8 red; held out 2 blue, 2 red" in child.stdout
    assert "\nbefore" not in child.stdout
    assert child.stdout.endswith("weight decay 0.001\n")
    (known,) = [layer for layer in read_prototxt(tmp_path / "model" / "deploy.prototxt").layer if layer.type == "Input"]
    assert list(known.input_param.shape[0].dim) == [1, 3, 224, 224]
    before, after = blobs(weights), blobs(tmp_path / "model" / "model.caffemodel")
    del before[last]
    changed = {layer for layer, values in before.items() if after.pop(layer) != values}
    assert list(after) == [f"{last}_2"]
    assert all("fire9" in layer for layer in changed)
    assert layers != "last" or not changed
    scores = {}
    for engine in ENGINES:
        with nsfw_caffe.Classifier(model=tmp_path / "model", engine=engine) as classifier:
            scores[engine] = [classifier.classify(path) for path in sorted(data.glob("*/00[0-2].png"))]
    found = np.array(list(scores.values()))
    assert np.abs(found - found[0]).max() <= 5e-6
    assert 0.001 < found.min() < found.max() < 0.999


@pytest.fixture(scope="module")
def convolving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give weights of a small network, beside labelled pictures, and have training take that network."""
    folder = tmp_path_factory.mktemp("convolving")
    labelled(folder / "data", 12)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(start, "build", lambda _: CONVOLVING)
        yield write_weights(text_format.Parse(CONVOLVING, NetParameter()), folder / "w.caffemodel")


def quick(weights: Path, output: str, *, layers: str = "last", **asked: Any) -> TrainingResult:
    options = TrainingOptions(
        layers, network="squeezenet1_1", weights=weights, iterations=8, batch_size=8, base_rate=0.05, scales=(256, 300)
    )
    scoring = ScoringOptions(engine="onnxruntime")
    return train(weights.parent / "data", weights.parent / output, options=options, scoring=scoring, **asked)


@pytest.fixture(scope="module")
def learned(convolving: Path) -> TrainingResult:
    return quick(convolving, "learned")


def test_a_last_convolution_learns(convolving: Path, learned: TrainingResult) -> None:
    assert (learned.before, learned.last, learned.history, learned.decay) == (None, None, (), 5e-4)
    found = learned.fine_tuning
    assert found is not None
    assert (found.layers, found.chosen > 0, learned.after.roc.auc) == ("last", True, 1)
    assert found.history[-1].loss < found.history[0].loss
    after = blobs(learned.folder / "learned.caffemodel")
    assert after["fire2"] == blobs(convolving)["fire2"]
    card, page = ((learned.folder / name).read_text() for name in ("README.md", "report.html"))
    assert "| fine-tuning | 8 updates of 8 pictures, of the last layer |" in card
    assert "| fine-tuning: weight decay (L2) | 0.0005 |" in card
    assert "| last layer" not in card
    assert "The last layer: 8 updates; the mean loss was" in page
    with nsfw_caffe.Classifier(model=learned.folder, engine="caffe") as classifier:
        scores = [classifier.classify(source) for source in learned.pictures.sources]
    assert np.abs(learned.pictures.after[:, 1] - scores).max() < 5e-6


def test_a_last_convolution_goes_on_to_the_same_bits(convolving: Path, learned: TrainingResult) -> None:
    def stop(iteration: Iteration, _: int) -> None:
        if iteration.number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(convolving, "stopped", solving=stop)
    again = quick(convolving, "stopped", resume=True)
    assert file_sha256(again.folder / "stopped.caffemodel") == file_sha256(learned.folder / "learned.caffemodel")


def test_all_layers_learn_with_a_new_last_convolution(convolving: Path) -> None:
    result = quick(convolving, "all", layers="all")
    assert result.fine_tuning is not None
    assert result.fine_tuning.chosen
    assert blobs(result.folder / "all.caffemodel")["fire2"] != blobs(convolving)["fire2"]


def first_layer(convolving: Path, seed: int = 1) -> LayerParameter:
    asked = TrainingOptions(network="squeezenet1_1", weights=convolving, seed=seed)
    return find_start(asked, convolving.parent).first_layer(("a", "b", "c"))


def test_a_new_last_convolution_is_as_published(convolving: Path) -> None:
    """Of normal values, which follow from the seed: behind a ReLU, zeros would never learn."""
    layer = first_layer(convolving)
    weights, bias = map(blob_values, layer.blobs)
    assert (layer.name, layer.convolution_param.num_output, list(layer.convolution_param.pad)) == ("conv10_3", 3, [1])
    assert (list(layer.blobs[0].shape.dim), bias.tolist()) == ([3, 8, 1, 1], [0, 0, 0])
    assert 0.005 < weights.std() < 0.015
    assert first_layer(convolving) == layer
    assert first_layer(convolving, seed=2) != layer
