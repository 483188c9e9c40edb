"""What one build of Caffe makes of a job: the hash of every layer's output, or the time that each layer takes.

`benchmarks/caffe_layers.py` starts it as a program of its own with that build first on PYTHONPATH, and writes jobs to
it, a line of JSON each; it answers with a line each.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

SPECIAL = np.array(
    # 0, -0; the smallest numbers and others below the normal ones; the largest
    [
        *(0, 1 << 31, 1, 0x80000001, 0x00400000, 0x807FFFFF, 0x00800000, 0x80800000, 0x7F7FFFFF, 0xFF7FFFFF),
        # infinities; NaN, quiet and signalling, of both signs, with and without something in it
        *(0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FC12345, 0xFFD00001, 0x7F800001, 0xFF812345),
    ],
    np.uint32,
).view(np.float32)
FINITE = SPECIAL[:8]
"""Those that backward can live with: a window of nothing but NaN has no maximum to go back to."""


def main() -> None:
    """Answer jobs until there are none."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    import caffe

    caffe.set_mode_cpu()
    nets: dict[str, Any] = {}
    for line in sys.stdin:
        job = json.loads(line)
        if job["what"] == "build":
            answer: Any = caffe.__file__
        elif job["what"] == "random":
            answer = dict(hash_random(caffe, job["seed"]))
        elif job["what"] == "hash":
            answer = list(hash_inputs(_load(caffe, nets, job), np.load(job["inputs"])))
        else:
            answer = seconds(_load(caffe, nets, job), np.load(job["inputs"]), job["repeats"])
        print(json.dumps(answer), flush=True)


def _load(caffe: Any, nets: dict[str, Any], job: dict[str, Any]) -> Any:
    key = job["prototxt"]
    if key not in nets:
        nets.clear()  # one at a time: some are large
        if job.get("weights"):
            nets[key] = caffe.Net(key, caffe.TEST, weights=job["weights"])
        else:
            nets[key] = caffe.Net(key, caffe.TEST)
            fill(nets[key], np.random.default_rng(0), special=False)
    return nets[key]


def hash_inputs(net: Any, inputs: Array) -> Iterator[dict[str, str]]:
    """Hash every layer's output for each input."""
    (source,) = net.inputs
    for one in inputs:
        net.blobs[source].data[...] = one
        yield dict(hash_forward(net))


def hash_forward(net: Any) -> Iterator[tuple[str, str]]:
    """Run one layer after another, and hash what each has written before the next one overwrites it."""
    for index, name in enumerate(net._layer_names):
        net._forward(index, index)
        for top in net.top_names[name]:
            yield f"{name} ({net.layers[index].type}), {top}", digest(net.blobs[top].data)


def digest(values: Array) -> str:
    """Return a hash of the bits."""
    return hashlib.sha256(values.tobytes()).hexdigest()[:16]


def seconds(net: Any, inputs: Array, repeats: int) -> dict[str, Any]:
    """Return how long each layer and the whole take on a core of their own: the shortest of some forward passes.

    The thread's own time, which others at work on the machine lengthen less.
    """
    (source,) = net.inputs
    net.blobs[source].data[...] = inputs[0]
    layers = np.full(len(net.layers), np.inf)
    whole = np.inf
    for _ in range(repeats):
        start = time.thread_time()
        net.forward()
        whole = min(whole, time.thread_time() - start)
        for index in range(len(layers)):
            start = time.thread_time()
            net._forward(index, index)
            layers[index] = min(layers[index], time.thread_time() - start)
    types: dict[str, float] = {}
    for layer, duration in zip(net.layers, layers, strict=True):
        types[layer.type] = types.get(layer.type, 0) + duration
    return {"whole": whole, "types": types}


