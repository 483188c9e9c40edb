"""VGG-16: configuration D of Simonyan and Zisserman (arXiv 1409.1556), by the names of VGG_ILSVRC_16_layers."""

from __future__ import annotations

from nsfw_caffe.networks.builder import XAVIER, NetBuilder, Request

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Filters and number of the convolutions of each stage, all 3 by 3."""


def build_vgg16(side: int, request: Request) -> NetBuilder:
    """Build VGG-16; its weights may be filled by Glorot and Bengio's way, as the paper's authors found later."""
    net = NetBuilder("VGG_ILSVRC_16_layers", side, request, XAVIER)
    for stage, (count, length) in enumerate(_STAGES, 1):
        for index in range(1, length + 1):
            net.convolution(f"conv{stage}_{index}", net.filters(count), 3, pad=1)
            net.relu(f"relu{stage}_{index}")
        net.pooling(f"pool{stage}", 2, 2)
    for number in (6, 7):
        net.inner_product(f"fc{number}", net.filters(4096))
        net.relu(f"relu{number}")
        net.dropout(f"drop{number}", 0.5)
    net.inner_product(net.head("fc8"), request.classes)
    net.softmax()
    return net
