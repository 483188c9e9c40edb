"""What decides a score besides the picture and the model: made once, checked once, and carried whole from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits

EngineName: TypeAlias = Literal["caffe", "onnxruntime", "openvino"]
EngineChoice: TypeAlias = Literal["caffe", "onnxruntime", "openvino", "auto"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
Decode: TypeAlias = Literal["exact", "fast"]
Jpeg: TypeAlias = Literal["pillow", "ijg9d"]
BlasChoice: TypeAlias = Literal["system", "atlas"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""The engines' names, in the order in which "auto" tries them; each is a module of `nsfw_caffe.engines`."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_CHOICES = {
    "engine": get_args(EngineChoice),
    "precision": PRECISIONS,
    "decode": get_args(Decode),
    "jpeg": get_args(Jpeg),
    "blas": get_args(BlasChoice),
}


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How pictures are scored: with one model, equal options give equal scores.

    On one machine that holds to the bit. From one to another the last digits (3e-7) may differ where the BLAS is the
    system's or the engine a portable one, and with some BLAS kernels with the number of threads: docs/fidelity.md.

    Attributes
    ----------
    engine : str, default "auto"
        "caffe", "onnxruntime" or "openvino"; "auto" is the first of these that is installed.
    device : str, default "cpu"
        "cpu", or "gpu:N" for the GPU of that number; "cuda:N" is taken for it.
    precision : str, default "float32"
        "float32" or "bfloat16".
    decode : str, default "exact"
        "exact", or "fast" for large JPEG files decoded smaller.
    jpeg : str, default "pillow"
        The preprocessing's JPEG library: "pillow" for the one inside Pillow, "ijg9d" for IJG libjpeg 9d.
    blas : str, default "system"
        The BLAS that Caffe computes with: "system" for the one that the process finds as `libblas.so.3`, or "atlas".
        No other engine uses it.
    threads : int or None
        How many threads compute; None for as many as there are cores.
    limits : Limits
        What a picture may ask for in memory and time.

    Raises
    ------
    ValueError
        If a value is none of these, or goes with no other.

    Examples
    --------
    >>> ScoringOptions(engine="onnxruntime", device="cuda:0").device
    'gpu:0'
    >>> ScoringOptions.published() == ScoringOptions(engine="caffe", jpeg="ijg9d", blas="atlas")
    True
    """

    engine: EngineChoice = "auto"
    device: str = "cpu"
    precision: Precision = "float32"
    decode: Decode = "exact"
    jpeg: Jpeg = "pillow"
    blas: BlasChoice = "system"
    threads: int | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        for name, values in _CHOICES.items():
            value = getattr(self, name)
            if value not in values:
                raise ValueError(f"{name}={value!r}: expected one of {', '.join(values)}")
        object.__setattr__(self, "device", parse_device(self.device))
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads}: expected 1 or more")
        if self.decode == "fast" and self.jpeg != "pillow":
            raise ValueError(f"decode='fast' goes with jpeg='pillow'; jpeg={self.jpeg!r} is for exact bits")
        if self.blas == "atlas" and (self.engine, self.device) != ("caffe", "cpu"):
            raise ValueError("blas='atlas' goes with engine='caffe' and device='cpu'")

    @classmethod
    def published(cls, jpeg: Jpeg = "ijg9d", limits: Limits = DEFAULT_LIMITS) -> ScoringOptions:
        """Return the options that give scores as others published them: see `Classifier.published`."""
        return cls(engine="caffe", jpeg=jpeg, blas="atlas", limits=limits)

    @property
    def gpu(self) -> int | None:
        """The GPU's number; None for the CPU."""
        return None if self.device == "cpu" else int(self.device.partition(":")[2])


def parse_device(device: str) -> str:
    """Return "cpu", or "gpu:N" for that and for "cuda:N"; ValueError for anything else."""
    kind, _, number = device.partition(":")
    if kind in ("gpu", "cuda") and number.isascii() and number.isdigit():
        return f"gpu:{int(number)}"
    if device != "cpu":
        raise ValueError(f"device={device!r}: expected 'cpu' or 'gpu:N', for example 'gpu:0'")
    return device