def hash_random(caffe: Any, seed: int) -> Iterator[tuple[str, str]]:
    """Hash what a random network makes of random numbers, and on even seeds what comes back of it in training."""
    generator = np.random.default_rng(seed)
    backward = seed % 2 == 0
    text = RandomNetwork(generator).text
    caffe.set_random_seed(seed)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(f"force_backward: true\n{text}" if backward else text)
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN if backward and seed % 4 else caffe.TEST)
    fill(net, generator, special=not backward and generator.random() < 0.3)
    data = net.blobs["data"].data
    data[...] = random_values(generator, data.shape, finite=backward)
    yield from hash_forward(net)
    if not backward:
        return
    for blob in net.blobs.values():
        blob.diff[...] = generator.normal(0, 1, blob.diff.shape)
    net._backward(len(net.layers) - 1, 0)
    for name, blob in net.blobs.items():
        yield f"diff of {name}", digest(blob.diff)
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            yield f"{name}, parameter {index}", digest(blob.data)
            yield f"{name}, diff of parameter {index}", digest(blob.diff)


def random_values(generator: np.random.Generator, shape: tuple[int, ...], *, finite: bool) -> Array:
    """Make normal values with none, few or many special ones among them, or random bits."""
    kind = ("normal", "few", "many", "bits")[int(generator.integers(3 if finite else 4))]
    if kind == "bits":
        return generator.integers(0, 1 << 32, shape, dtype=np.uint32).view(np.float32)
    values = generator.standard_normal(shape, np.float32)
    chosen = generator.random(shape) < {"normal": 0, "few": 0.05, "many": 0.5}[kind]
    values[chosen] = generator.choice(FINITE if finite else SPECIAL, int(chosen.sum()))
    return values


def fill(net: Any, generator: np.random.Generator, *, special: bool) -> None:
    """Give a network random weights, some of them zeros and, where that is wanted, infinite or NaN."""
    types = dict(zip(net._layer_names, net.layers, strict=True))
    for name, blobs in net.params.items():
        kind = types[name].type
        total = generator.choice([999.98236, 1.0, 0.0], p=[0.8, 0.1, 0.1])
        for index, blob in enumerate(blobs):
            values = generator.standard_normal(blob.data.shape, np.float32)
            if kind == "BatchNorm":
                values = (values, abs(values) + np.float32(0.1), np.ones(1))[index] * np.float32(total)
            elif values.ndim > 1:
                values /= np.sqrt(np.prod(values.shape[1:]), dtype=np.float32)
            if special:
                chosen = generator.random(values.shape) < 0.1
                values[chosen] = generator.choice(SPECIAL, int(chosen.sum()))
            blob.data[...] = values


