#!/usr/bin/env python
"""Two builds of Caffe side by side: every layer's bits compared, or its time taken.

    CAFFE_FASTER=0 DIST=/tmp/original docker/build_caffe.sh
    python benchmarks/caffe_layers.py /tmp/original/caffe-*.whl dist/caffe-*.whl            # the bits
    python benchmarks/caffe_layers.py /tmp/original/caffe-*.whl dist/caffe-*.whl --time     # milliseconds on one core

It takes what is installed of OpenBLAS, ATLAS, the reference BLAS and qemu-user:
apt-get install libopenblas0-pthread libatlas3-base libblas3 qemu-user
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nsfw_caffe.errors import ImageError
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.networks import NETWORKS, build
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.fidelity import corpus

REPOSITORY = Path(__file__).resolve().parents[1]
WORKER = "tests.fidelity.layers_worker"
FOLDERS = {"OpenBLAS": "openblas-pthread", "ATLAS": "atlas", "reference BLAS": "blas"}
KERNELS = {
    "x86_64": (
        *("Prescott", "Core2", "Penryn", "Dunnington", "Atom", "Nehalem", "Barcelona", "Bobcat"),
        *("Sandybridge", "Haswell", "Zen", "SkylakeX", "Cooperlake"),
    ),
    "aarch64": ("armv8", "cortexa57", "thunderx2t99", "neoversen1", "neoversev1"),
}
"""OpenBLAS's kernels: those for x86-64 but the ones with AMD's FMA4, of which the last two need a CPU with AVX-512; for
arm64 a choice, of which the last needs one with SVE."""
Job: TypeAlias = str | int
Answer: TypeAlias = Any
"""JSON, by what was asked."""
QEMU_CPUS = ("Nehalem", "SandyBridge", "Haswell", "EPYC-Rome")


@dataclass(frozen=True)
class Machine:
    """What a build runs on: a CPU, a BLAS, a kernel and a number of threads."""

    blas: str
    kernel: str = ""
    threads: int = 1
    cpu: str = ""

    @property
    def library(self) -> Path | None:
        """The BLAS's file, where it is installed."""
        return next(Path("/usr/lib").glob(f"*/{FOLDERS[self.blas]}/libblas.so.3"), None)

    def __str__(self) -> str:
        name = " ".join(filter(None, (self.blas, self.kernel)))
        return f"{name}, {self.threads} thread(s)" + (f", qemu-x86_64 -cpu {self.cpu}" if self.cpu else "")


@dataclass
class Count:
    """What was compared on a machine."""

    tensors: int = 0
    outputs: int = 0
    differing: list[str] = field(default_factory=list)

    def compare(self, name: str, one: dict[str, str], other: dict[str, str]) -> None:
        """Count one network's outputs for one tensor."""
        if one.keys() != other.keys():
            raise SystemExit(f"{name}: the builds have other layers")
        self.tensors += 1
        self.outputs += len(one)
        self.differing += [f"{name}: {key}" for key, value in one.items() if other[key] != value]


