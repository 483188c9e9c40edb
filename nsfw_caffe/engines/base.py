"""What an engine is, and choosing one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.cores import available_cores
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.model import ModelFiles

ENGINES = ("caffe", "onnxruntime", "openvino")
"""The engines' names, in the order in which "auto" tries them; each is a module of this package."""

PRECISIONS = ("float32", "bfloat16")
"""What an engine may compute with."""

GPU_BATCH_SIZE = 32

Parallelism: TypeAlias = Literal["threads", "processes", "batches"]


@dataclass(frozen=True)
class EngineOptions:
    """How an engine computes.

    Attributes
    ----------
    gpu : int or None
        The GPU's number; None for the CPU.
    precision : str
        One of `PRECISIONS`.
    threads : int or None
        How many threads compute; None for as many as there are cores.
    concurrency : int
        How many threads call `forward` at once; they share the threads that compute.
    """

    gpu: int | None = None
    precision: str = "float32"
    threads: int | None = None
    concurrency: int = 1

    @property
    def threads_a_picture(self) -> int:
        """How many threads compute one forward pass."""
        return max(1, (self.threads or available_cores()) // self.concurrency)


class Engine(Protocol):
    """A loaded network; it knows nothing of pictures.

    Attributes
    ----------
    name : str
        One of `ENGINES`.
    batch_size : int
        How many pictures one call of `forward` takes best.
    parallelism : str
        How several pictures are worked on at once: "threads" where `forward` may be called from several threads, which
        then run side by side; "processes" where it holds the GIL; "batches" where one large batch is the fastest.
    """

    name: str
    batch_size: int
    parallelism: Parallelism

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the network.

        Parameters
        ----------
        batch : numpy.ndarray
            float32, (n, 3, 224, 224): blue, green, red, minus the mean.

        Returns
        -------
        numpy.ndarray
            float32, (n, 2): the probabilities of sfw and nsfw.
        """
        ...


def create_engine(name: str, files: ModelFiles, options: EngineOptions) -> Engine:
    """Load the model into the engine of this name, or for "auto" into the first that is installed.

    Parameters
    ----------
    name : str
        One of `ENGINES`, or "auto".
    files : ModelFiles
        The model.
    options : EngineOptions
        How it computes.

    Raises
    ------
    ValueError
        If there is no engine or precision of that name, or `threads` is less than 1.
    EngineUnavailable
        If the engine is not installed or does not have what `options` ask for; for "auto", if no engine does.
    ModelError
        If the engine cannot run the model.
    """
    if name not in (*ENGINES, "auto"):
        raise ValueError(f"engine={name!r}: expected one of {', '.join((*ENGINES, 'auto'))}")
    if options.precision not in PRECISIONS:
        raise ValueError(f"precision={options.precision!r}: expected one of {', '.join(PRECISIONS)}")
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"threads={options.threads}: expected 1 or more")
    reasons = []
    for candidate in ENGINES if name == "auto" else (name,):
        module = importlib.import_module(f"nsfw_caffe.engines.{candidate}")
        try:
            engine: Engine = module.create(files, options)
        except EngineUnavailable as error:
            reasons.append(str(error))
        else:
            return engine
    raise EngineUnavailable("\n  ".join(reasons))


def parse_device(device: str) -> int | None:
    """Return N of "gpu:N", or None for "cpu".

    Raises
    ------
    ValueError
        If it is neither.
    """
    if device == "cpu":
        return None
    kind, _, number = device.partition(":")
    if kind != "gpu" or not (number.isascii() and number.isdigit()):
        raise ValueError(f"device={device!r}: expected 'cpu' or 'gpu:N', for example 'gpu:0'")
    return int(number)


def require_float32(engine: str, options: EngineOptions) -> None:
    """Refuse another precision for an engine that has none.

    Raises
    ------
    EngineUnavailable
        If another one is asked for; the message says which engine has it.
    """
    if options.precision != "float32":
        raise EngineUnavailable(f"{engine}: precision {options.precision!r} is there only with engine 'openvino'")


def check_portable(engine: Engine, files: ModelFiles) -> None:
    """Run a user's own model once on a grey picture.

    Raises
    ------
    ModelError
        If it does not give two finite numbers.
    """
    if files.original:
        return
    output = engine.forward(np.zeros((1, 3, 224, 224), np.float32))
    if output.shape != (1, 2):
        raise ModelError(f"{files.prototxt}: expected an output of shape (n, 2), found (n, {output.size})")
    if not np.isfinite(output).all():
        raise ModelError(
            f"{files.prototxt}: the output for a grey picture is {output[0].tolist()}, not two finite numbers"
        )
