from __future__ import annotations

import io

import pytest
from PIL import Image

from nsfw_caffe.preprocessing.limits import LimitExceeded, Limits
from nsfw_caffe.sources.item import later_frames
from tests import bombs


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


def noise(frames: int) -> bytes:
    pictures = [Image.effect_noise((200, 100), 50) for _ in range(frames)]
    output = io.BytesIO()
    pictures[0].save(output, "GIF", save_all=True, append_images=pictures[1:])
    return output.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (noise(3), r"60000 pixels in 3 frames: the limit is 59999 \(Limits.animation_pixels, --max-animation-pixels\)"),
        (bombs.gif_of_many_frames(), "9000000000 pixels in 100000 frames"),
        (bombs.apng(), "64000000000 pixels in 1000 frames"),
    ],
)
def test_an_animation_that_asks_for_too_much(data: bytes, message: str) -> None:
    with pytest.raises(LimitExceeded, match=message):
        list(later_frames(data, 2, Limits(animation_pixels=59_999)))
    assert list(later_frames(data, 1, Limits(animation_pixels=1))) == []


def test_a_frame_that_is_larger_than_the_first() -> None:
    with pytest.raises(LimitExceeded, match="169000000 pixels: the limit is 100000000"):
        list(later_frames(bombs.gif_that_grows(), 3, Limits()))
    pages = [Image.new("L", (10, 10)), Image.new("L", (300, 10))]
    output = io.BytesIO()
    pages[0].save(output, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(LimitExceeded, match="300 pixels a side: the limit is 299"):
        list(later_frames(output.getvalue(), 2, Limits(side=299)))


def test_a_second_picture_of_many_scans() -> None:
    first, second = (Image.effect_noise((64, 64), 50).convert("RGB") for _ in range(2))
    output = io.BytesIO()
    first.save(output, "MPO", save_all=True, append_images=[second])
    whole = output.getvalue()
    begin = whole.rindex(b"\xff\xd8\xff")
    data = whole[:begin] + bombs.jpeg(64, 64, progressive=True)
    assert len(list(later_frames(whole, 2, Limits(jpeg_scans=1)))) == 1
    assert len(list(later_frames(data, 2, Limits(jpeg_scans=10)))) == 1
    with pytest.raises(LimitExceeded, match="10 scans of a JPEG: the limit is 9"):
        list(later_frames(data, 2, Limits(jpeg_scans=9)))


def test_counting_frames_takes_steps() -> None:
    with pytest.raises(LimitExceeded, match="steps of Pillow's Python code: the limit is 1000"):
        list(later_frames(bombs.gif(1, 1, 1000), 2, Limits(steps=1000)))


def test_a_later_page_of_many_strips() -> None:
    output = io.BytesIO()
    Image.new("L", (10, 10)).save(output, "TIFF")
    first = bytearray(output.getvalue())
    first += bytes(len(first) % 2)
    begin, page = len(first), bombs.tiff_of_many_strips(200)[8:]
    fields = int.from_bytes(first[8:10], "little")
    first[10 + 12 * fields : 14 + 12 * fields] = begin.to_bytes(4, "little")
    data = bytes(first) + page
    assert list(later_frames(data, 1, Limits(steps=1000))) == []
    with pytest.raises(LimitExceeded, match="2000 steps of Pillow's Python code: the limit is 1000"):
        list(later_frames(data, 2, Limits(steps=1000)))
