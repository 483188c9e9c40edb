"""Networks in the real pycaffe, in a process of its own: Caffe aborts on what it does not like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.networks import NetworkName
from tests.support import run

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
folder, form, phase, classes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
caffe.set_mode_cpu()
caffe.set_random_seed(1)
generator = np.random.default_rng(1)

def fill(net):
    net.blobs["data"].data[...] = generator.normal(0, 60, net.blobs["data"].data.shape)
    if "label" in net.blobs:
        net.blobs["label"].data[...] = generator.integers(0, classes, net.blobs["label"].data.shape)

if form == "train" and phase == "train":
    with open(f"{folder}/solver.prototxt", "w") as solver:
        solver.write(f'net: "{folder}/net.prototxt" base_lr: 1e-4 lr_policy: "fixed" momentum: 0.9 weight_decay: 5e-4 '
                     f'test_iter: 1 test_interval: 1000000 test_initialization: false max_iter: 10 '
                     f'snapshot_after_train: false')
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
print(json.dumps({
    "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
    "params": {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()},
    "layers": list(net._layer_names),
    "outputs": {name: float(net.blobs[name].data.sum()) for name in net.outputs},
    "moved": moved,
}))
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


def run_in_caffe(folder: Path, text: str, *, form: str = "deploy", phase: str = "test", classes: int = 1000) -> Ran:
    """Build a network in pycaffe and run it forward, or for phase "train" one step of a solver, on random data."""
    (folder / "net.prototxt").write_text(text)
    child = run("-c", _PROGRAM, folder, form, phase, str(classes))
    assert child.returncode == 0, child.stderr[-2000:]
    found = json.loads(child.stdout.splitlines()[-1])
    return Ran(
        {name: tuple(shape) for name, shape in found["blobs"].items()},
        {name: [tuple(shape) for shape in shapes] for name, shapes in found["params"].items()},
        found["layers"],
        found["outputs"],
        found["moved"],
    )
