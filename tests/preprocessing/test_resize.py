"""The C extension against Pillow, one axis a call: the bits are the same, whatever the picture and the CPU."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nsfw_caffe.preprocessing import _resize
from nsfw_caffe.preprocessing.resize import PATHS, Pixels, resize, resize_by_extension, resize_by_pillow
from tests.support import PHOTOS, run

LONGEST = 8000
EDGES = (1, 2, 3, 4, 5, 7, 8, 9, 127, 128, 129, 254, 255, 256, 257, 258, 511, 512, 513, 1023, 1025)
LARGE = [(8000, 6000), (6000, 8000), (4000, 3000), (3024, 4032), (1, 60_000), (60_000, 1), (3, 9000), (9000, 3)]


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.mark.linux
def test_paths_are_those_of_this_cpu() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    vectorised = [path for path, flag in (("avx2", "avx2"), ("sse4.1", "sse4_1")) if flag in flags]
    assert (*vectorised, "c") == PATHS


def noise(random: np.random.Generator, width: int, height: int) -> Pixels:
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def extremes(random: np.random.Generator, width: int, height: int) -> Pixels:
    return random.integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255)


def flat(random: np.random.Generator, width: int, height: int) -> Pixels:
    return np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)


def gradient(random: np.random.Generator, width: int, height: int) -> Pixels:  # noqa: ARG001
    across = np.linspace(0, 255, width)[np.newaxis, :, np.newaxis]
    down = np.linspace(255, 0, height)[:, np.newaxis, np.newaxis]
    return np.concatenate([across + 0 * down, down + 0 * across, (across + down) / 2], axis=2).astype(np.uint8)


def photo(random: np.random.Generator, width: int, height: int) -> Pixels:
    names = ("astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png")
    picture = decoded(names[random.integers(len(names))])
    return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST))


@functools.cache
def decoded(name: str) -> Image.Image:
    return Image.open(PHOTOS / name).convert("RGB")


CONTENTS: tuple[Callable[[np.random.Generator, int, int], Pixels], ...] = (noise, extremes, flat, gradient, photo)


def sizes(random: np.random.Generator) -> Iterator[tuple[int, int]]:
    yield from ((width, height) for width in EDGES for height in EDGES)
    for _ in range(800):
        width = int(2 ** random.uniform(0, 13))
        yield min(width, LONGEST), max(1, min(int(2 ** random.uniform(0, 13)), LONGEST, 300_000 // width))


def assert_same(pixels: Pixels, kinds: slice = slice(2)) -> None:
    """Hold every path, from an image and from an array or from one of these kinds, against Pillow."""
    picture = Image.fromarray(pixels)
    expected = resize_by_pillow(picture).tobytes()
    sources: tuple[Image.Image | Pixels, ...] = (picture, pixels)
    for path in PATHS:
        for source in sources[kinds]:
            found = resize_by_extension(source, path)
            assert (found.mode, found.size) == ("RGB", (256, 256))
            assert found.tobytes() == expected, (pixels.shape, type(source), path)


@pytest.mark.slow
def test_thousands_of_sizes_and_contents() -> None:
    random = np.random.default_rng(0)
    for number, (width, height) in enumerate(sizes(random)):
        assert_same(CONTENTS[number % len(CONTENTS)](random, width, height))


@pytest.mark.slow
def test_widths_and_heights_one_by_one() -> None:
    """Each size up to four times the result's, where windows are short, and every ninth beyond.

    Images and arrays take turns: a size's windows do not depend on where the pixels come from.
    """
    random = np.random.default_rng(1)
    for size in (*range(1, 1025), *range(1025, LONGEST, 9)):
        width, height = (size, 1) if size % 2 else (1, size)
        kind = size // 2 % 2
        assert_same(noise(random, width, height), slice(kind, kind + 1))


@pytest.mark.parametrize("size", LARGE, ids=str)
def test_large_pictures(size: tuple[int, int]) -> None:
    assert_same(noise(np.random.default_rng(2), *size))


def test_millions_of_pixels_in_a_row() -> None:
    assert_same(np.full((2, 3_000_000, 3), 255, np.uint8))


def test_the_fastest_path_is_the_default() -> None:
    pixels = noise(np.random.default_rng(3), 700, 500)
    expected = np.asarray(resize_by_pillow(pixels))
    for source in (pixels, Image.fromarray(pixels)):
        assert (np.asarray(resize(source)) == expected).all()


def test_the_horizontal_pass_comes_first() -> None:
    # Tall enough that newer Pillows would take the vertical pass first in one call.
    picture = Image.fromarray(noise(np.random.default_rng(4), 300, 4000))
    rows = picture.resize((256, 4000), Image.Resampling.BILINEAR)
    columns = rows.resize((256, 256), Image.Resampling.BILINEAR)
    assert (np.asarray(resize(picture)) == np.asarray(columns)).all()


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda a: a.swapaxes(0, 1),
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[:, :, ::-1],
        lambda a: a[3:400:2, 5:-7:3],
        lambda a: a[:, :3],
        lambda a: np.broadcast_to(a[:1, :1], (300, 200, 3)),
        lambda a: np.dstack([a, a])[:, :, 1:4],
        lambda a: np.dstack([a, a])[:, :, ::2],
    ],
    ids=range(10),
)
def test_arrays_of_any_strides(view: Callable[[Pixels], Pixels], path: str) -> None:
    pixels = view(noise(np.random.default_rng(5), 640, 480))
    pixels.flags.writeable = False
    expected = np.asarray(resize_by_pillow(pixels))
    assert (np.asarray(resize_by_extension(pixels, path)) == expected).all()


def test_an_array_that_ends_at_a_page(tmp_path: Path, path: str) -> None:
    """Nothing is read beyond the last pixel: the page after it does not exist."""
    for width in (1, 2, 3, 4, 5, 16, 128, 512, 4096):
        file = np.memmap(tmp_path / str(width), np.uint8, "w+", shape=3 * 4096 * 4)
        for channels in (3, 4):
            rows = file.size // (width * channels)
            pixels = file[file.size - rows * width * channels :].reshape(rows, width, channels)
            found = _resize.resize([pixels], width, rows, path)
            assert found == bytes(256 * 256 * 4)


def test_strips_of_every_kind_and_length(path: str) -> None:
    picture = Image.fromarray(noise(np.random.default_rng(6), 301, 223))
    expected = resize_by_pillow(picture).tobytes("raw", "RGBX")
    pixels = np.asarray(picture)
    padded = np.asarray(Image.frombytes("RGBX", picture.size, picture.tobytes("raw", "RGBX")))
    for rows in (1, 2, 3, 4, 5, 7, 64, 222, 223):
        tops = range(0, 223, rows)
        strips: list[list[Any]] = [[source[top : top + rows] for top in tops] for source in (pixels, padded)]
        strips.append([pixels[:0], *strips[0]])
        for kind in strips:
            found = np.frombuffer(_resize.resize(iter(kind), 301, 223, path), np.uint8).reshape(256, 256, 4)
            assert (found[:, :, :3] == np.frombuffer(expected, np.uint8).reshape(256, 256, 4)[:, :, :3]).all()


def test_a_picture_in_a_buffer_of_the_users(path: str) -> None:
    memory = np.random.default_rng(7).integers(0, 256, (300, 400, 4), dtype=np.uint8)
    for options in (("RGBX", 0, 1), ("RGBX", 0, -1), ("RGBX", 1600, 1)):
        picture = Image.frombuffer("RGB", (390 if options[1] else 400, 300), memory.tobytes(), "raw", *options)
        found = resize_by_extension(picture, path).tobytes()
        assert found == resize_by_pillow(picture.convert("RGB")).convert("RGB").tobytes()


def test_pillow_without_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Pillow 11.2."""
    monkeypatch.delattr(Image.Image, "__arrow_c_array__", raising=False)
    for width, height in ((1, 1), (640, 480), (4000, 300), (300, 4000)):
        assert_same(noise(np.random.default_rng(8), width, height))


