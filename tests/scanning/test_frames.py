from __future__ import annotations

import io

import pytest
from PIL import Image

from nsfw_caffe.limits import Limits
from nsfw_caffe.scanning.frames import later_frames


def animation(levels: list[int], form: str = "GIF") -> bytes:
    frames = [Image.new("RGB", (40, 30), (level, level, 255 - level)) for level in levels]
    output = io.BytesIO()
    frames[0].save(output, form, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    return output.getvalue()


def red(frame: Image.Image) -> int:
    pixel = frame.convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, []),
        (2, [90]),
        (3, [40, 90]),
        (4, [30, 60, 90]),
        (10, list(range(10, 100, 10))),
        (99, list(range(10, 100, 10))),
    ],
)
@pytest.mark.parametrize("form", ["GIF", "WebP", "PNG"])
def test_evenly_spaced_from_the_first_to_the_last(form: str, count: int, expected: list[int]) -> None:
    frames = later_frames(animation(list(range(0, 100, 10)), form), count, Limits())
    assert [red(frame) for frame in frames] == expected


def test_a_still_picture_has_no_more_frames() -> None:
    assert list(later_frames(animation([5]), 4, Limits())) == []


def test_what_is_damaged_ends_it() -> None:
    whole = animation(list(range(0, 100, 10)))
    frames = [red(frame) for frame in later_frames(whole[: len(whole) * 6 // 10], 10, Limits())]
    assert frames == list(range(10, 100, 10))[: len(frames)]
    assert list(later_frames(b"no picture", 4, Limits())) == []
