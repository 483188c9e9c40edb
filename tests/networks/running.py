"""Networks in the real pycaffe, each in a process of its own: Caffe aborts on what it does not like."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nsfw_caffe.networks import NetworkName

Shape = tuple[int, ...]

KINDS: tuple[NetworkName, ...] = (
    *("ms_ctc", "squeezenet1_0", "squeezenet1_1", "vgg16", "googlenet", "resnet18_thin", "resnet34_inception"),
    *("resnet36_inception_4k", "resnet50", "resnet50_thin", "resnet66_thin_inception"),
)
"""The six that were compared, and one of each other kind: the rest has more of the same blocks."""

_PROGRAM = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy as np

def run(folder, form, phase, classes):
    caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    generator = np.random.default_rng(1)

    def fill(net):
        net.blobs["data"].data[...] = generator.normal(0, 60, net.blobs["data"].data.shape)
        if "label" in net.blobs:
            net.blobs["label"].data[...] = generator.integers(0, classes, net.blobs["label"].data.shape)

    if form == "train" and phase == "train":
        with open(f"{folder}/solver.prototxt", "w") as solver:
            solver.write(f'net: "{folder}/net.prototxt" base_lr: 1e-4 lr_policy: "fixed" momentum: 0.9 '
                         f'weight_decay: 5e-4 test_iter: 1 test_interval: 1000000 test_initialization: false '
                         f'max_iter: 10 snapshot_after_train: false')
        solver = caffe.get_solver(f"{folder}/solver.prototxt")
        net = solver.net
        before = {name: blobs[0].data.copy() for name, blobs in net.params.items()}
        fill(net)
        solver.step(1)
        moved = [name for name, blobs in net.params.items() if not np.array_equal(blobs[0].data, before[name])]
    else:
        net = caffe.Net(f"{folder}/net.prototxt", caffe.TEST)
        fill(net)
        net.forward()
        moved = []
    return {
        "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        "params": {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()},
        "layers": list(net._layer_names),
        "outputs": {name: float(net.blobs[name].data.sum()) for name in net.outputs},
        "moved": moved,
    }

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        with open(json.loads(line)[0] + "/ran.json", "w") as ran:
            json.dump(run(*json.loads(line)), ran)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Ran:
    """What pycaffe made of a network."""

    blobs: dict[str, Shape]
    params: dict[str, list[Shape]]
    layers: list[str]
    outputs: dict[str, float]
    """Sums of the output blobs."""
    moved: list[str]
    """Layers whose first blob one solver step has changed."""


class Runner:
    """A process that has pycaffe, whose import takes longer than most networks do; each has a fork of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self, folder: Path, text: str, *, form: str = "deploy", phase: str = "test", classes: int = 1000
    ) -> Ran:
        """Build a network and run it forward, or for phase "train" one step of a solver, on random data."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        (folder / "net.prototxt").write_text(text)
        self._process.stdin.write(json.dumps([str(folder), form, phase, classes]) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "0\n", "what Caffe said of it is on standard error"
        found = json.loads((folder / "ran.json").read_text())
        return Ran(
            {name: tuple(shape) for name, shape in found["blobs"].items()},
            {name: [tuple(shape) for shape in shapes] for name, shapes in found["params"].items()},
            found["layers"],
            found["outputs"],
            found["moved"],
        )


@pytest.fixture(scope="module")
def run_in_caffe() -> Iterator[Runner]:
    command = [sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Runner(process)
        assert process.stdin is not None
        process.stdin.close()  # at which it ends
