"""The converter against pycaffe on every kind of network, with random weights: what comes out before the Softmax.

As a program, `python -m tests.networks.test_conversion`, it prints how long each network takes to be converted.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from google.protobuf import text_format

from nsfw_caffe.caffe_to_onnx.convert import convert
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.networks import NetworkName
from nsfw_caffe.networks.catalogue import build_network
from tests.caffe_networks import Array, load
from tests.caffe_to_onnx.test_convert import by_onnxruntime, by_openvino
from tests.networks.running import KINDS

TOLERANCE = 1e-5
"""Of the largest logit."""


def write(name: NetworkName, folder: Path) -> tuple[Path, Path]:
    """Write a network's two files, without its Softmax: beside 1, logits' errors are lost."""
    network = build_network(name)
    assert network.layer.pop().type == "Softmax"
    prototxt, caffemodel = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    prototxt.write_text(text_format.MessageToString(network))
    write_random_caffemodel(network, caffemodel)
    return prototxt, caffemodel


def by_caffe(prototxt: Path, caffemodel: Path, data: Array) -> Array:
    net = load(prototxt)
    net.copy_from(str(caffemodel))
    net.blobs["data"].data[...] = data
    output: Array = net.forward()[net.outputs[0]].copy()
    return output


@pytest.mark.parametrize("name", KINDS)
def test_converted_network_gives_caffes_logits(name: NetworkName, tmp_path: Path) -> None:
    prototxt, caffemodel = write(name, tmp_path)
    side = build_network(name).layer[0].input_param.shape[0].dim[2]
    data = np.random.default_rng(0).uniform(-128, 128, (1, 3, side, side)).astype(np.float32)
    expected = by_caffe(prototxt, caffemodel, data).ravel()
    # Neither vanished nor exploded on the way, nor the same for all classes.
    assert 1 < expected.std() < 1e4
    model = convert(prototxt, caffemodel)
    caffemodel.unlink()
    for run in (by_onnxruntime, by_openvino):
        difference = np.abs(run(model, data).ravel() - expected).max() / np.abs(expected).max()
        assert difference <= TOLERANCE, run.__name__


def test_random_weights_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    files: list[bytes] = []
    for seed in (0, 0, 1):
        path = tmp_path / f"{len(files)}.caffemodel"
        write_random_caffemodel(build_network("squeezenet1_1"), path, seed=seed)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert files[1] != files[2]


def main(folder: Path) -> None:
    for name in get_args(NetworkName):
        prototxt, caffemodel = write(name, folder)
        start, core = time.perf_counter(), time.process_time()
        size = len(convert(prototxt, caffemodel))
        seconds = time.perf_counter() - start, time.process_time() - core
        print(f"{name:26} {size / 1e6:7.1f} MB {seconds[0]:7.2f} s, of a core {seconds[1]:.2f} s")
        caffemodel.unlink()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
