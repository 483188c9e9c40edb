"""The layers that docker/faster_caffe.patch changes, bit for bit against Caffe's own loops and against NumPy.

`benchmarks/caffe_layers.py` compares whole builds; this needs one.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsfw_caffe.engines.caffe import import_caffe
from tests.fidelity.layers_worker import SPECIAL, Array, RandomNetwork, fill, hash_forward, random_values

SEEDS = range(40)
FLOAT_MAX = np.finfo(np.float32).max


@pytest.mark.parametrize("seed", SEEDS)
def test_same_bits_as_the_loops_that_keep_what_backward_needs(seed: int, tmp_path: Path) -> None:
    """A network that may go backward runs Caffe's own code in BatchNorm and Pooling."""
    text = RandomNetwork(np.random.default_rng(seed)).text
    hashes = []
    for first in ("", "force_backward: true\n"):
        generator = np.random.default_rng(seed)
        net = load(tmp_path, first + text)
        fill(net, generator, special=seed % 3 == 0)
        net.blobs["data"].data[...] = random_values(generator, net.blobs["data"].data.shape, finite=False)
        hashes.append(dict(hash_forward(net)))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (5, 2, 1, 1), (2, 8, 33, 16)])
def test_elementwise_layers_round_each_operation(shape: tuple[int, ...], in_place: bool, tmp_path: Path) -> None:
    generator = np.random.default_rng(len(shape) + in_place)
    slope = np.float32(0.1)
    layers = [
        ("BatchNorm", "batch_norm_param { eps: 0.001 }"),
        ("Scale", "scale_param { bias_term: true }"),
        ("Scale", ""),
        ("Bias", ""),
        ("ReLU", f"relu_param {{ negative_slope: {slope} }}"),
        ("ReLU", ""),
    ]
    text = input_layer(shape) + layer("Power", "data", "copy", "power_param { power: 1 }")
    for index, (kind, options) in enumerate(layers):
        top = "copy" if in_place else f"top{index}"
        text += layer(kind, "copy" if in_place or index == 0 else f"top{index - 1}", top, options, f"layer{index}")
    net = load(tmp_path, text)
    fill(net, generator, special=False)
    for blob in net.params["layer0"]:  # not 0: whether -0 is subtracted or 0 is the BLAS's affair
        blob.data[...] = generator.uniform(1, 1000, blob.data.shape)
    data = finite_or_infinite(generator, shape)
    net.blobs["data"].data[...] = data
    weights = [[blob.data.copy() for blob in net.params.get(f"layer{index}", ())] for index in range(len(layers))]
    column = (1, shape[1], 1, 1)
    zero = np.float32(0)
    expected = data
    for index, blobs in enumerate(weights):
        net._forward(0 if index == 0 else index + 2, index + 2)
        with np.errstate(invalid="ignore", over="ignore"):
            if index == 0:
                factor = np.float32(1) / blobs[2][0]
                deviation = np.sqrt(blobs[1] * factor + np.float32(0.001))
                expected = (expected - (blobs[0] * factor).reshape(column)) / deviation.reshape(column)
            elif index in (1, 2):
                expected = expected * blobs[0].reshape(column)
                expected = expected + blobs[1].reshape(column) if index == 1 else expected
            elif index == 3:
                expected = expected + blobs[0].reshape(column)
            else:
                by = slope if index == 4 else zero
                expected = np.where(expected < 0, zero, expected) + by * np.where(expected > 0, zero, expected)
        assert_same(net.blobs["copy" if in_place else f"top{index}"].data, expected)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("window", [(3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 1, 1), (5, 3, 2), (7, 1, 3), (1, 2, 0)])
