"""Protobuf's wire format, where long fields are read and written in place rather than copied through messages.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Part: TypeAlias = bytes | memoryview
"""Of a message's bytes; memoryviews are flat, of single bytes."""

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_SIZES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}


def field(number: int, *content: Part) -> list[Part]:
    """Write a field that is bytes, text, a message, or packed numbers."""
    return [_varint(number << 3 | _BYTES) + _varint(sum(map(len, content))), *content]


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """List number and content of the fields that `field` writes, in a message that is known to be whole."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            size, position = _read_varint(message, position)
            yield number, message[position : position + size]
            position += size
        elif kind == _VARINT:
            _, position = _read_varint(message, position)
        else:
            position += _SIZES[kind]


def _varint(value: int) -> bytes:
    """Write a number in groups of seven bits, the lowest first; all bytes but the last have their highest bit set."""
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Read such a number, and give the position after it too."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
