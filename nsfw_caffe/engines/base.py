"""What an engine is, and choosing one."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EngineUnavailable, ModelError, NsfwCaffeError
from nsfw_caffe.model.locate import ModelFiles
from nsfw_caffe.system.cores import available_cores

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

        Raises
        ------
        EngineUnavailable
            If the engine fails: there is not enough memory for example.
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
        If the engine cannot run the model, or there is not enough memory to load it.
    """

    def load(module: Any) -> Any:  # noqa: ANN401
        engine = module.__name__.rpartition(".")[2]
        with _ending_foreign_errors(ModelError, f"{files.prototxt}: {engine} cannot run this model"):
            return module.create(files, options)

    engine: Engine = _first(name, options, load)
    return engine


def require_engine(name: str, options: EngineOptions) -> None:
    """Look whether there is such an engine, without a model: before one is downloaded for nothing.

    Parameters
    ----------
    name, options
        As for `create_engine`.

    Raises
    ------
    ValueError, EngineUnavailable
        As for `create_engine`.
    """
    _first(name, options, lambda module: module.require(options))


def _first(name: str, options: EngineOptions, use: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Give what comes of the first of the named engines' modules that is available."""
    if name not in (*ENGINES, "auto"):
        raise ValueError(f"engine={name!r}: expected one of {', '.join((*ENGINES, 'auto'))}")
    if options.precision not in PRECISIONS:
        raise ValueError(f"precision={options.precision!r}: expected one of {', '.join(PRECISIONS)}")
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"threads={options.threads}: expected 1 or more")
    reasons = []
    for candidate in ENGINES if name == "auto" else (name,):
        try:
            return use(importlib.import_module(f"nsfw_caffe.engines.{candidate}"))
        except EngineUnavailable as error:
            reasons.append(str(error))
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


def failing_alone(engine: str) -> contextlib.AbstractContextManager[None]:
    """Make what an engine raises in a forward pass an EngineUnavailable: its own classes are not public."""
    return _ending_foreign_errors(EngineUnavailable, f"{engine}: a forward pass failed")


@contextlib.contextmanager
def _ending_foreign_errors(kind: type[NsfwCaffeError], what: str) -> Iterator[None]:
    try:
        yield
    except NsfwCaffeError:
        raise
    except Exception as error:
        # OpenVINO's have several lines, with places in its sources.
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, MemoryError) or "bad_alloc" in reason:
            reason = "not enough memory"
        raise kind(f"{what}: {reason}") from error
