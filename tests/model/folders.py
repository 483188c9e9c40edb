"""Model folders for tests: the original's two files, and a network of three classes with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.folder import ModelFolder, write_model_folder
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.networks import build
from nsfw_caffe.networks.catalogue import build_network

CLASSES = ("cats", "dogs", "red things")


def of_original(path: Path, files: ModelFiles, *classes: str) -> ModelFolder:
    """Write a folder with the original's files, and these classes."""
    return write_model_folder(path, files.prototxt.read_text(), files.caffemodel, classes or files.classes)


def of_three_classes(path: Path) -> ModelFolder:
    """Write a folder with resnet50_thin and random weights, whose outputs are all far from 0 and 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    caffemodel = path.with_name("random.caffemodel")
    write_random_caffemodel(build_network("resnet50_thin", classes=len(CLASSES)), caffemodel)
    network = read_caffemodel(caffemodel)
    (layer,) = (layer for layer in network.layer if layer.type == "InnerProduct")
    values = blob_values(layer.blobs[0]).reshape(layer.blobs[0].shape.dim) * np.float32(0.05)
    layer.blobs[0].Clear()
    fill_blob(layer.blobs[0], values)
    caffemodel.write_bytes(network.SerializeToString())
    return write_model_folder(path, build("resnet50_thin", classes=len(CLASSES)), caffemodel, CLASSES)
