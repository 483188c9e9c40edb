"""Make a patch that speaks for nsfw wherever it lies: coloured squares, with nothing to see in them.

With it heat maps can be tested without one offensive picture. It is made by gradient ascent in Caffe on the last
layer's log-odds, from grey noise, for places and backgrounds that change from step to step:

    python benchmarks/heat_map_patch.py tests/explain/patch.png
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format
from PIL import Image
from skimage import data as photos

from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.spec import MEAN_BGR

SIDE = 96
"""Of the patch, in pixels of the picture of 256 by 256."""

SQUARE = 4
"""Of one colour, in pixels: what JPEG nearly keeps."""

AROUND = 160
"""Side of the inputs that it is made with: as much of a picture as has to do with it."""

STEPS, BATCH, RATE, STEADINESS = 300, 2, 10.0, 0.8

Array = npt.NDArray[np.floating[Any]]


def main() -> None:
    """Make it, and print what the log-odds come to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    net = differentiable_network()
    squares: Array = generator.uniform(96, 160, (3, SIDE // SQUARE, SIDE // SQUARE)).astype(np.float32)
    direction: Array = np.zeros_like(squares)
    for step in range(1, STEPS + 1):
        log_odds, gradient = ascend(net, squares, generator)
        direction = STEADINESS * direction + (1 - STEADINESS) * gradient / np.abs(gradient).mean()
        squares = np.clip(squares + RATE * (1 - step / (STEPS + 1)) * direction, 0, 255)
        if step % 20 == 0:
            print(f"step {step}: log-odds {log_odds.round(1)}", flush=True)
            save(squares, options.output)
    save(squares, options.output)


def save(squares: Array, path: Path) -> None:
    """Write the patch as a PNG file."""
    pixels = enlarge(squares).transpose(1, 2, 0)[:, :, ::-1].round().astype(np.uint8)
    Image.fromarray(pixels).save(path, optimize=True)


def differentiable_network() -> Any:  # noqa: ANN401 - pycaffe has no types
    """Load the original network in Caffe, without its Softmax and for inputs of any size, with gradients."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    import caffe

    files = fetch()
    network = read_prototxt(files.prototxt)
    assert network.layer.pop().type == "Softmax"
    network.force_backward = True
    (pooling,) = (layer.pooling_param for layer in network.layer if layer.name == "pool")
    pooling.Clear()
    pooling.pool, pooling.global_pooling = pooling.AVE, True
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text_format.MessageToString(network))
        file.flush()
        caffe.set_mode_cpu()
        net = caffe.Net(file.name, caffe.TEST, weights=str(files.caffemodel))
    net.blobs["data"].reshape(BATCH, 3, AROUND, AROUND)
    net.reshape()
    return net


def ascend(net: Any, squares: Array, generator: np.random.Generator) -> tuple[Array, Array]:  # noqa: ANN401
    """Give the log-odds of the patch in some places, and what the colours of its squares have to do with them."""
    mean = np.array(MEAN_BGR, np.float32)[:, np.newaxis, np.newaxis]
    places = generator.integers(0, AROUND - SIDE + 1, (BATCH, 2))
    data = np.stack([background(generator) for _ in range(BATCH)])
    for picture, (top, left) in zip(data, places, strict=True):
        picture[:, top : top + SIDE, left : left + SIDE] = enlarge(squares)
    net.blobs["data"].data[...] = data - mean + generator.normal(0, 6, data.shape)
    logits = net.forward()["fc_nsfw"].copy()
    slopes = np.tile(np.array([-1, 1], np.float32), (BATCH, 1))
    found = net.backward(fc_nsfw=slopes)["data"]
    gradient = sum(
        picture[:, top : top + SIDE, left : left + SIDE] for picture, (top, left) in zip(found, places, strict=True)
    )
    count = SIDE // SQUARE
    return logits[:, 1] - logits[:, 0], gradient.reshape(3, count, SQUARE, count, SQUARE).sum(axis=(2, 4))


def background(generator: np.random.Generator) -> Array:
    """Cut a part out of a photo: float32 (3, 160, 160), from 0 to 255."""
    load: Any = (photos.cat, photos.rocket, photos.retina)[generator.integers(3)]
    photo = Image.fromarray(load())
    left, top = generator.integers(0, 256 - AROUND + 1, 2)
    part = np.asarray(photo.resize((256, 256)), np.float32)[top : top + AROUND, left : left + AROUND, ::-1]
    return part.transpose(2, 0, 1)


def enlarge(squares: Array) -> Array:
    """Give each colour its square of pixels."""
    return squares.repeat(SQUARE, axis=1).repeat(SQUARE, axis=2)


if __name__ == "__main__":
    main()
