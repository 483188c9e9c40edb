"""MS_CTC: model J' of He and Sun, "Convolutional Neural Networks at Constrained Time Cost" (arXiv 1412.1710).

A reconstruction: Yahoo never said which model of the paper theirs was. The convolutions are those of J' in a public
benchmark (ducha-aiki/caffenet-benchmark, HeNet128), with the paddings that keep the maps at the paper's 36, 18 and 6;
the bins of the spatial pyramid and the two layers of 4096 are the ones usual at the time. Names are made up here.
"""

from __future__ import annotations

from nsfw_caffe.networks.builder import NetBuilder, Request, gaussian

_STAGES = (
    # filters, stride of the first, paddings of all, kernel of the pooling after them
    (2, 128, 3, (1, 0, 1, 1), 2),
    (3, 256, 2, (1, 0, 1, 0), 3),
)

_BINS = (5, 3, 2, 1)
"""Of the pyramid, a side: 39 in all, of a map of 5 by 5. Caffe's own SPP aborts on such a map."""

_MAP = 5


def build_ms_ctc(side: int, request: Request) -> NetBuilder:
    """Build MS_CTC."""
    net = NetBuilder("MS_CTC", side, request, gaussian(0.01))
    _convolution(net, "1", 64, 7, stride=2)
    net.pooling("pool1", 3)
    for stage, count, stride, pads, pool in _STAGES:
        for index, pad in enumerate(pads, 1):
            _convolution(net, f"{stage}_{index}", count, 2, stride=stride if index == 1 else 1, pad=pad)
        net.pooling(f"pool{stage}", pool)
    _convolution(net, "4", 2304, 2, stride=3, pad=1)
    _convolution(net, "5", 256, 2)
    net.concat("spp", [_bins(net, "conv5", bins) for bins in _BINS])
    for name in ("6", "7"):
        net.inner_product(f"fc{name}", net.filters(4096), weights=gaussian(0.005))
        net.relu(f"relu{name}")
        net.dropout(f"drop{name}", 0.5)
    net.inner_product(net.head("fc8"), request.classes)
    net.softmax()
    return net


def _convolution(net: NetBuilder, name: str, count: int, kernel: int, *, stride: int = 1, pad: int = 0) -> None:
    net.convolution(f"conv{name}", net.filters(count), kernel, stride=stride, pad=pad)
    net.relu(f"relu{name}")


def _bins(net: NetBuilder, bottom: str, bins: int) -> str:
    """Pool a map into so many bins a side, and make them flat."""
    window = -(-_MAP // bins)
    net.pooling(f"spp{bins}", window, window, bottom=bottom)
    net.add("Flatten", f"spp{bins}_flat")
    return net.last
