"""GoogLeNet: BVLC's replication (BVLC/caffe, models/bvlc_googlenet) of Szegedy and others (arXiv 1409.4842)."""

from __future__ import annotations

from nsfw_caffe.model.schema.caffe_pb2 import FillerParameter
from nsfw_caffe.networks.builder import XAVIER, ZERO, NetBuilder, Request

_INCEPTIONS = {
    # filters: 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, projected after the pooling
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}

_POOLED_AFTER = {"3b": "pool3/3x3_s2", "4e": "pool4/3x3_s2"}
_AUXILIARY = {"4a": "loss1", "4d": "loss2"}
"""Where the heads stand that are there in training only."""

_BIAS = FillerParameter(type="constant", value=0.2)


def build_googlenet(side: int, request: Request) -> NetBuilder:
    """Build GoogLeNet."""
    net = NetBuilder("GoogleNet", side, request, XAVIER, _BIAS)
    _convolution(net, "conv1/", "7x7_s2", 64, 7, stride=2, relu="7x7")
    net.pooling("pool1/3x3_s2", 3, 2)
    net.lrn("pool1/norm1", 5, 0.0001, 0.75)
    _convolution(net, "conv2/", "3x3_reduce", 64, 1)
    _convolution(net, "conv2/", "3x3", 192, 3)
    net.lrn("conv2/norm2", 5, 0.0001, 0.75)
    net.pooling("pool2/3x3_s2", 3, 2)
    for name, counts in _INCEPTIONS.items():
        output = _inception(net, f"inception_{name}/", counts)
        if name in _AUXILIARY and net.training:
            _auxiliary_head(net, _AUXILIARY[name])
        net.last = output
        if name in _POOLED_AFTER:
            net.pooling(_POOLED_AFTER[name], 3, 2)
    net.pooling("pool5/7x7_s1", 7, average=True)
    net.dropout("pool5/drop_7x7_s1", 0.4)
    net.inner_product(net.head("loss3/classifier"), request.classes, bias=ZERO)
    if net.training:
        net.loss("loss3/loss3", "loss3/loss3", ("loss3/top-1", "loss3/top-5"), 1)
    else:
        net.softmax()
    return net


def _convolution(
    net: NetBuilder,
    prefix: str,
    name: str,
    count: int,
    kernel: int,
    *,
    stride: int = 1,
    bottom: str | None = None,
    relu: str | None = None,
) -> str:
    """Add a Convolution that keeps the map's size but for its stride, and its ReLU."""
    net.convolution(prefix + name, net.filters(count), kernel, stride=stride, pad=kernel // 2, bottom=bottom)
    return net.relu(f"{prefix}relu_{relu or name}")


def _inception(net: NetBuilder, name: str, counts: tuple[int, ...]) -> str:
    source = net.last
    ones, reduced3, threes, reduced5, fives, projected = counts
    branches = [_convolution(net, name, "1x1", ones, 1)]
    for kernel, reduced, count in ((3, reduced3, threes), (5, reduced5, fives)):
        part = f"{kernel}x{kernel}"
        _convolution(net, name, f"{part}_reduce", reduced, 1, bottom=source)
        branches.append(_convolution(net, name, part, count, kernel))
    net.pooling(f"{name}pool", 3, pad=1, bottom=source)
    branches.append(_convolution(net, name, "pool_proj", projected, 1))
    return net.concat(f"{name}output", branches)


def _auxiliary_head(net: NetBuilder, name: str) -> None:
    net.pooling(f"{name}/ave_pool", 5, 3, average=True)
    _convolution(net, f"{name}/", "conv", 128, 1)
    net.inner_product(f"{name}/fc", net.filters(1024))
    net.relu(f"{name}/relu_fc")
    net.dropout(f"{name}/drop_fc", 0.7)
    net.inner_product(net.head(f"{name}/classifier"), net.request.classes, bias=ZERO)
    net.loss(f"{name}/loss", f"{name}/loss1", (f"{name}/top-1", f"{name}/top-5"), 0.3)
