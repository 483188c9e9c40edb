"""A small network in place of one that is published: the whole command takes seconds with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from google.protobuf import text_format

from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.training import fine_tuning, start

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
        pooling_param { pool: AVE kernel_size: 28 stride: 28 } }
layer { name: "conv_stage0" type: "Convolution" bottom: "pool" top: "conv"
        convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "bn_stage0" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { use_global_stats: true } }
layer { name: "scale_stage0" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
NAME = "resnet50"
"""What the command has to call it."""


def write_weights(path: Path) -> Path:
    """Write a caffemodel of random weights."""
    write_random_caffemodel(text_format.Parse(SMALL, NetParameter()), path)
    weights = read_caffemodel(path)
    blob = next(layer for layer in weights.layer if layer.name == "conv_stage0").blobs[0]
    values = blob_values(blob).reshape(tuple(blob.shape.dim)) * np.float32(0.02)  # pictures' values are up to 150
    blob.Clear()
    fill_blob(blob, values)
    path.write_bytes(weights.SerializeToString())
    return path


def use_small_network(snapshot_seconds: float) -> None:
    """Have training take it, in this process, with snapshots at short intervals."""
    vars(start)["build"] = lambda _: SMALL
    fine_tuning._SNAPSHOT_SECONDS = snapshot_seconds