def test_threads(path: str) -> None:
    random = np.random.default_rng(9)
    pictures = [noise(random, int(random.integers(1, 1500)), int(random.integers(1, 1500))) for _ in range(40)]
    expected = [resize_by_pillow(picture).tobytes() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = pool.map(lambda picture: resize_by_extension(picture, path).tobytes(), pictures)
            assert list(found) == expected


def test_other_threads_run_meanwhile() -> None:
    pixels = np.zeros((6000, 8000, 3), np.uint8)
    thread = threading.Thread(target=lambda: resize_by_extension(pixels, "c"))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
    assert turns > 1000


def test_pillow_does_it_where_the_extension_is_absent() -> None:
    script = """
import hashlib, sys
{block}
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.preprocessing.resize import PATHS
print(bool(PATHS), *(hashlib.sha256(preprocess(path, PillowCodec()).tobytes()).hexdigest() for path in sys.argv[1:]))
import numpy, PIL.Image
picture = PIL.Image.open(sys.argv[1]).convert("RGB")
print(*(hashlib.sha256(preprocess(source, PillowCodec())).hexdigest() for source in (picture, numpy.asarray(picture))))
"""
    photos = [PHOTOS / name for name in ("coffee.png", "rocket.jpg", "retina.jpg")]
    blocked = "sys.modules['nsfw_caffe.preprocessing._resize'] = None"
    with_extension, without = (run("-c", script.format(block=block), *photos) for block in ("", blocked))
    assert with_extension.returncode == without.returncode == 0, with_extension.stderr + without.stderr
    assert with_extension.stdout.split()[0] == "True"
    assert without.stdout.split()[0] == "False"
    assert with_extension.stdout.split()[1:] == without.stdout.split()[1:]


def _strip(*shape: int, dtype: type = np.uint8) -> npt.NDArray[Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("strips", "width", "height", "message"),
    [
        ([], 0, 5, "0x5 pixels"),
        ([], 5, 0, "5x0 pixels"),
        ([], -5, 5, "-5x5 pixels"),
        ([], 2**29, 1, "536870912x1 pixels"),
        ([], 5, 5, "fewer rows"),
        ([_strip(4, 5, 3)], 5, 5, "fewer rows"),
        ([_strip(6, 5, 3)], 5, 5, "more rows"),
        ([_strip(3, 5, 3), _strip(3, 5, 3)], 5, 5, "more rows"),
        ([_strip(5, 4, 3)], 5, 5, "uint8, of shape"),
        ([_strip(5, 5, 2)], 5, 5, "uint8, of shape"),
        ([_strip(5, 5, 5)], 5, 5, "uint8, of shape"),
        ([_strip(5, 5)], 5, 5, "uint8, of shape"),
        ([b"x" * 75], 5, 5, "uint8, of shape"),
        ([_strip(5, 5, 3, dtype=np.int8)], 5, 5, "uint8, of shape"),
        ([_strip(5, 5, 3, dtype=np.bool_)], 5, 5, "uint8, of shape"),
        ([_strip(5, 5, 3, dtype=np.float32)], 5, 5, "uint8, of shape"),
    ],
)
def test_wrong_strips(strips: list[Any], width: int, height: int, message: str, path: str) -> None:
    with pytest.raises(ValueError, match=message):
        _resize.resize(strips, width, height, path)


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="iterable"):
        _resize.resize(5, 5, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bytes-like"):
        _resize.resize(["text"], 5, 5)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="path 'avx1024'"):
        _resize.resize([], 5, 5, "avx1024")
    with pytest.raises(ZeroDivisionError):
        _resize.resize((_strip(1 // (2 - row), 5, 3) for row in range(5)), 5, 5)


@pytest.mark.parametrize("capsules", [(), (1,), (1, 2), ("schema", "array", "more")], ids=repr)
def test_tuples_that_are_no_arrow_array(capsules: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        _resize.resize([capsules], 5, 5)


@pytest.mark.skipif(not hasattr(Image.Image, "__arrow_c_array__"), reason="Pillow gives Arrow arrays since 11.2")
@pytest.mark.parametrize(("mode", "size"), [("L", (5, 5)), ("I;16", (5, 5)), ("F", (5, 5)), ("RGB", (4, 3))])
def test_arrow_arrays_of_another_form(mode: str, size: tuple[int, int]) -> None:
    array = Image.new(mode, size).__arrow_c_array__()
    with pytest.raises(ValueError, match="whole rows"):
        _resize.resize([array], 5, 5)
    with pytest.raises(ValueError, match="PyCapsule"):
        _resize.resize([array[::-1]], 5, 5)


@pytest.mark.linux
def test_no_memory() -> None:
    script = """
import resource, nsfw_caffe.preprocessing._resize as extension
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for size in ((200_000_000, 1), (1, 200_000_000)):
    try:
        extension.resize([], *size)
    except MemoryError:
        print("MemoryError")
"""
    child = run("-c", script)
    assert (child.stdout, child.stderr) == ("MemoryError\nMemoryError\n", "")
