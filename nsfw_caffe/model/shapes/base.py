"""One layer while its shapes are worked out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.model.layer import ANY, CheckedLayer, Shape, format_shape
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter

Shapes: TypeAlias = list[Shape]

MANY = (1, ANY)
NONE = (0, 0)


class ShapedLayer(CheckedLayer):
    """A layer while its shapes are worked out."""

    def __init__(self, parameter: LayerParameter, prototxt: Path | str, bottoms: Shapes) -> None:
        super().__init__(parameter, prototxt)
        self.bottoms = bottoms

    @property
    def bottom(self) -> Shape:
        """The first bottom."""
        return self.bottoms[0]

    def bottom_axis(self, axis: int) -> int:
        """Give an axis of the first bottom as a number from 0 on."""
        return self.axis(axis, len(self.bottom))

    def require_rank(self, least: int, most: int | None = None) -> None:
        """Refuse a first bottom with other numbers of axes."""
        rank = len(self.bottom)
        wanted = str(least) if most == least else f"{least} or more"
        self.require(least <= rank <= (most or rank), f"needs an input of {wanted} axes, has {rank}")


@dataclass(frozen=True)
class Made:
    """What a layer makes and learns."""

    tops: Shapes
    blobs: Shapes = field(default_factory=list)


@dataclass(frozen=True)
class Rule:
    """How a type of layer makes its shapes, and the smallest and the largest number of blobs that it takes."""

    make: Callable[[ShapedLayer], Made]
    bottoms: tuple[int, int] = (1, 1)
    tops: tuple[int, int] = (1, 1)


def listed(layer: ShapedLayer) -> str:
    """Write the shapes of all bottoms."""
    return ", ".join(map(format_shape, layer.bottoms))
