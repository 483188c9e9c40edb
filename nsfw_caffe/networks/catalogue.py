"""The networks by name: what builds each, who published it, and how well it did on ImageNet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from google.protobuf import text_format

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.shapes.network import network_shapes
from nsfw_caffe.networks.builder import PUBLISHED_CLASSES, Form, NetBuilder, Request, check_request
from nsfw_caffe.networks.googlenet import build_googlenet
from nsfw_caffe.networks.ms_ctc import build_ms_ctc
from nsfw_caffe.networks.resnet import build_he, build_pynetbuilder
from nsfw_caffe.networks.squeezenet import build_squeezenet1_0, build_squeezenet1_1
from nsfw_caffe.networks.vgg import build_vgg16

NetworkName: TypeAlias = Literal[
    "ms_ctc",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg16",
    "googlenet",
    "resnet18",
    "resnet18_thin",
    "resnet34",
    "resnet34_thin",
    "resnet34_inception",
    "resnet36_inception_4k",
    "resnet50",
    "resnet50_pynetbuilder",
    "resnet50_thin",
    "resnet66_thin_inception",
    "resnet68_thin_inception_4k",
    "resnet77_thin",
    "resnet101",
    "resnet101_thin",
    "resnet152",
    "resnet152_thin",
]


@dataclass(frozen=True)
class Accuracy:
    """How often a network was right on ImageNet's 50,000 validation pictures, as published.

    Attributes
    ----------
    top1, top5 : float, optional
        Share of the pictures whose class was the first guess, or among the first five; None where nobody said it.
    crop : str
        What of a picture it was shown.
    source : str
        Where that is published.
    """

    top1: float | None
    top5: float | None
    crop: str
    source: str


@dataclass(frozen=True)
class Network:
    """A published network.

    Attributes
    ----------
    name : str
        As `build` and `cost` take it.
    title : str
        As its authors call it.
    side : int
        Height and width of the input in pixels.
    publisher : str
        Where its structure is published.
    accuracy : Accuracy, optional
        On ImageNet; None where nobody published it for this very network.
    reconstructed : bool
        Whether parts of the structure are guessed, see `docs/networks.md`.
    """

    name: NetworkName
    title: str
    side: int
    publisher: str
    accuracy: Accuracy | None
    builder: Callable[[int, Request], NetBuilder]
    reconstructed: bool = False


_PYNETBUILDER = "https://github.com/jay-mahadeokar/pynetbuilder/tree/master/models/imagenet"
_HE = "https://github.com/KaimingHe/deep-residual-networks"
_SQUEEZENET = "https://github.com/forresti/SqueezeNet"
_BVLC = "https://github.com/BVLC/caffe/tree/master/models/bvlc_googlenet"
_CENTRE = "centre crop"
_CENTRE_OF_256 = "centre crop of the shorter side at 256"


def _he(name: NetworkName, depth: int, blocks: tuple[int, int, int, int], errors: tuple[float, float]) -> Network:
    top1, top5 = (round(1 - error / 100, 4) for error in errors)
    accuracy = Accuracy(top1, top5, _CENTRE_OF_256, _HE)
    return Network(name, f"ResNet-{depth}", 224, _HE, accuracy, build_he(f"ResNet-{depth}", blocks))


def _pynetbuilder(
    name: NetworkName,
    title: str,
    branch: str,
    blocks: tuple[int, int, int, int],
    filters: int,
    top1: float | None = None,
    *,
    with_4k: bool = False,
) -> Network:
    accuracy = None if top1 is None else Accuracy(top1, None, _CENTRE, _PYNETBUILDER)
    compared = blocks == (3, 4, 6, 3) and branch == "bottleneck"
    builder = build_pynetbuilder(
        title, branch, blocks, filters, with_4k=with_4k, xavier=compared, open_nsfw=compared and filters == 128
    )
    return Network(name, title, 224, _PYNETBUILDER, accuracy, builder)


_ALL = (
    Network(
        "ms_ctc",
        "MS_CTC",
        224,
        "https://arxiv.org/abs/1412.1710",
        Accuracy(None, 0.882, "10 views", "https://arxiv.org/abs/1412.1710"),
        build_ms_ctc,
        reconstructed=True,
    ),
    Network(
        "squeezenet1_0",
        "SqueezeNet 1.0",
        227,
        _SQUEEZENET,
        Accuracy(0.575, 0.803, "not said", "https://arxiv.org/abs/1602.07360"),
        build_squeezenet1_0,
    ),
    Network("squeezenet1_1", "SqueezeNet 1.1", 227, _SQUEEZENET, None, build_squeezenet1_1),
    Network(
        "vgg16",
        "VGG-16",
        224,
        "https://gist.github.com/ksimonyan/211839e770f7b538e2d8",
        Accuracy(0.715, 0.901, _CENTRE, f"{_HE} (of http://www.vlfeat.org/matconvnet/pretrained/)"),
        build_vgg16,
    ),
    Network("googlenet", "GoogLeNet", 224, _BVLC, Accuracy(0.687, 0.889, _CENTRE, _BVLC), build_googlenet),
    _pynetbuilder("resnet18", "Resnet_18", "normal", (2, 2, 2, 2), 64),
    _pynetbuilder("resnet18_thin", "Resnet_18_1by2", "normal", (2, 2, 2, 2), 32),
    _pynetbuilder("resnet34", "Resnet_34", "normal", (3, 4, 6, 3), 64),
    _pynetbuilder("resnet34_thin", "Resnet_34_1by2", "normal", (3, 4, 6, 3), 32),
    _pynetbuilder("resnet34_inception", "Resnet_34_inception_trick", "inception_trick", (2, 2, 2, 2), 64, 0.678),
    _pynetbuilder(
        "resnet36_inception_4k",
        "Resnet_36_inception_trick_with4k",
        "inception_trick",
        (2, 2, 2, 2),
        64,
        0.7076,
        with_4k=True,
    ),
    _he("resnet50", 50, (3, 4, 6, 3), (24.7, 7.8)),
    _pynetbuilder("resnet50_pynetbuilder", "Resnet_50", "bottleneck", (3, 4, 6, 3), 256, 0.7175),
    _pynetbuilder("resnet50_thin", "Resnet_50_1by2", "bottleneck", (3, 4, 6, 3), 128, 0.6679),
    _pynetbuilder(
        "resnet66_thin_inception",
        "Resnet_66_1by2_inception_trick_bottleneck",
        "inception_trick_bottleneck",
        (3, 4, 6, 3),
        128,
        0.6636,
    ),
    _pynetbuilder(
        "resnet68_thin_inception_4k",
        "Resnet_68_1by2_inception_trick_bottleneck_with4k",
        "inception_trick_bottleneck",
        (3, 4, 6, 3),
        128,
        0.6963,
        with_4k=True,
    ),
    _pynetbuilder("resnet77_thin", "Resnet_77_1by2", "bottleneck", (3, 4, 15, 3), 128, 0.6984),
    _he("resnet101", 101, (3, 4, 23, 3), (23.6, 7.1)),
    _pynetbuilder("resnet101_thin", "Resnet_101_1by2", "bottleneck", (3, 4, 23, 3), 128),
    _he("resnet152", 152, (3, 8, 36, 3), (23.0, 6.7)),
    _pynetbuilder("resnet152_thin", "Resnet_152_1by2", "bottleneck", (3, 8, 36, 3), 128),
)

NETWORKS: Mapping[str, Network] = MappingProxyType({network.name: network for network in _ALL})
"""Every network that `build` knows, by name."""

COMPARED = ("ms_ctc", "squeezenet1_0", "vgg16", "googlenet", "resnet50", "resnet50_thin")
"""The six that Yahoo chose open_nsfw's network from."""


