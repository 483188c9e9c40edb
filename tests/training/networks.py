"""Small networks for training, and rows that can be told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.training.solving import SolverJob

CLASSES = 3
FEATURES = 8

LAST_LAYER = """
name: "last"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" include { phase: TEST } }
"""

DROPPING = """
name: "dropping"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" param { lr_mult: 0 } param { lr_mult: 0 }
        param { lr_mult: 0 } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" dropout_param { dropout_ratio: 0.5 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

WEIGHTED = LAST_LAYER.replace(
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }',
    """layer { name: "weight" type: "Input" top: "weight"
               input_param { shape { dim: 1 dim: 1 dim: 3 dim: 3 } } }
       layer { name: "loss" type: "InfogainLoss" bottom: "fc" bottom: "label" bottom: "weight" top: "loss" }""",
)

PICTURES = LAST_LAYER.replace("shape { dim: 1 dim: 8 }", "shape { dim: 1 dim: 3 dim: 224 dim: 224 }").replace(
    'layer { name: "fc" type: "InnerProduct" bottom: "data"',
    """layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
               pooling_param { pool: AVE kernel_size: 56 stride: 56 } }
       layer { name: "small" type: "Power" bottom: "pool" top: "small" power_param { scale: 0.02 } }
       layer { name: "fc" type: "InnerProduct" bottom: "small\"""",
)


def write_pictures(folder: Path, count: int = 12, classes: int = CLASSES) -> Path:
    """Write noise whose colour tells its class, and the list of it."""
    folder.mkdir()
    generator = np.random.default_rng(3)
    rows = []
    for number in range(count):
        label = number % classes
        pixels = generator.integers(0, 120, (40 + number, 60, 3), np.uint8)
        pixels[..., label] += 100
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        rows.append({"source": str(path), "label": label, "sha256": file_sha256(path)})
    (folder / "pictures.json").write_text(json.dumps(rows))
    return folder / "pictures.json"


def write_arrays(folder: Path, shape: tuple[int, ...] = (FEATURES,), rows: int = 50, classes: int = CLASSES) -> Path:
    """Write rows whose class is in their values."""
    folder.mkdir()
    generator = np.random.default_rng(7)
    labels = generator.integers(0, classes, rows)
    centres = generator.normal(0, 2, (classes, *shape))
    np.save(folder / "data.npy", (centres[labels] + generator.normal(0, 1, (rows, *shape))).astype(np.float32))
    np.save(folder / "labels.npy", labels)
    return folder


def make_job(place: Path, text: str = LAST_LAYER, **fields: Any) -> SolverJob:
    """Write a network and its rows into a folder, and give a job of 20 quick iterations in `run`."""
    (place / "train.prototxt").write_text(text)
    if text == PICTURES:
        fields = {"arrays": None, "pictures": str(place / "pictures" / "pictures.json")} | fields
        if not (place / "pictures").exists():
            write_pictures(place / "pictures")
    elif not (place / "rows").exists():
        write_arrays(place / "rows", (2, 6, 6) if text == DROPPING else (FEATURES,))
    usual: dict[str, Any] = {"base_rate": 0.05, "iterations": 20, "snapshot_every": 5, "threads": 1}
    paths = {"net": str(place / "train.prototxt"), "folder": str(place / "run"), "arrays": str(place / "rows")}
    return SolverJob(**(paths | usual | fields))
