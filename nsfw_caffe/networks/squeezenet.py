"""SqueezeNet 1.0 and 1.1: forresti/SqueezeNet, of Iandola and others (arXiv 1602.07360)."""

from __future__ import annotations

from nsfw_caffe.networks.builder import XAVIER, NetBuilder, Request, gaussian

_SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
"""Filters that each Fire module squeezes to; it expands to four times as many, twice."""


def build_squeezenet1_0(side: int, request: Request) -> NetBuilder:
    """Build SqueezeNet 1.0."""
    return _build(side, request, first=(96, 7), pooled_after=(4, 8), last_pad=1)


def build_squeezenet1_1(side: int, request: Request) -> NetBuilder:
    """Build SqueezeNet 1.1: fewer and smaller filters in the first layer, pooling earlier."""
    return _build(side, request, first=(64, 3), pooled_after=(3, 5), last_pad=0)


def _build(
    side: int, request: Request, *, first: tuple[int, int], pooled_after: tuple[int, int], last_pad: int
) -> NetBuilder:
    net = NetBuilder("SqueezeNet", side, request, XAVIER)
    count, kernel = first
    net.convolution("conv1", net.filters(count), kernel, stride=2, rates=False)
    net.relu("relu_conv1")
    net.pooling("pool1", 3, 2)
    for number, squeezed in _SQUEEZED.items():
        _fire(net, f"fire{number}", squeezed)
        if number in pooled_after:
            net.pooling(f"pool{number}", 3, 2)
    net.dropout("drop9", 0.5)
    name = net.head("conv10")
    net.convolution(name, request.classes, 1, pad=last_pad, rates=False, weights=gaussian(0.01))
    net.relu("relu_conv10")
    net.pooling("pool10", 0, average=True)
    net.softmax()
    return net


def _fire(net: NetBuilder, name: str, squeezed: int) -> None:
    narrow, wide = net.filters(squeezed), net.filters(4 * squeezed)
    net.convolution(f"{name}/squeeze1x1", narrow, 1, rates=False)
    bottom = net.relu(f"{name}/relu_squeeze1x1")
    expanded = []
    for kernel in (1, 3):
        part = f"expand{kernel}x{kernel}"
        net.convolution(f"{name}/{part}", wide, kernel, pad=kernel // 2, bottom=bottom, rates=False)
        expanded.append(net.relu(f"{name}/relu_{part}"))
    net.concat(f"{name}/concat", expanded)
