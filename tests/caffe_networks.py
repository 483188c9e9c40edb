"""Small random networks for Caffe, of every layer that the converter knows, and what pycaffe makes of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[np.float32]
Shape = tuple[int, ...]


def load(prototxt: Path) -> Any:
    """Load a network in pycaffe, with the weights that its fillers give."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    caffe = pytest.importorskip("caffe", reason="Caffe is there on Linux alone")
    caffe.set_mode_cpu()
    return caffe.Net(str(prototxt), caffe.TEST)


@dataclass(frozen=True)
class Case:
    """A network in two files, an input, and what Caffe's forward pass gives for it."""

    prototxt: Path
    caffemodel: Path
    data: Array
    output: Array
    leaves: tuple[int, ...]
    """The output is made of so many parts, of these widths."""


def write(folder: Path, text: str, generator: np.random.Generator) -> Case:
    """Write a network with random weights, and run it in Caffe."""
    prototxt, caffemodel = folder / "net.prototxt", folder / "net.caffemodel"
    prototxt.write_text(text)
    net = load(prototxt)
    types = dict(zip(net._layer_names, net.layers, strict=True))
    for name, blobs in net.params.items():
        for index, (blob, values) in enumerate(zip(blobs, _weights(types[name].type, blobs, generator), strict=True)):
            assert blob.data.shape == values.shape, (name, index)
            blob.data[...] = values
    net.save(str(caffemodel))
    (source,), (output,) = net.inputs, net.outputs
    data = generator.normal(0, 1, net.blobs[source].data.shape).astype(np.float32)
    net.blobs[source].data[...] = data
    found = net.forward()[output].copy()
    return Case(prototxt, caffemodel, data, found, (found.size // len(found),))


def _weights(kind: str, blobs: Any, generator: np.random.Generator) -> Iterator[npt.NDArray[np.float64]]:
    shapes = [blob.data.shape for blob in blobs]
    for index, shape in enumerate(shapes):
        if kind == "BatchNorm":
            total = 999.98
            yield {
                0: generator.normal(0, 1, shape) * total,
                1: generator.uniform(0.1, 2, shape) * total,
                2: np.full(shape, total),
            }[index]
        elif kind in ("Convolution", "InnerProduct") and index == 0:
            yield generator.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))
        else:
            yield generator.normal(0, 1, shape)


