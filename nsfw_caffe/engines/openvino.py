"""OpenVINO on the CPU, in float32 or bfloat16."""

from __future__ import annotations

import platform
import queue
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from nsfw_caffe.caffe_to_onnx.cache import onnx_model
from nsfw_caffe.caffe_to_onnx.features import with_features
from nsfw_caffe.engines.base import Parallelism, failing_alone, import_module, threads_a_picture
from nsfw_caffe.engines.trial import try_model
from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.model.spec import INPUT_SHAPE, ModelFiles
from nsfw_caffe.options import Precision, ScoringOptions
from nsfw_caffe.system import proc

_HINTS = {"float32": "f32", "bfloat16": "bf16"}

_TELEMETRY = "openvino_telemetry"

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "avx_ne_convert"}
"""Linux's names of the x86 extensions that OpenVINO computes bfloat16 with."""

_X86 = ("x86_64", "AMD64")
"""What systems call it."""


def create(files: ModelFiles, options: ScoringOptions, callers: int = 1) -> OpenVinoEngine:
    """Load the model, converted to ONNX."""
    engine = OpenVinoEngine(require(options), files, options, callers)
    if not files.original:
        try_model(engine, files)
    return engine


def create_reader(
    engine: OpenVinoEngine,  # noqa: ARG001 - whose model has no such output
    files: ModelFiles,
    options: ScoringOptions,
    blob: str,  # noqa: ARG001 - Caffe's name, which in-place layers have changed here
) -> OpenVinoReader:
    """Load the model once more, with one more output."""
    return OpenVinoReader(require(options), files, options)


def require(options: ScoringOptions) -> Any:  # noqa: ANN401
    """Give OpenVINO's core, where it has what the options ask for."""
    openvino = _import_openvino()
    if options.gpu is not None:
        raise EngineUnavailable(
            f"device 'gpu:{options.gpu}': openvino is there for the CPU; use engine 'caffe' or 'onnxruntime'"
        )
    core = openvino.Core()
    if options.precision == "bfloat16":
        _require_bfloat16(core)
    return core


class OpenVinoEngine:
    """A compiled model, with as many requests as there are callers at once; inference releases the GIL."""

    name = "openvino"
    batch_size = 1  # more is no faster, and so the size of a batch cannot change the bits
    parallelism: Parallelism = "threads"

    def __init__(self, core: Any, files: ModelFiles, options: ScoringOptions, callers: int) -> None:  # noqa: ANN401
        threads = threads_a_picture(options, callers) * callers
        settings = compile_settings(options.precision, threads, callers)
        self._compiled = core.compile_model(_read_model(core, onnx_model(files), files), "CPU", settings)
        # One for each caller at a time, each run once here: openvino's bindings set themselves up when they are first
        # used, and two threads that do that at once wait for each other for ever.
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(callers):
            request = self._compiled.create_infer_request()
            request.infer([np.zeros((1, *INPUT_SHAPE), np.float32)])
            self._requests.put(request)

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the network: float32 (n, 3, 224, 224) in, float32 (n, classes) out."""
        request = self._requests.get()
        try:
            with failing_alone(self.name):
                outputs = [request.infer([batch[index : index + 1]])[0] for index in range(len(batch))]
                return np.concatenate(outputs).reshape(len(batch), -1)
        finally:
            self._requests.put(request)


class OpenVinoReader:
    """A compiled model with the feature map as its second output, for one caller at a time."""

    def __init__(self, core: Any, files: ModelFiles, options: ScoringOptions) -> None:  # noqa: ANN401
        model = _read_model(core, with_features(onnx_model(files)), files)
        if options.precision == "bfloat16":
            _copy_features(model)
        settings = compile_settings(options.precision, threads_a_picture(options, 1))
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._lock = threading.Lock()

    def read(self, tensor: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network on one picture: its output, and the feature map."""
        with self._lock, failing_alone(OpenVinoEngine.name):
            found = self._request.infer([tensor[np.newaxis]])
            return found[0].reshape(-1).copy(), found[1][0].copy()


def compile_settings(precision: Precision, threads: int, callers: int = 1) -> dict[str, str | int | bool]:
    """Say how a model is to be compiled: for this many threads, which callers at once share."""
    # The precision is said in any case: left alone, OpenVINO takes bfloat16 where the CPU has it.
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": callers,
        # Else processes of few threads each would all keep them to the same first cores.
        "ENABLE_CPU_PINNING": False,
    }


def _read_model(core: Any, content: bytes, files: ModelFiles) -> Any:  # noqa: ANN401
    model = core.read_model(content)
    model.reshape([1, *INPUT_SHAPE])
    if not files.original:
        _let_nan_pass(model)
    return model


def _copy_features(model: Any) -> None:  # noqa: ANN401
    """Give the second output as a copy, made by a convolution that changes nothing.

    An output that is read in between is made float32 there, and then the network rounds elsewhere: other scores.
    """
    from openvino import opset13 as operations

    result = model.get_results()[1]
    features = result.input_value(0)
    ones = operations.constant(np.ones((features.get_shape()[1], 1, 1, 1, 1), np.float32))
    copied = operations.group_convolution(features, ones, [1, 1], [0, 0], [0, 0], [1, 1])
    result.input(0).replace_source_output(copied.output(0))


def _let_nan_pass(model: Any) -> None:  # noqa: ANN401
    """Put maximum(0, x) for each ReLU: its bits are the same, but of NaN it makes NaN, as Caffe does, and not 0."""
    # Both end in x86's MAXPS, which gives the second operand where one is NaN, and that is 0 in OpenVINO's ReLU: what
    # has overflowed in a user's network would go on as a number. It takes 2 % more time; the original never overflows.
    from openvino import opset13 as operations

    for layer in model.get_ops():
        if layer.get_type_name() == "Relu":
            maximum = operations.maximum(operations.constant(np.float32(0)), layer.input_value(0))
            layer.output(0).replace(maximum.output(0))


def _import_openvino() -> Any:  # noqa: ANN401
    """Import openvino without its telemetry, which reports the import to Google Analytics without being asked to."""
    # Where openvino_telemetry is not installed, openvino has a stub for it; so it is made to look absent meanwhile.
    hidden = _TELEMETRY not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        return import_module("openvino", "openvino")
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]


def _require_bfloat16(core: Any) -> None:  # noqa: ANN401
    """Refuse bfloat16 where it would be emulated, which is slower than float32."""
    # OpenVINO lists BF16 for each CPU with AVX-512, so the CPU itself is asked too.
    listed = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if not listed or (platform.machine() in _X86 and not _BFLOAT16_FLAGS & _cpu_flags()):
        raise EngineUnavailable(
            "openvino: precision 'bfloat16': this CPU has no bfloat16 units (AVX512_BF16 or AMX-BF16), "
            "or the system does not tell, so it would be emulated, slower than 'float32'"
        )


def _cpu_flags() -> set[str]:
    flags = (line.partition(":")[2] for line in proc.lines("cpuinfo") if line.startswith("flags"))
    return set(next(flags, "").split())
