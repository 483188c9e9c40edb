"""ONNX Runtime, on the CPU or through its CUDA provider."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.caffe_to_onnx.cache import onnx_model
from nsfw_caffe.caffe_to_onnx.features import with_features
from nsfw_caffe.engines.base import (
    Parallelism,
    failing_alone,
    import_module,
    require_float32,
    threads_a_picture,
)
from nsfw_caffe.engines.trial import try_model
from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions

_CUDA = "CUDAExecutionProvider"

GPU_BATCH_SIZE = 32
"""Pictures a pass on a GPU; twice as many are no faster."""

Providers: TypeAlias = Sequence[str | tuple[str, dict[str, str]]]


def create(files: ModelFiles, options: ScoringOptions, callers: int = 1) -> OnnxRuntimeEngine:
    """Load the model, converted to ONNX."""
    engine = OnnxRuntimeEngine(require(options), files, options, callers)
    if not files.original:
        try_model(engine, files)
    return engine


def create_reader(
    engine: OnnxRuntimeEngine,  # noqa: ARG001 - whose session has no such output
    files: ModelFiles,
    options: ScoringOptions,
    blob: str,  # noqa: ARG001 - Caffe's name, which in-place layers have changed here
) -> OnnxRuntimeReader:
    """Load the model once more, with one more output."""
    return OnnxRuntimeReader(require(options), files, options)


def require(options: ScoringOptions) -> Any:  # noqa: ANN401
    """Give onnxruntime, where it has what the options ask for."""
    require_float32("onnxruntime", options)
    # From 1.29 on it would report itself when it is imported, and keep an id of the machine in the home.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    onnxruntime = import_module("onnxruntime", "onnxruntime")
    if options.gpu is not None and _CUDA not in onnxruntime.get_available_providers():
        raise EngineUnavailable(
            f"device 'gpu:{options.gpu}': this onnxruntime is built for the CPU; "
            "pip uninstall onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    return onnxruntime


class OnnxRuntimeEngine:
    """A session; `run` may be called by several threads at a time, and releases the GIL."""

    name = "onnxruntime"

    def __init__(self, onnxruntime: Any, files: ModelFiles, options: ScoringOptions, callers: int = 1) -> None:  # noqa: ANN401
        # On the CPU a batch is no faster, and so its size cannot change the bits.
        self.batch_size = 1 if options.gpu is None else GPU_BATCH_SIZE
        self.parallelism: Parallelism = "threads" if options.gpu is None else "batches"
        threads = threads_a_picture(options, callers)
        self._session = create_session(onnxruntime, onnx_model(files), threads, _providers(options))
        if options.gpu is not None:
            if _CUDA not in self._session.get_providers():
                # onnxruntime takes the CPU instead and only prints why.
                raise EngineUnavailable(
                    f"device 'gpu:{options.gpu}': onnxruntime cannot use CUDA here; check with nvidia-smi that there "
                    "is this GPU, with memory left, and that CUDA and cuDNN are installed: "
                    "pip install 'onnxruntime-gpu[cuda,cudnn]'"
                )
            self._session.disable_fallback()  # to the CPU, when a forward pass fails
        (source,), (output,) = self._session.get_inputs(), self._session.get_outputs()
        self._input, self._outputs = source.name, [output.name]

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the network: float32 (n, 3, 224, 224) in, float32 (n, classes) out."""
        with failing_alone(self.name):
            chunks = [
                self._session.run(self._outputs, {self._input: batch[start : start + self.batch_size]})[0]
                for start in range(0, len(batch), self.batch_size)
            ]
            return np.concatenate(chunks).reshape(len(batch), -1)


class OnnxRuntimeReader:
    """A session with the feature map as its second output."""

    def __init__(self, onnxruntime: Any, files: ModelFiles, options: ScoringOptions) -> None:  # noqa: ANN401
        content, threads = with_features(onnx_model(files)), threads_a_picture(options, 1)
        self._session = create_session(onnxruntime, content, threads, _providers(options))
        (source,) = self._session.get_inputs()
        self._input = source.name

    def read(self, tensor: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network on one picture: its output, and the feature map."""
        with failing_alone(OnnxRuntimeEngine.name):
            output, features = self._session.run(None, {self._input: tensor[np.newaxis]})
            return output.reshape(-1), features[0]


def create_session(
    onnxruntime: Any,  # noqa: ANN401
    content: bytes,
    threads: int,
    providers: Providers = ("CPUExecutionProvider",),
) -> Any:  # noqa: ANN401
    """Load a network in ONNX's form, to be computed by this many threads."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what ends the process; errors are raised too
    # Threads that wait for work by spinning take the cores from the preprocessing.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, settings, providers=providers)


def _providers(options: ScoringOptions) -> Providers:
    if options.gpu is None:
        return ["CPUExecutionProvider"]
    # Tensor cores would round the inputs of each product to 10 bits (TF32), which CUDA's libraries do unasked.
    return [(_CUDA, {"device_id": str(options.gpu), "use_tf32": "0"})]