def build(
    name: NetworkName | str,
    *,
    classes: int = PUBLISHED_CLASSES,
    width: float = 1.0,
    form: Form = "deploy",
    batch_size: int = 1,
) -> str:
    r"""Build a network, as the text of a prototxt.

    Layers and blobs have their published names, so that published weights load by name. The last layer has its own
    where there are ImageNet's 1000 classes, and in `resnet50_thin` with 2 classes open_nsfw's, `fc_nsfw`; otherwise a
    name for the number of classes, so that weights of another number are left out.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    classes : int
        Outputs, 2 or more.
    width : float
        Multiplies the filters of every layer but the last; the products are rounded.
    form : {"deploy", "train"}
        For scoring: the input `data`, float32 (batch_size, 3, side, side), and the output `prob`. For training: inputs
        `data` and `label`, float32 (batch_size,), losses, and in TEST accuracies; fillers and rates as published.
    batch_size : int
        Pictures at once, 1 or more.

    Returns
    -------
    str
        What Caffe reads.

    Raises
    ------
    ValueError
        If there is no such network, or it cannot be built so; the message says what there is.

    Examples
    --------
    >>> from nsfw_caffe.networks import build
    >>> print(*build("resnet50_thin", classes=2).splitlines()[:4], sep="\n")
    name: "Resnet_50_1by2"
    layer {
      name: "data"
      type: "Input"
    """
    network = build_network(name, classes=classes, width=width, form=form, batch_size=batch_size)
    return text_format.MessageToString(network)


def build_network(
    name: str,
    *,
    classes: int = PUBLISHED_CLASSES,
    width: float = 1.0,
    form: Form = "deploy",
    batch_size: int = 1,
) -> NetParameter:
    """Build a network, as `build` does, in the library's schema."""
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}; there are: {', '.join(NETWORKS)}")
    request = Request(classes, width, form, batch_size)
    check_request(request)
    entry = NETWORKS[name]
    network = entry.builder(entry.side, request).network
    try:
        network_shapes(network, name)
    except ModelError as error:
        raise ValueError(f"Caffe cannot hold this network: {error}") from error
    return network
