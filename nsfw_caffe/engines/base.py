"""What an engine is, and choosing one."""

from __future__ import annotations

import importlib
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.model import ModelFiles

ENGINES = ("caffe",)
"""The engines' names, in the order in which "auto" tries them; each is a module of this package."""


class Engine(Protocol):
    """A loaded network; it knows nothing of pictures.

    Attributes
    ----------
    name : str
        One of `ENGINES`.
    batch_size : int
        How many pictures one call of `forward` takes best.
    """

    name: str
    batch_size: int

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


def create_engine(name: str, files: ModelFiles, device: str) -> Engine:
    """Load the model into the engine of this name, or for "auto" into the first that is installed.

    Parameters
    ----------
    name : str
        One of `ENGINES`, or "auto".
    files : ModelFiles
        The model.
    device : str
        "cpu" or "gpu:N".

    Raises
    ------
    ValueError
        If there is no engine or device of that name.
    EngineUnavailable
        If the engine is not installed or cannot use the device; for "auto", if no engine can.
    ModelError
        If the engine cannot run the model.
    """
    if name not in (*ENGINES, "auto"):
        raise ValueError(f"engine={name!r}: expected one of {', '.join((*ENGINES, 'auto'))}")
    gpu = parse_device(device)
    reasons = []
    for candidate in ENGINES if name == "auto" else (name,):
        module = importlib.import_module(f"nsfw_caffe.engines.{candidate}")
        try:
            engine: Engine = module.create(files, gpu)
        except EngineUnavailable as error:
            reasons.append(str(error))
        else:
            return engine
    raise EngineUnavailable("\n".join(reasons))


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
