"""A small network of one's own, of the form that has heat maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from google.protobuf import text_format

from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.spec import ModelFiles

CLASSES = ("cats", "dogs", "red things")

OWN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 32 stride: 32 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def write(folder: Path, text: str) -> ModelFiles:
    """Write a network, with random weights; its outputs are far from 0 and 1."""
    files = ModelFiles(folder / "my.prototxt", folder / "my.caffemodel", original=False)
    files.prototxt.write_text(text)
    network = text_format.Parse(text, NetParameter())
    write_random_caffemodel(network, files.caffemodel)
    learned = read_caffemodel(files.caffemodel)
    for layer in learned.layer:
        if layer.type == "InnerProduct":
            values, shape = blob_values(layer.blobs[0]), tuple(layer.blobs[0].shape.dim)
            layer.blobs[0].Clear()
            fill_blob(layer.blobs[0], values.reshape(shape) * np.float32(0.005))
    files.caffemodel.write_bytes(learned.SerializeToString())
    return files
