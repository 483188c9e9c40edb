"""Adds layers, one after the other, to a network of the library's schema."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nsfw_caffe.model.schema.caffe_pb2 import (
    TEST,
    AccuracyParameter,
    BatchNormParameter,
    BlobShape,
    ConcatParameter,
    ConvolutionParameter,
    DropoutParameter,
    FillerParameter,
    InnerProductParameter,
    InputParameter,
    LayerParameter,
    LRNParameter,
    NetParameter,
    NetStateRule,
    ParamSpec,
    PoolingParameter,
    ScaleParameter,
)

Form: TypeAlias = Literal["deploy", "train"]

PUBLISHED_CLASSES = 1000
"""ImageNet's: with so many classes the last layer has its published name."""

_TOO_MANY = 2**31
"""What Caffe's int cannot hold."""

XAVIER = FillerParameter(type="xavier")
MSRA = FillerParameter(type="msra")
ZERO = FillerParameter(type="constant", value=0)

_LEARNED = (ParamSpec(lr_mult=1, decay_mult=1), ParamSpec(lr_mult=2, decay_mult=0))
"""Of weights and biases, as nearly all published networks have it."""

_STATISTICS = [ParamSpec(lr_mult=0, decay_mult=0)] * 3


def gaussian(std: float) -> FillerParameter:
    """Make the filler of normal values with mean 0."""
    return FillerParameter(type="gaussian", std=std)


@dataclass(frozen=True)
class Request:
    """What a network is built for."""

    classes: int = PUBLISHED_CLASSES
    width: float = 1.0
    form: Form = "deploy"
    batch_size: int = 1


