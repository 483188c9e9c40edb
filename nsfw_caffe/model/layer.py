"""One layer of a prototxt while it is checked: the errors that name it, and where its axes are."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter

Shape: TypeAlias = tuple[int, ...]


ANY = 1 << 30
"""The largest number of blobs where there is no limit."""


class CheckedLayer:
    """What a prototxt says of a layer, and the errors that name both."""

    def __init__(self, parameter: LayerParameter, prototxt: Path | str) -> None:
        self.parameter = parameter
        self.prototxt = prototxt

    def refuse(self, reason: str) -> ModelError:
        """Make the error that names file and layer."""
        return refusal(self.prototxt, self.parameter, reason)

    def require(self, condition: bool, reason: str) -> None:
        """Raise the error unless the condition holds."""
        if not condition:
            raise self.refuse(reason)

    def axis(self, axis: int, rank: int) -> int:
        """Give an axis as a number from 0 on."""
        self.require(-rank <= axis < rank, f"there is no axis {axis} among {rank}")
        return axis % rank


def refusal(prototxt: Path | str, layer: LayerParameter, reason: str) -> ModelError:
    """Make the error that names a file and a layer in it."""
    return ModelError(f"{prototxt}: layer {layer.name!r} of type {layer.type}: {reason}")


def miscount(layer: LayerParameter, bottoms: tuple[int, int], tops: tuple[int, int]) -> tuple[str, str] | None:
    """Say how many bottoms or tops a layer has, and how many it may have, from least to most; None if right."""
    for kind, count, (least, most) in (("bottom", len(layer.bottom), bottoms), ("top", len(layer.top), tops)):
        if not least <= count <= most:
            wanted = str(least) if least == most else f"{least} to {most}" if most < ANY else f"{least} or more"
            return f"{count} {kind} blobs", wanted
    return None


def format_shape(shape: Shape) -> str:
    """Write a shape as people do."""
    return "x".join(map(str, shape)) or "a single value"