class RandomNetwork:
    """The text of a network with every layer that is another in the faster build, each with random parameters."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._count = 0
        self.shape = (self._integer(1, 5), self._integer(1, 9), self._integer(1, 34), self._integer(1, 34))
        dims = " ".join(f"dim: {size}" for size in self.shape)
        self.text = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
        for _ in range(3):
            self._convolutions()
            self._pooling("data")
        for in_place in (False, True):
            self._elementwise("data", in_place=in_place)
        self._sums()

    def _integer(self, low: int, high: int) -> int:
        return int(self._generator.integers(low, high, endpoint=True))

    def _choice(self, *values: Any) -> Any:
        return values[self._integer(0, len(values) - 1)]

    def _add(self, kind: str, bottoms: list[str], options: str = "", *, in_place: bool = False, tops: int = 1) -> str:
        self._count += 1
        name = f"{kind}{self._count}"
        names = [bottoms[0]] if in_place else [name, *(f"{name}_{index}" for index in range(1, tops))]
        wires = " ".join([f'bottom: "{bottom}"' for bottom in bottoms] + [f'top: "{top}"' for top in names])
        self.text += f'layer {{ name: "{name}" type: "{kind}" {wires} {options} }}\n'
        return names[0]

    def _convolutions(self) -> None:
        channels = self.shape[1]
        sides, windows = [], []
        for size in self.shape[2:]:
            pad, dilation = self._integer(0, 4), self._integer(1, 3)
            kernel = self._integer(1, max(1, min(7, (size + 2 * pad - 1) // dilation + 1)))
            windows.append((kernel, self._integer(1, 4), pad, dilation))
            sides.append(size)
        if self._integer(0, 2) == 0:  # as most are
            kernel = self._choice(1, 3)
            windows = [(kernel, self._integer(1, 2), (kernel - 1) // 2, 1)] * 2
        lines = [
            f"{name}: {first} {name}: {second}"
            for name, first, second in zip(("kernel_size", "stride", "pad", "dilation"), *windows, strict=True)
        ]
        group = self._choice(*(count for count in range(1, channels + 1) if channels % count == 0))
        options = [*lines, f"num_output: {group * self._integer(1, 4)} group: {group}"]
        options += self._choice([], [], ["bias_term: false"], ["force_nd_im2col: true"])
        kind = self._choice("Convolution", "Convolution", "Deconvolution")
        if kind == "Deconvolution" and any(
            stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad < 1
            for size, (kernel, stride, pad, dilation) in zip(sides, windows, strict=True)
        ):
            kind = "Convolution"
        top = self._add(kind, ["data"], f"convolution_param {{ {' '.join(options)} }}")
        self._elementwise(top, in_place=True)
        self._add("Pooling", [top], f"pooling_param {{ pool: {self._choice('MAX', 'AVE')} kernel_size: 1 stride: 1 }}")

    def _pooling(self, bottom: str) -> None:
        method = self._choice("MAX", "AVE")
        if self._integer(0, 5) == 0:
            self._add("Pooling", [bottom], f"pooling_param {{ pool: {method} global_pooling: true }}")
            return
        options = []
        for axis, size in zip("hw", self.shape[2:], strict=True):
            pad = self._integer(0, 2)
            kernel = self._integer(pad + 1, max(pad + 1, min(7, size + 2 * pad)))
            # A stride beyond the kernel may leave a window without any pixel, and backward no place to go to.
            options.append(
                f"kernel_{axis}: {kernel} pad_{axis}: {pad} stride_{axis}: {self._integer(1, min(4, kernel))}"
            )
        rounding = self._choice("", "round_mode: FLOOR")
        if any(
            int(part.split()[1]) > size + 2 * int(part.split()[3])
            for part, size in zip(options, self.shape[2:], strict=True)
        ):
            return
        tops = self._choice(1, 1, 2) if method == "MAX" else 1
        self._add("Pooling", [bottom], f"pooling_param {{ pool: {method} {' '.join(options)} {rounding} }}", tops=tops)

    def _elementwise(self, bottom: str, *, in_place: bool) -> None:
        """BatchNorm, Scale, Bias and ReLU: each of this blob, or one after the other in its place."""
        if in_place and bottom == "data":
            bottom = self._add("Power", ["data"], "power_param { power: 1 }")
        statistics = self._choice("", "use_global_stats: true")
        bias = self._choice("bias_term: true", "")
        axes = self._choice("", "axis: 0", "axis: 1 num_axes: 2", "axis: 1 num_axes: -1", "num_axes: 0", "axis: -1")
        slope = self._choice("", "", "negative_slope: 0.1", "negative_slope: -0.5")
        for kind, options in (
            ("BatchNorm", f"batch_norm_param {{ {statistics} {self._choice('', 'eps: 0.001')} }}"),
            ("Scale", f"scale_param {{ {axes} {bias} }}"),
            ("ReLU", f"relu_param {{ {slope} }}"),
            ("Bias", f"bias_param {{ {axes} }}"),
            ("ReLU", ""),
        ):
            self._add(kind, [bottom], options, in_place=in_place)

    def _sums(self) -> None:
        """Sums of the data and of what elementwise layers make of it; a Scale whose factors are a blob."""
        others = [self._add("ReLU", ["data"]), self._add("Scale", ["data"], "scale_param { bias_term: true }"), "data"]
        for count in (2, 3, 4):
            coefficients = self._choice("", "", "coeff") and " ".join(
                f"coeff: {self._choice(1, 1, -1, 0.3, 0)}" for _ in range(count)
            )
            bottoms = [self._choice(*others) for _ in range(count)]
            self._add("Eltwise", bottoms, f"eltwise_param {{ operation: SUM {coefficients} }}")
        pooled = self._add("Pooling", ["data"], "pooling_param { pool: AVE global_pooling: true }")
        bias = self._choice("bias_term: true", "")
        self._add("Scale", ["data", self._add("Flatten", [pooled])], f"scale_param {{ axis: 0 {bias} }}")


if __name__ == "__main__":
    main()