class NetBuilder:
    """A network that grows at its end: each method adds a layer on top of the last blob, or of the one given.

    The training form has fillers and rates, labels and losses; the deploy form has none of them.
    """

    def __init__(
        self, title: str, side: int, request: Request, weights: FillerParameter, bias: FillerParameter = ZERO
    ) -> None:
        self.request = request
        self.training = request.form == "train"
        self.network = NetParameter(name=title)
        self.weights, self.bias = weights, bias
        self.last = "data"
        self._input("data", (request.batch_size, 3, side, side))
        if self.training:
            self._input("label", (request.batch_size,))

    def _input(self, name: str, shape: Sequence[int]) -> None:
        self.network.layer.add(
            name=name, type="Input", top=[name], input_param=InputParameter(shape=[BlobShape(dim=shape)])
        )

    def add(self, type_: str, name: str, bottoms: Sequence[str] = (), *, in_place: bool = False) -> LayerParameter:
        """Add a layer whose top has its name, or is its bottom; give it, for its options."""
        bottoms = list(bottoms) or [self.last]
        self.last = bottoms[0] if in_place else name
        return self.network.layer.add(name=name, type=type_, bottom=bottoms, top=[self.last])

    def filters(self, count: int) -> int:
        """Give the number of filters where the published network has so many: times the width, rounded."""
        exact = count * self.request.width
        if exact >= _TOO_MANY:
            raise ValueError(f"width {self.request.width:g} gives {exact:g} filters, more than Caffe can hold")
        if round(exact) < 1:
            raise ValueError(f"width {self.request.width:g} leaves no filters of {count}")
        return round(exact)

    def convolution(
        self,
        name: str,
        count: int,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 0,
        bottom: str | None = None,
        bias: bool = True,
        rates: bool = True,
        weights: FillerParameter | None = None,
    ) -> str:
        """Add a Convolution with so many filters; pairs are height and width."""
        layer = self.add("Convolution", name, [bottom or self.last])
        options = ConvolutionParameter(num_output=count)
        for option, value, default in (("pad", pad, 0), ("kernel", kernel, None), ("stride", stride, 1)):
            if isinstance(value, tuple):
                setattr(options, f"{option}_h", value[0])
                setattr(options, f"{option}_w", value[1])
            elif value != default:
                getattr(options, "kernel_size" if option == "kernel" else option).append(value)
        if not bias:
            options.bias_term = False
        layer.convolution_param.CopyFrom(options)
        self._learn(layer, layer.convolution_param, weights, self.bias, bias=bias, rates=rates)
        return name

    def inner_product(
        self,
        name: str,
        count: int,
        *,
        bottom: str | None = None,
        rates: bool = True,
        weights: FillerParameter | None = None,
        bias: FillerParameter | None = None,
    ) -> str:
        """Add an InnerProduct."""
        layer = self.add("InnerProduct", name, [bottom or self.last])
        layer.inner_product_param.num_output = count
        self._learn(layer, layer.inner_product_param, weights, bias or self.bias, bias=True, rates=rates)
        return name

    def _learn(
        self,
        layer: LayerParameter,
        options: ConvolutionParameter | InnerProductParameter,
        weights: FillerParameter | None,
        bias_filler: FillerParameter,
        *,
        bias: bool,
        rates: bool,
    ) -> None:
        if not self.training:
            return
        if rates:
            layer.param.extend(_LEARNED[: 1 + bias])
        options.weight_filler.CopyFrom(weights or self.weights)
        if bias:
            options.bias_filler.CopyFrom(bias_filler)

    def relu(self, name: str) -> str:
        """Add a ReLU in place."""
        self.add("ReLU", name, in_place=True)
        return self.last

    def pooling(
        self, name: str, kernel: int, stride: int = 1, *, pad: int = 0, average: bool = False, bottom: str | None = None
    ) -> str:
        """Add a Pooling; kernel 0 is the whole picture."""
        options = PoolingParameter(pool=PoolingParameter.AVE if average else PoolingParameter.MAX)
        if kernel:
            options.kernel_size, options.stride = kernel, stride
        else:
            options.global_pooling = True
        if pad:
            options.pad = pad
        self.add("Pooling", name, [bottom or self.last]).pooling_param.CopyFrom(options)
        return name

    def batch_norm(self, name: str, scale_name: str) -> str:
        """Add a BatchNorm and its Scale in place; deploy says what Caffe does in TEST anyway, as published."""
        options = BatchNormParameter() if self.training else BatchNormParameter(use_global_stats=True)
        layer = self.add("BatchNorm", name, in_place=True)
        layer.batch_norm_param.CopyFrom(options)
        if self.training:
            layer.param.extend(_STATISTICS)
        self.add("Scale", scale_name, in_place=True).scale_param.CopyFrom(ScaleParameter(bias_term=True))
        return self.last

    def lrn(self, name: str, size: int, alpha: float, beta: float) -> str:
        """Add an LRN across channels."""
        self.add("LRN", name).lrn_param.CopyFrom(LRNParameter(local_size=size, alpha=alpha, beta=beta))
        return name

    def dropout(self, name: str, ratio: float) -> str:
        """Add a Dropout in place, which drops this share in training."""
        self.add("Dropout", name, in_place=True).dropout_param.CopyFrom(DropoutParameter(dropout_ratio=ratio))
        return self.last

    def concat(self, name: str, bottoms: Sequence[str], axis: int = 1) -> str:
        """Add a Concat."""
        layer = self.add("Concat", name, bottoms)
        if axis != 1:
            layer.concat_param.CopyFrom(ConcatParameter(axis=axis))
        return name

    def head(self, name: str) -> str:
        """Name the layer that has an output a class: as published where it has as many, else for their number.

        So weights of another number of classes are left out when they are loaded by name, rather than Caffe aborting.
        """
        classes = self.request.classes
        if classes == PUBLISHED_CLASSES:
            return name
        return f"{name.removesuffix('1000')}{classes}" if name.endswith("1000") else f"{name}_{classes}"

    def softmax(self) -> None:
        """Add the end of the deploy form, or a loss and accuracies."""
        if self.training:
            self.loss("loss", "loss", ("accuracy", "accuracy_top5"))
        else:
            self.add("Softmax", "prob")

    def loss(self, name: str, top: str, accuracies: tuple[str, str], weight: float | None = None) -> None:
        """Add a SoftmaxWithLoss, and for TEST the accuracy of the first guess and, with enough classes, of five."""
        scores = self.last
        layer = self.add("SoftmaxWithLoss", name, [scores, "label"])
        layer.top[0] = top
        if weight is not None:
            layer.loss_weight.append(weight)
        for accuracy, best in zip(accuracies, (1, 5), strict=True):
            if best == 1 or self.request.classes > best:
                layer = self.add("Accuracy", accuracy, [scores, "label"])
                layer.include.append(NetStateRule(phase=TEST))
                if best > 1:
                    layer.accuracy_param.CopyFrom(AccuracyParameter(top_k=best))
        self.last = scores


def check_request(request: Request) -> None:
    """Raise ValueError for what no network can be built for."""
    if request.form not in ("deploy", "train"):
        raise ValueError(f"form has to be 'deploy' or 'train', not {request.form!r}")
    for name, value, least in (("classes", request.classes, 2), ("batch_size", request.batch_size, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < _TOO_MANY:
            most = f", but less than {_TOO_MANY}" if isinstance(value, int) and value > least else ""
            raise ValueError(f"{name} has to be a whole number of {least} or more{most}, not {value!r}")
    if isinstance(request.width, bool) or not (math.isfinite(request.width) and request.width > 0):
        raise ValueError(f"width has to be a number above 0, not {request.width!r}")
