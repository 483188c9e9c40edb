"""Residual networks (He and others, arXiv 1512.03385) in two published forms: their authors' and Yahoo's.

The authors' is KaimingHe/deep-residual-networks; Yahoo's is what pynetbuilder made (jay-mahadeokar/pynetbuilder), of
which the released open_nsfw is the one with half the filters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nsfw_caffe.networks.builder import MSRA, XAVIER, NetBuilder, Request

Blocks = tuple[int, int, int, int]


def build_he(title: str, blocks: Blocks) -> Callable[[int, Request], NetBuilder]:
    """Build one of the authors' networks; the first layer of ResNet-50 alone has a bias, and other names."""
    shallow = sum(blocks) == 16

    def build(side: int, request: Request) -> NetBuilder:
        net = NetBuilder(title, side, request, MSRA)
        _he_convolution(net, "conv1", ("bn_conv1", "scale_conv1"), 64, 7, stride=2, pad=3, bias=shallow)
        net.relu("conv1_relu")
        net.pooling("pool1", 3, 2)
        for stage, length in enumerate(blocks, 2):
            for index in range(length):
                numbered = not shallow and stage in (3, 4)
                letter = f"b{index}" if numbered and index else "abcdef"[index]
                _he_block(net, f"{stage}{letter}", stage, first=index == 0)
        net.pooling("pool5", 7, average=True)
        net.inner_product(net.head("fc1000"), request.classes, rates=False)
        net.softmax()
        return net

    return build


def _he_block(net: NetBuilder, name: str, stage: int, *, first: bool) -> None:
    source = shortcut = net.last
    count = 64 * 2 ** (stage - 2)
    stride = 2 if first and stage > 2 else 1

    def convolution(branch: str, filters: int, kernel: int, stride: int = 1, bottom: str | None = None) -> None:
        names = (f"bn{name}_{branch}", f"scale{name}_{branch}")
        _he_convolution(
            net, f"res{name}_{branch}", names, filters, kernel, stride=stride, pad=kernel // 2, bottom=bottom
        )

    if first:
        convolution("branch1", 4 * count, 1, stride)
        shortcut = net.last
    convolution("branch2a", count, 1, stride, source)
    net.relu(f"res{name}_branch2a_relu")
    convolution("branch2b", count, 3)
    net.relu(f"res{name}_branch2b_relu")
    convolution("branch2c", 4 * count, 1)
    net.add("Eltwise", f"res{name}", [shortcut, net.last])
    net.relu(f"res{name}_relu")


def _he_convolution(
    net: NetBuilder,
    name: str,
    norm: tuple[str, str],
    count: int,
    kernel: int,
    *,
    stride: int,
    pad: int,
    bias: bool = False,
    bottom: str | None = None,
) -> None:
    net.convolution(name, net.filters(count), kernel, stride=stride, pad=pad, bottom=bottom, bias=bias, rates=False)
    net.batch_norm(*norm)


@dataclass(frozen=True)
class _Step:
    """One convolution of a block's main branch."""

    name: str
    kernel: tuple[int, int]
    divisor: int = 1  # of the block's filters
    strides: tuple[bool, bool] = (False, False)  # whether it takes the block's stride, along height and width
    relu: bool = True


_STEM = 64
"""Filters of the first layer; where the first blocks have others, they cannot add its output as it is."""

_BRANCHES = {
    "normal": (
        _Step("branch2a", (3, 3), strides=(True, True)),
        _Step("branch2b", (3, 3), relu=False),
    ),
    "bottleneck": (
        _Step("branch2a", (1, 1), 4, (True, True)),
        _Step("branch2b", (3, 3), 4),
        _Step("branch2c", (1, 1), relu=False),
    ),
    "inception_trick": (
        _Step("branch_3by1a", (1, 3), strides=(False, True)),
        _Step("branch_1by3a", (3, 1), strides=(True, False)),
        _Step("branch_3by1b", (1, 3)),
        _Step("branch_1by3b", (3, 1)),
    ),
    "inception_trick_bottleneck": (
        _Step("branch2a", (1, 1), 4, (True, True)),
        _Step("branch_b_3by1", (1, 3), 4),
        _Step("branch_b_1by3", (3, 1), 4),
        _Step("branch2c", (1, 1), relu=False),
    ),
}
"""pynetbuilder's main branches, by its own names."""


def build_pynetbuilder(
    title: str,
    branch: str,
    blocks: Blocks,
    filters: int,
    *,
    with_4k: bool = False,
    xavier: bool = False,
    open_nsfw: bool = False,
) -> Callable[[int, Request], NetBuilder]:
    """Build a network of pynetbuilder's: main branch, blocks a stage, filters of the first stage's blocks.

    Its fillers were msra's, and earlier, when it made the two that Yahoo compared, xavier but for the last layer. The
    one that became open_nsfw has that one's last layer where there are two classes.
    """

    def build(side: int, request: Request) -> NetBuilder:
        net = NetBuilder(title, side, request, XAVIER if xavier else MSRA)
        _convolution(net, "1", _STEM, (7, 7), stride=(2, 2))
        net.pooling("pool1", 3, 2)
        for stage, length in enumerate(blocks):
            for index in range(length):
                name = f"stage{stage}_block{index}"
                _block(net, name, _BRANCHES[branch], filters * 2**stage, 2 if stage and not index else 1,
                       project=not index and (stage > 0 or "bottleneck" in branch or filters != _STEM))  # fmt: skip
        if with_4k:
            _end_with_4k(net)
        else:
            net.pooling("pool", 7, average=True)
            name = "fc_nsfw" if open_nsfw and request.classes == 2 else net.head("fc1000")
            net.inner_product(name, request.classes, weights=MSRA)
        net.softmax()
        return net

    return build


def _end_with_4k(net: NetBuilder) -> None:
    """Add pynetbuilder's stage of wide convolutions, whose last one is normalized too."""
    _convolution(net, "1by1_2048", 2048, (1, 1))
    net.pooling("pool", 7, average=True)
    _convolution(net, "1by1_4096", 4096, (1, 1))
    net.dropout("drop_1by1_4096", 0.2)
    name = net.head("1by1_1000")
    net.convolution(f"conv_{name}", net.request.classes, 1)
    _normalize(net, name)
    net.relu(f"relu_{name}")


def _block(net: NetBuilder, name: str, branch: tuple[_Step, ...], count: int, stride: int, *, project: bool) -> None:
    shortcut = bottom = net.last
    if project:
        _convolution(net, f"{name}_proj_shortcut", count, (1, 1), stride=(stride, stride), relu=False)
        shortcut = net.last
    net.last = bottom
    for step in branch:
        height, width = (stride if taken else 1 for taken in step.strides)
        _convolution(net, f"{name}_{step.name}", count // step.divisor, step.kernel,
                     stride=(height, width), relu=step.relu)  # fmt: skip
    net.add("Eltwise", f"eltwise_{name}", [shortcut, net.last])
    net.relu(f"relu_{name}")


def _convolution(
    net: NetBuilder,
    name: str,
    count: int,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    relu: bool = True,
) -> None:
    pad = kernel[0] // 2, kernel[1] // 2
    sides = [value[0] if len(set(value)) == 1 and kernel[0] == kernel[1] else value for value in (kernel, stride, pad)]
    net.convolution(f"conv_{name}", net.filters(count), sides[0], stride=sides[1], pad=sides[2])
    _normalize(net, name)
    if relu:
        net.relu(f"relu_{name}")


def _normalize(net: NetBuilder, name: str) -> None:
    net.batch_norm(f"bn_{name}", f"scale_{name}")