@pytest.mark.parametrize("size", [(112, 9), (7, 12), (4, 23)])
def test_pooling(size: tuple[int, int], window: tuple[int, int, int], method: str, tmp_path: Path) -> None:
    kernel, stride, pad = window
    if kernel > min(size) + 2 * pad:
        pytest.skip("the window is larger than the picture")
    generator = np.random.default_rng(kernel)
    shape = (2, 3, *size)
    options = f"pooling_param {{ pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
    net = load(tmp_path, input_layer(shape) + layer("Pooling", "data", "top", options))
    net.blobs["data"].data[...] = finite_or_infinite(generator, shape)
    data = net.blobs["data"].data.copy()
    net.forward()
    found = net.blobs["top"].data
    expected = np.empty_like(found)
    for row, column in itertools.product(*map(range, found.shape[2:])):
        rows, height = extent(row, size[0], window)
        columns, width = extent(column, size[1], window)
        best = np.full(shape[:2], -FLOAT_MAX if method == "MAX" else 0, np.float32)
        for pixel in itertools.product(rows, columns):
            value = data[(..., *pixel)]
            with np.errstate(invalid="ignore", over="ignore"):
                best = np.where(value > best, value, best) if method == "MAX" else best + value
        if method == "AVE":
            with np.errstate(invalid="ignore"):
                best = best / np.float32(height * width)
        expected[:, :, row, column] = best
    assert_same(found, expected)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_sum(count: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(count)
    shape = (2, 3, 9, 11)
    text = "".join(input_layer(shape, f"data{index}") for index in range(count))
    wires = " ".join(f'bottom: "data{index}"' for index in range(count))
    net = load(tmp_path, text + f'layer {{ name: "sum" type: "Eltwise" {wires} top: "top" }}')
    expected = np.zeros(shape, np.float32)
    for index in range(count):
        data = finite_or_infinite(generator, shape)
        net.blobs[f"data{index}"].data[...] = data
        with np.errstate(invalid="ignore", over="ignore"):
            expected = expected + data
    net.forward()
    assert_same(net.blobs["top"].data, expected)


@pytest.mark.parametrize("window", [(1, 1, 0, 1), (1, 2, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (7, 2, 3, 1), (3, 3, 4, 2)])
def test_convolution_takes_the_right_pixels(window: tuple[int, int, int, int], tmp_path: Path) -> None:
    """Small integers: every product and sum is exact, whatever the BLAS."""
    kernel, stride, pad, dilation = window
    generator = np.random.default_rng(kernel * stride)
    shape = (2, 3, 13, 18)
    options = f"num_output: 4 kernel_size: {kernel} stride: {stride} pad: {pad} dilation: {dilation}"
    text = input_layer(shape) + layer("Convolution", "data", "top", f"convolution_param {{ {options} }}", "layer")
    net = load(tmp_path, text)
    data = generator.integers(-9, 10, shape).astype(np.float32)
    weights, bias = (generator.integers(1, 10, blob.data.shape).astype(np.float32) for blob in net.params["layer"])
    net.blobs["data"].data[...] = data
    for blob, values in zip(net.params["layer"], (weights, bias), strict=True):
        blob.data[...] = values
    net.forward()
    padded = np.pad(data, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    found = net.blobs["top"].data
    expected = np.zeros(found.shape, np.float32) + bias.reshape(1, -1, 1, 1)
    for row, column in itertools.product(range(kernel), repeat=2):
        pixels = padded[:, :, row * dilation :, column * dilation :][:, :, ::stride, ::stride]
        pixels = pixels[:, :, : found.shape[2], : found.shape[3]]
        expected += np.einsum("oc,nchw->nohw", weights[:, :, row, column], pixels)
    assert_same(found, expected)


def load(folder: Path, text: str) -> Any:
    caffe = import_caffe()
    caffe.set_mode_cpu()
    path = folder / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), caffe.TEST)


def input_layer(shape: tuple[int, ...], name: str = "data") -> str:
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def layer(kind: str, bottom: str, top: str, options: str, name: str = "") -> str:
    return f'layer {{ name: "{name or top}" type: "{kind}" bottom: "{bottom}" top: "{top}" {options} }}\n'


def finite_or_infinite(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = generator.standard_normal(shape, np.float32)
    chosen = generator.random(shape) < 0.2
    values[chosen] = generator.choice(SPECIAL[:12], int(chosen.sum()))
    return values


def extent(index: int, size: int, window: tuple[int, int, int]) -> tuple[range, int]:
    """Return the pixels that a window has along an axis, and how many it counts as."""
    kernel, stride, pad = window
    begin = index * stride - pad
    end = min(begin + kernel, size + pad)
    return range(max(begin, 0), min(end, size)), end - begin


def assert_same(found: Array, expected: Array) -> None:
    """Compare bits; a NaN is a NaN."""
    assert found.dtype == expected.dtype == np.float32
    numbers = ~np.isnan(expected)
    assert (np.isnan(found) == ~numbers).all()
    same = found.view(np.uint32) == expected.view(np.uint32)
    assert (same | ~numbers).all(), (found[~same][:5], expected[~same][:5])