class RandomNetwork:
    """Adds random layers to a text, and asks Caffe for the shapes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self._path = folder / "prefix.prototxt"
        shape = (self.integer(1, 3), self.integer(1, 8), self.integer(5, 17), self.integer(5, 17))
        dims = " ".join(f"dim: {size}" for size in shape)
        self.text = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
        self.shapes: dict[str, Shape] = {"data": shape}
        self.unread = ["data"]
        self._shared: set[str] = set()  # blobs whose memory another one may be in
        self._count = 0

    def integer(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high, endpoint=True))

    def chance(self, probability: float = 0.5) -> bool:
        return bool(self.generator.random() < probability)

    def choice(self, *values: Any) -> Any:
        return values[self.integer(0, len(values) - 1)]

    def grow(self, kind: str | None = None) -> None:
        """Add one random layer."""
        kinds = LAYERS if kind is None else {kind: LAYERS[kind]}
        self._count += 1
        list(kinds.values())[self.integer(0, len(kinds) - 1)](self)

    def pick(self, *ranks: int) -> str:
        """Choose a blob, of one of these ranks; rather one that nothing reads yet."""
        names = [name for name, shape in self.shapes.items() if not ranks or len(shape) in ranks]
        unread = [name for name in names if name in self.unread]
        return str(self.choice(*(unread if unread and self.chance(0.7) else names)))

    def add(self, kind: str, bottoms: list[str], options: str = "", tops: int = 1, shares: bool = False) -> list[str]:
        """Add a layer, sometimes in place."""
        name = f"{kind}{self._count}"
        in_place = (
            kind in {"BatchNorm", "Scale", "Bias", "ReLU", "PReLU", "Dropout", "Softmax"}
            and len(bottoms) == 1
            and bottoms[0] in self.unread
            and bottoms[0] not in self._shared
            and bottoms[0] != "data"
            and self.chance()
        )
        names = bottoms if in_place else [f"{name}_{index}" if tops > 1 else name for index in range(tops)]
        if shares:
            self._shared |= {*names, *bottoms}
        wires = " ".join([f'bottom: "{bottom}"' for bottom in bottoms] + [f'top: "{top}"' for top in names])
        self.text += f'layer {{ name: "{name}" type: "{kind}" {wires} {options} }}\n'
        self._path.write_text(self.text)
        net = load(self._path)
        for top in names:
            self.shapes[top] = tuple(net.blobs[top].data.shape)
        self.unread = [blob for blob in self.unread if blob not in bottoms] + names
        self._count += 1
        return names

    def finish(self) -> tuple[int, ...]:
        """Join everything that nothing reads into one output; give the widths of the parts."""
        leaves = [name for name in self.unread if name != "data"]
        widths = tuple(int(np.prod(self.shapes[name][1:])) for name in leaves)
        flat = [self.add("Flatten", [name])[0] for name in leaves]
        self.add("Concat", flat)
        return widths


def random_case(folder: Path, seed: int, kind: str | None = None) -> Case:
    """Make a network of three to ten layers, or of one of a kind."""
    network = RandomNetwork(folder, seed)
    for _ in range(network.integer(3, 10) if kind is None else 1):
        network.grow(kind)
    widths = network.finish()
    case = write(folder, network.text, network.generator)
    assert sum(widths) == case.output.shape[1]
    return Case(case.prototxt, case.caffemodel, case.data, case.output, widths)


def _convolution(net: RandomNetwork) -> None:
    bottom = net.pick(4)
    _, channels, *size = net.shapes[bottom]
    group = net.choice(*[count for count in range(1, channels + 1) if channels % count == 0])
    options = [f"num_output: {group * net.integer(1, 4)}", f"group: {group}"]
    dilation = [net.integer(1, 2), net.integer(1, 2)] if net.chance(0.3) else [1, 1]
    pad = [net.integer(0, 3), net.integer(0, 3)]
    if net.chance():
        pad[1] = pad[0]
        options += [f"pad: {pad[0]}"] if pad[0] else []
    else:
        options += net.choice([f"pad_h: {pad[0]} pad_w: {pad[1]}"], [f"pad: {pad[0]} pad: {pad[1]}"])
    most = [(length + 2 * one - 1) // step + 1 for length, one, step in zip(size, pad, dilation, strict=True)]
    kernel = [net.integer(1, min(5, one)) for one in most]
    if net.chance():
        kernel = [min(kernel)] * 2
        options.append(f"kernel_size: {kernel[0]}")
    else:
        options += net.choice(
            [f"kernel_h: {kernel[0]} kernel_w: {kernel[1]}"], [f"kernel_size: {kernel[0]} kernel_size: {kernel[1]}"]
        )
    if dilation != [1, 1]:
        options.append(f"dilation: {dilation[0]} dilation: {dilation[1]}")
    alone = [length > 1 or 2 * one < step * (extent - 1) + 2
             for length, one, step, extent in zip(size, pad, dilation, kernel, strict=True)]  # fmt: skip
    if all(alone):  # a stride along an axis of one pixel is refused, unless there is one window only
        options += net.choice([], ["stride: 2"], ["stride_h: 3 stride_w: 1"], ["stride: 1 stride: 2"])
    options += net.choice([], ["bias_term: false"], ["axis: -3"], ["force_nd_im2col: true"])
    (top,) = net.add("Convolution", [bottom], f"convolution_param {{ {' '.join(options)} }}")
    for follow in net.choice([], [_batch_norm], [_scale], [_batch_norm, _scale], [_bias], [_batch_norm, _scale, _relu]):
        follow(net, top if top in net.unread else None)


def _pooling(net: RandomNetwork) -> None:
    bottom = net.pick(4)
    size = net.shapes[bottom][2:]
    options = [net.choice("", "pool: MAX", "pool: AVE", "pool: AVE"), net.choice("", "round_mode: FLOOR")]
    if net.chance(0.15):
        net.add("Pooling", [bottom], f"pooling_param {{ {options[0]} global_pooling: true }}")
        return
    floor = bool(options[1])
    kernel, stride, pad = [], [], []
    for length in size:
        padding = net.integer(0, 2)
        step = net.integer(1, 3)
        # With rounding up, a window may be larger than the input; a stride that skips pixels needs its window inside.
        most = length + 2 * padding - (0 if floor else 1 - step)
        extent = net.integer(max(step, padding + 1), max(step, padding + 1, min(6, most)))
        kernel.append(extent)
        stride.append(step)
        pad.append(padding)
    if any(one > length + 2 * two - (0 if floor else 1 - step)
           for one, two, step, length in zip(kernel, pad, stride, size, strict=True)):  # fmt: skip
        return
    if len({*zip(kernel, stride, pad, strict=True)}) == 1:
        options.append(f"kernel_size: {kernel[0]} stride: {stride[0]} pad: {pad[0]}")
    else:
        options.append(f"kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]}")
        options.append(f"pad_h: {pad[0]} pad_w: {pad[1]}")
    net.add("Pooling", [bottom], f"pooling_param {{ {' '.join(options)} }}")


def _batch_norm(net: RandomNetwork, bottom: str | None = None) -> None:
    options = net.choice("", "batch_norm_param { eps: 0.001 }", "batch_norm_param { use_global_stats: true }")
    net.add("BatchNorm", [bottom or net.pick()], options)


def _axes(net: RandomNetwork, rank: int) -> str:
    axis = net.integer(1, rank - 1)
    written = axis - rank if net.chance(0.3) else axis
    return f"axis: {written} num_axes: {net.choice(-1, net.integer(0, rank - axis))}" if net.chance(0.6) else ""


def _scale(net: RandomNetwork, bottom: str | None = None) -> None:
    bias = net.choice("", "bias_term: true")
    first = bottom or net.pick()
    shape = net.shapes[first]
    if bottom is None and len(shape) == 4 and net.chance(0.4):
        second = _gate(net, first)
        bias = bias if shape[0] == 1 else ""  # a bias that is learned for each picture
        net.add("Scale", [first, second], f"scale_param {{ axis: {net.choice(0, -4)} {bias} }}")
    else:
        net.add("Scale", [first], f"scale_param {{ {_axes(net, len(shape))} {bias} }}")


def _bias(net: RandomNetwork, bottom: str | None = None) -> None:
    first = bottom or net.pick()
    shape = net.shapes[first]
    if bottom is None and len(shape) == 4 and net.chance(0.4):
        net.add("Bias", [first, _gate(net, first)], "bias_param { axis: 0 }")
    else:
        net.add("Bias", [first], f"bias_param {{ {_axes(net, len(shape))} }}")


def _gate(net: RandomNetwork, first: str) -> str:
    """Make a blob with one number a channel."""
    (pooled,) = net.add("Pooling", [first], "pooling_param { pool: AVE global_pooling: true }")
    if net.chance():
        return net.add("Flatten", [pooled], shares=True)[0]
    return net.add("InnerProduct", [pooled], f"inner_product_param {{ num_output: {net.shapes[pooled][1]} }}")[0]


def _relu(net: RandomNetwork, bottom: str | None = None) -> None:
    options = net.choice("", "relu_param { negative_slope: 0.1 }", "relu_param { negative_slope: -0.5 engine: CAFFE }")
    net.add("ReLU", [bottom or net.pick()], options)


def _prelu(net: RandomNetwork) -> None:
    net.add("PReLU", [net.pick(2, 3, 4)], net.choice("", "prelu_param { channel_shared: true }"))


def _inner_product(net: RandomNetwork) -> None:
    bottom = net.pick()
    rank = len(net.shapes[bottom])
    axis = net.choice("", f"axis: {net.integer(1, rank - 1)}", f"axis: {-net.integer(1, rank - 1)}")
    options = f"num_output: {net.integer(1, 6)} {axis} {net.choice('', 'bias_term: false')} "
    (top,) = net.add(
        "InnerProduct", [bottom], f"inner_product_param {{ {options}{net.choice('', 'transpose: true')} }}"
    )
    for follow in net.choice([], [_batch_norm], [_batch_norm, _scale], [_scale], [_bias]):
        follow(net, top if top in net.unread else None)


def _eltwise(net: RandomNetwork) -> None:
    first = net.pick()
    same = [name for name, shape in net.shapes.items() if shape == net.shapes[first]]
    if len(same) < 2:
        same += net.add("ReLU", [first])
    bottoms = [str(net.choice(*same)) for _ in range(net.integer(2, 3))]
    options = net.choice("", "operation: PROD stable_prod_grad: false", "operation: MAX", "operation: SUM", "coeff")
    if options == "coeff":
        options = " ".join(f"coeff: {net.choice(1, -1, 0.3)}" for _ in bottoms)
    net.add("Eltwise", bottoms, f"eltwise_param {{ {options} }}")


def _concat(net: RandomNetwork) -> None:
    first = net.pick()
    shape = net.shapes[first]
    axis = net.integer(1, len(shape) - 1)

    def rest(other: Shape) -> Shape:
        return (*other[:axis], *other[axis + 1 :])

    fitting = [name for name, other in net.shapes.items() if len(other) == len(shape) and rest(other) == rest(shape)]
    # Each at most once: OpenVINO 2026.4 may overwrite a blob that is joined to itself.
    bottoms = [str(name) for name in net.generator.permutation(fitting)[: net.integer(1, 3)]]
    options = net.choice(f"axis: {axis}", f"axis: {axis - len(shape)}", f"concat_dim: {axis}")
    net.add("Concat", bottoms, f"concat_param {{ {options} }}", shares=len(bottoms) == 1)


def _lrn(net: RandomNetwork) -> None:
    options = net.choice("", "local_size: 3 alpha: 0.01", "local_size: 1 alpha: 2 beta: 0.5 k: 2", "local_size: 7")
    net.add("LRN", [net.pick(4)], f"lrn_param {{ {options} }}")


def _dropout(net: RandomNetwork) -> None:
    net.add("Dropout", [net.pick()], "dropout_param { dropout_ratio: 0.4 }")


def _split(net: RandomNetwork) -> None:
    net.add("Split", [net.pick()], tops=2, shares=True)


def _flatten(net: RandomNetwork) -> None:
    bottom = net.pick()
    rank = len(net.shapes[bottom])
    axis = net.integer(1, rank - 1)
    end = net.integer(axis, rank - 1)
    options = net.choice(
        "", f"axis: {axis}", f"axis: {axis - rank} end_axis: {end - rank}", f"axis: {axis} end_axis: {end}"
    )
    net.add("Flatten", [bottom], f"flatten_param {{ {options} }}", shares=True)


def _reshape(net: RandomNetwork) -> None:
    bottom = net.pick()
    shape = net.shapes[bottom]
    options = ["shape { dim: 0 dim: -1 }"]
    if len(shape) == 4:
        options += [
            "shape { dim: 0 dim: 0 dim: -1 }",
            "shape { dim: 0 dim: -1 dim: 1 dim: 0 }",
            "shape { dim: -1 } axis: 2",
            "shape { dim: -1 } axis: 1 num_axes: 2",
            f"shape {{ dim: {shape[3]} dim: {shape[2]} }} axis: -3",
            "shape { dim: 1 } axis: -1 num_axes: 0",
        ]
    net.add("Reshape", [bottom], f"reshape_param {{ {net.choice(*options)} }}", shares=True)


def _softmax(net: RandomNetwork) -> None:
    bottom = net.pick()
    rank = len(net.shapes[bottom])
    net.add("Softmax", [bottom], net.choice("", f"softmax_param {{ axis: {net.choice(-1, rank - 1)} }}"))


LAYERS: dict[str, Callable[[RandomNetwork], None]] = {
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _dropout,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Pooling": _pooling,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Softmax": _softmax,
    "Split": _split,
}
"""What adds a layer of each type with random options."""
