"""The original network in the original framework, through pycaffe."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nsfw_caffe.engines.base import Parallelism, failing_alone, import_module, require_float32
from nsfw_caffe.engines.blas import set_openblas_threads, use_atlas
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.model.check import check_custom
from nsfw_caffe.model.network import for_caffe
from nsfw_caffe.model.spec import INPUT_SHAPE, ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.system import processes

_Result = TypeVar("_Result")

GPU_BATCH_SIZE = 16
"""Pictures a pass on a GPU: 110 MB of its memory each; twice as many are a seventh faster."""

_TRIAL_SECONDS = 300

# Debian's packages of what a pycaffe wheel leaves to the system, by the start of the libraries' names.
_PACKAGES = {
    "libblas": "libopenblas0-pthread",
    "libcu": "libcublas11 libcudart11.0 libcurand10, from Debian's component non-free",
}


def create(files: ModelFiles, options: ScoringOptions, callers: int = 1) -> CaffeEngine:  # noqa: ARG001 - one at a time
    """Load the model, after a trial in a child process if it is not the original one, or is to run on a GPU."""
    caffe = require(options)
    gpu = options.gpu
    # Caffe ends the process when it does not like a file or a GPU: both are tried where that does no harm.
    if not files.original:
        check_custom(files)
    if gpu is not None or not files.original:
        _try_in_child(files, gpu)
    engine = CaffeEngine(caffe, files, gpu)
    if options.threads is not None:
        set_openblas_threads(options.threads)
    return engine


def create_reader(engine: CaffeEngine, files: ModelFiles, options: ScoringOptions, blob: str) -> CaffeReader:  # noqa: ARG001 - what other engines need
    """Give what reads the map where the engine itself has it."""
    return CaffeReader(engine, blob)


def require(options: ScoringOptions) -> Any:  # noqa: ANN401
    """Give pycaffe, where it has the device, the precision and the BLAS that the options ask for."""
    require_float32("caffe", options)
    if options.blas == "atlas":
        use_atlas()
    caffe = import_caffe()
    if options.gpu is not None:
        _require_gpu(caffe, options.gpu)
    return caffe


class CaffeEngine:
    """A Caffe Net with a lock around it: a Net has one set of blobs, and Caffe keeps mode and device per thread.

    On a GPU a thread of its own computes: each thread that does would take 70 MB of the GPU's memory, and more memory
    than there is ends the process. For this reason too all memory is taken at the start, that of a whole batch.
    """

    name = "caffe"

    def __init__(self, caffe: Any, files: ModelFiles, gpu: int | None) -> None:  # noqa: ANN401
        self._caffe = caffe
        self._gpu = gpu
        self._lock = threading.Lock()
        # On the CPU a batch is no faster, and in batches of five or more Caffe rounds differently.
        self.batch_size = 1 if gpu is None else GPU_BATCH_SIZE
        self.parallelism: Parallelism = "processes" if gpu is None else "batches"
        self._outputs = files.outputs
        self._thread = None if gpu is None else ThreadPoolExecutor(1, thread_name_prefix="nsfw_caffe-gpu")
        self._compute(lambda: self._load(files))

    def _load(self, files: ModelFiles) -> None:
        with for_caffe(files.prototxt) as prototxt:
            self._net = self._caffe.Net(str(prototxt), self._caffe.TEST, weights=str(files.caffemodel))
        (self._input,) = self._net.inputs
        if len(self._net.outputs) != 1:
            raise ModelError(f"{files.prototxt}: expected one output, found {', '.join(self._net.outputs)}")
        (self._output,) = self._net.outputs
        shape = tuple(self._net.blobs[self._output].data.shape)
        if len(shape) < 2 or shape[1] != self._outputs or any(side != 1 for side in shape[2:]):
            expected = f"expected an output of shape (n, {self._outputs})"
            raise ModelError(f"{files.prototxt}: {expected}, found {shape} in {self._output!r}")
        if self._gpu is not None:
            self._forward(np.zeros((self.batch_size, *INPUT_SHAPE), np.float32))

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the network: float32 (n, 3, 224, 224) in, float32 (n, classes) out."""
        starts = range(0, len(batch), self.batch_size)
        with failing_alone(self.name):
            return self._compute(
                lambda: np.concatenate([self._forward(batch[start : start + self.batch_size]) for start in starts])
            )

    def read(
        self, tensor: npt.NDArray[np.float32], blob: str
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network on one picture, and give its output and a blob, as it is when all layers are done."""

        def compute() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
            (output,) = self._forward(tensor[np.newaxis])
            return output, self._net.blobs[blob].data[0].copy()

        with failing_alone(self.name):
            return self._compute(compute)

    def _compute(self, function: Callable[[], _Result]) -> _Result:
        """Call a function that uses the Net, where and when it may."""
        with self._lock:
            if self._thread is not None:
                return self._thread.submit(self._in_mode, function).result()
            return self._in_mode(function)

    def _in_mode(self, function: Callable[[], _Result]) -> _Result:
        if self._gpu is None:
            self._caffe.set_mode_cpu()
        else:
            self._caffe.set_device(self._gpu)
            self._caffe.set_mode_gpu()
        return function()

    def _forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        blob = self._net.blobs[self._input]
        if tuple(blob.data.shape) != batch.shape:
            blob.reshape(*batch.shape)
        blob.data[...] = batch
        output: npt.NDArray[np.float32] = self._net.forward()[self._output]
        return output.reshape(len(batch), self._outputs).copy()  # the blob is overwritten by the next call


class CaffeReader:
    """Reads a blob of an engine's own Net after a forward pass, before another one."""

    def __init__(self, engine: CaffeEngine, blob: str) -> None:
        self._engine = engine
        self._blob = blob

    def read(self, tensor: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network on one picture: its output, and the feature map."""
        return self._engine.read(tensor, self._blob)


def import_caffe() -> Any:  # noqa: ANN401
    """Import pycaffe, quietly; EngineUnavailable if it is not installed, or a library that it needs is not."""
    # glog reads this once, when the library is loaded; without it Caffe writes hundreds of lines about every layer.
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        return import_module("caffe", "Caffe", _how_to_install())
    except EngineUnavailable as error:
        needed = str(error.__cause__)
        advice = [f"apt-get install {found}" for name, found in _PACKAGES.items() if name in needed]
        if not advice:
            raise
        raise EngineUnavailable(f"{error}; {advice[0]}") from error


def _how_to_install() -> str:
    """Say which wheel fits this Python; where the checkout's dist/ has but others, name one."""
    major, minor = sys.version_info[:2]
    fitting = f"caffe-*-cp{major}{minor}-*.whl"
    there = sorted(path.name for path in (Path(__file__).parents[2] / "dist").glob("caffe-*.whl"))
    fits = any(fnmatch(name, fitting) for name in there)
    other = f"; {there[0]} in dist/ is for another Python" if there and not fits else ""
    return (
        "build and install pycaffe with 'make caffe' in the checkout, or install a wheel that it built for "
        f"CPython {major}.{minor}: pip install dist/{fitting}{other}"
    )


def _require_gpu(caffe: Any, gpu: int) -> None:  # noqa: ANN401
    """Ask CUDA for the device, because Caffe ends the process where there is none."""
    library = ctypes.CDLL(caffe._caffe.__file__)
    if not hasattr(library, "cudaGetDeviceCount"):
        raise EngineUnavailable(f"device 'gpu:{gpu}': this pycaffe is built for the CPU; use device 'cpu'")
    count = ctypes.c_int()
    status = library.cudaGetDeviceCount(ctypes.byref(count))
    if status != 0 or count.value == 0:
        raise EngineUnavailable(
            f"device 'gpu:{gpu}': CUDA finds no GPU here (status {status}); "
            "check the driver with nvidia-smi, and in a container ask for the GPU (docker run --gpus all)"
        )
    if gpu >= count.value:
        last = count.value - 1
        there = "one GPU here, gpu:0" if last == 0 else f"{count.value} GPUs here, gpu:0 to gpu:{last}"
        raise EngineUnavailable(f"device 'gpu:{gpu}': CUDA finds {there}")


def _try_in_child(files: ModelFiles, gpu: int | None) -> None:
    """Load the model and run it once in a child process, and turn the child's death into an error."""
    device = "cpu" if gpu is None else f"gpu:{gpu}"
    command = processes.command(
        "engines.trial", str(files.prototxt), str(files.caffemodel), device, str(files.features or "")
    )
    command += files.classes
    environment = processes.environment(GLOG_minloglevel="2", GLOG_logtostderr="1")
    try:
        trial = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TRIAL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{files.prototxt}: Caffe did not load and run it within {_TRIAL_SECONDS} s") from error
    if trial.returncode == 0:
        return
    reason = last_words(trial.stderr)
    status = f"(status {trial.returncode})"
    if files.original:  # which is not to blame: the GPU may be too old for this pycaffe, or full
        raise EngineUnavailable(f"device {device!r}: Caffe cannot run the model on it {status}: {reason}")
    raise ModelError(f"{files.prototxt} with {files.caffemodel}: Caffe cannot run this model {status}: {reason}")


def last_words(errors: str) -> str:
    """Take from what a process with Caffe wrote on standard error why it has ended."""
    # glog's line of a fatal error: "F1123 03:14:15.926535 8979 net.cpp:767] Check failed: ..."
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith(("***", "    @"))]
    return next((line.partition("] ")[2] for line in lines if line.startswith("F")), "") or (lines or [""])[-1]