class Build:
    """A build of Caffe at work in a process of its own."""

    def __init__(self, folder: Path, machine: Machine, core: int | None = None) -> None:
        emulator = ["qemu-x86_64", "-cpu", machine.cpu] if machine.cpu else []
        variables = {
            "PYTHONPATH": f"{folder}:{REPOSITORY}",
            "OPENBLAS_NUM_THREADS": str(machine.threads),
            "LD_PRELOAD": str(machine.library),
        }
        environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"} | variables
        if machine.kernel:
            environment["OPENBLAS_CORETYPE"] = machine.kernel
        if emulator:  # the library is the worker's, not the emulator's; NumPy's OpenBLAS has to suit the CPU too
            del environment["LD_PRELOAD"]
            emulator += ["-E", f"LD_PRELOAD={machine.library}"]
        pin = ["taskset", "-c", str(core)] if core is not None else []
        command = [*pin, *emulator, sys.executable, "-m", WORKER]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if not Path(self.ask(what="build")).is_relative_to(folder):
            raise SystemExit(f"another Caffe comes before the one in {folder}")

    def send(self, **job: Job) -> None:
        """Give a job."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Answer:
        """Return a job's answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker died: status {self._process.wait()}")
        return json.loads(line)

    def ask(self, **job: Job) -> Answer:
        """Give a job and return its answer."""
        self.send(**job)
        return self.receive()

    def close(self) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> int:
    """Compare; return 1 if a bit differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("wheels", nargs=2, type=Path, metavar="WHEEL", help="the original's build, then the other")
    parser.add_argument("--time", action="store_true", help="time the layers instead")
    parser.add_argument("--rounds", type=int, default=15, help="turns that each build has to be timed (15)")
    parser.add_argument("--tensors", type=int, default=24, help="pictures of the tests' corpus, all: 0 (24)")
    parser.add_argument("--networks", type=int, default=40, help="random networks (40)")
    parser.add_argument("--only", default="", help="only machines whose name has this")
    parser.add_argument("--names", nargs="*", default=[*NETWORKS], help="the library's networks (all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        builds = [folder / "one", folder / "other"]
        for wheel, target in zip(options.wheels, builds, strict=True):
            zipfile.ZipFile(wheel).extractall(target)
        files = fetch()
        original = {"prototxt": str(files.prototxt), "weights": str(files.caffemodel)}
        if options.time:
            return print_times(builds, original | {"inputs": str(_inputs(folder, 1))}, options.rounds)
        jobs = [("open_nsfw", original | {"inputs": str(_inputs(folder, options.tensors))})]
        for name in options.names:
            prototxt, inputs = folder / f"{name}.prototxt", folder / f"{name}.npy"
            prototxt.write_text(build(name, batch_size=1))
            side = NETWORKS[name].side
            np.save(inputs, np.random.default_rng(0).normal(0, 64, (1, 1, 3, side, side)).astype(np.float32))
            jobs.append((name, {"prototxt": str(prototxt), "inputs": str(inputs)}))
        differing = 0
        for machine in machines():
            if options.only in str(machine):
                differing += print_bits(builds, machine, jobs, options.networks)
    return 1 if differing else 0


def machines() -> Iterator[Machine]:
    """Give every machine that can be had here."""
    kernels = KERNELS[platform.machine()]
    found = [Machine("ATLAS"), Machine("reference BLAS"), *(Machine("OpenBLAS", kernel) for kernel in kernels)]
    found += [Machine("OpenBLAS", kernel, 2) for kernel in ("Haswell", "SkylakeX") if kernel in kernels]
    if platform.machine() == "x86_64" and shutil.which("qemu-x86_64"):
        found += [Machine(blas, cpu=cpu) for cpu in QEMU_CPUS for blas in ("ATLAS", "OpenBLAS")]
    for machine in found:
        if machine.library is None:
            print(f"{machine}: not installed")
        else:
            yield machine


def print_bits(builds: list[Path], machine: Machine, jobs: list[tuple[str, dict[str, str]]], networks: int) -> int:
    """Print how many outputs differ on a machine."""
    start = time.monotonic()
    count = Count()
    with _pair(builds, machine) as pair:
        for name, job in [] if machine.cpu else jobs:
            for index, (one, other) in enumerate(zip(*_both(pair, what="hash", **job), strict=True)):
                count.compare(f"{name}, tensor {index}", one, other)
        for seed in range(networks):
            count.compare(f"random network {seed}", *_both(pair, what="random", seed=seed))
    print(f"{machine}: {count.tensors} tensors, {count.outputs} outputs, {len(count.differing)} differ "
          f"({time.monotonic() - start:.0f} s)", flush=True)  # fmt: skip
    for line in count.differing[:20]:
        print(f"  {line}", flush=True)
    return len(count.differing)


def print_times(builds: list[Path], job: dict[str, str], rounds: int) -> int:
    """Print how long each type of layer takes on one core, the shortest of many turns."""
    core = min(os.sched_getaffinity(0))
    for kernel in (*os.environ.get("OPENBLAS_CORETYPE", "Haswell").split(), ""):
        machine = Machine("OpenBLAS", kernel)
        with _pair(builds, machine, core) as pair:
            turns = [[build.ask(what="time", repeats=5, **job) for build in pair] for _ in range(rounds)]
        print(f"\n{machine}, the CPU's own kernel" if not kernel else f"\n{machine}")
        print("| ms a forward pass, one core | before | after | ratio |\n|---|---|---|---|")
        types = sorted(turns[0][0]["types"], key=lambda one: -turns[0][0]["types"][one])
        for name in types:
            _print_row(name, *(min(turn[side]["types"][name] for turn in turns) for side in (0, 1)))
        _print_row("whole", *(min(turn[side]["whole"] for turn in turns) for side in (0, 1)))
        ratio = statistics.median(one["whole"] / other["whole"] for one, other in turns)
        print(f"\nmedian ratio of {rounds} turns, whole: {ratio:.2f}")
    return 0


def _print_row(name: str, before: float, after: float) -> None:
    print(f"| {name} | {before * 1e3:.2f} | {after * 1e3:.2f} | {before / after:.2f} |")


@contextmanager
def _pair(builds: list[Path], machine: Machine, core: int | None = None) -> Iterator[list[Build]]:
    with ExitStack() as stack:
        pair = [Build(folder, machine, core) for folder in builds]
        for one in pair:
            stack.callback(one.close)
        yield pair


def _both(pair: list[Build], **job: Job) -> list[Answer]:
    for one in pair:
        one.send(**job)
    return [one.receive() for one in pair]


def _inputs(folder: Path, count: int) -> Path:
    """Preprocess the first pictures of the tests' corpus that can be read, all of them for 0."""
    pictures = folder / "corpus"
    pictures.mkdir()
    corpus.generate(pictures)
    tensors = []
    for path in sorted(pictures.iterdir()):
        try:
            tensors.append(preprocess(path, PillowCodec())[np.newaxis])
        except ImageError:
            continue
        if len(tensors) == count:
            break
    np.save(folder / "inputs.npy", np.stack(tensors))
    return folder / "inputs.npy"


if __name__ == "__main__":
    sys.exit(main())
