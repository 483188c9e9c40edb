from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jpeglib
import numpy as np
import pytest
from PIL import Image

from nsfw_caffe import Classifier
from nsfw_caffe.errors import ImageError
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import FastPillowCodec, Ijg9dCodec, PillowCodec, create_codec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.support import PHOTOS, run


def encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.open(PHOTOS / "coffee.png").convert("RGB").resize((256, 256))


def test_pillow_round_trip_is_pillows_default_jpeg(photo: Image.Image) -> None:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG")
    assert (PillowCodec().round_trip(photo) == np.asarray(Image.open(buffer))).all()


def test_round_trip_carries_no_comment_over(photo: Image.Image) -> None:
    """Pillow would write the source's own, and refuses one that is too long for a JPEG."""
    commented = photo.copy()
    for commented.info["comment"] in (b"short", b"long" * 25_000):
        assert (PillowCodec().round_trip(commented) == PillowCodec().round_trip(photo)).all()


def test_9d_is_another_library_and_close(photo: Image.Image) -> None:
    difference = np.abs(Ijg9dCodec().round_trip(photo).astype(int) - PillowCodec().round_trip(photo))
    assert 0 < difference.max() < 64
    assert difference.mean() < 2


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_9d_decodes_every_mode(mode: str, photo: Image.Image) -> None:
    data = encode(photo.convert(mode))
    picture = Image.open(io.BytesIO(data))
    decoded = Ijg9dCodec().decode_source(picture, data)
    assert (decoded.mode, decoded.size) == (mode, picture.size)
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(picture)).mean() < 2


def test_9d_leaves_other_formats_to_pillow(photo: Image.Image) -> None:
    picture = photo.copy()
    picture.format = "TIFF"
    assert Ijg9dCodec().decode_source(picture, b"") is picture


def test_9d_never_writes_past_its_buffer(photo: Image.Image) -> None:
    """A file that announces another size than the one that Pillow found is refused, not decoded."""
    small = Image.open(io.BytesIO(encode(photo.resize((16, 16)))))
    with pytest.raises(OSError, match="256x256 pixels where Pillow finds 16x16"):
        Ijg9dCodec().decode_source(small, encode(photo))


def test_9d_refusing_what_pillow_decodes_is_an_image_error(photo: Image.Image) -> None:
    class Refusing(Ijg9dCodec):
        def decode_source(self, picture: Image.Image, data: bytes) -> Image.Image:
            return super().decode_source(picture, data[: len(data) // 50])

    with pytest.raises(ImageError, match="cannot be decoded"):
        preprocess(encode(photo), Refusing())


def test_9d_needs_no_temporary_folder(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    data = encode(photo)
    assert preprocess(data, Ijg9dCodec()).shape == (3, 224, 224)


def test_9d_does_not_switch_the_process(photo: Image.Image) -> None:
    jpeglib.version.set("6b")
    Ijg9dCodec().round_trip(photo)
    assert jpeglib.version.get() == "6b"


def test_9d_in_several_threads(photo: Image.Image) -> None:
    codec = Ijg9dCodec()
    sources = [encode(photo.rotate(angle)) for angle in range(0, 90, 15)] * 5
    serial = [preprocess(source, codec) for source in sources]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(lambda source: preprocess(source, codec), sources))
    assert all((a == b).all() for a, b in zip(serial, parallel, strict=True))


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("x86_64", "pip install '.[published]'"),
        ("aarch64", "cannot be had on Linux on aarch64: it comes with the package"),
    ],
)
def test_missing_jpeglib_says_how_to_get_it(machine: str, said: str) -> None:
    child = run(
        "-c",
        "import platform, sys; sys.modules['jpeglib'] = None\n"
        f"platform.machine = lambda: '{machine}'\n"
        "from nsfw_caffe import EngineUnavailable\n"
        "from nsfw_caffe.preprocessing.jpeg import Ijg9dCodec\n"
        "try: Ijg9dCodec()\n"
        "except EngineUnavailable as error: print(error)",
    )
    assert said in child.stdout


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((1023, 2000), (1023, 2000)),
        ((1024, 1024), (512, 512)),
        ((1025, 1999), (513, 1000)),
        ((2047, 2048), (1024, 1024)),
        ((4000, 3000), (1000, 750)),
        ((4097, 5000), (513, 625)),
        ((9000, 8500), (1125, 1063)),
        ((600, 9000), (600, 9000)),
    ],
)
def test_fast_leaves_no_side_below_512(
    mode: str, size: tuple[int, int], decoded: tuple[int, int], photo: Image.Image
) -> None:
    picture = Image.open(io.BytesIO(encode(photo.resize(size).convert(mode))))
    fast = FastPillowCodec().decode_source(picture, b"")
    assert (fast.mode, fast.size) == (mode, decoded)
    assert fast.getpixel((0, 0)) is not None


def test_fast_changes_large_jpeg_files_alone(photo: Image.Image) -> None:
    large, small = photo.resize((2000, 1500)), photo.resize((700, 500))
    fast, exact = create_codec("pillow", "fast"), create_codec("pillow", "exact")
    files = {}
    for name, picture, options in (
        ("large.jpg", large, {"format": "JPEG"}),
        ("large.mpo", large, {"format": "MPO", "save_all": True, "append_images": [small]}),
        ("small.jpg", small, {"format": "JPEG"}),
        ("large.png", large, {"format": "PNG"}),
        ("large.webp", large, {"format": "WEBP"}),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        files[name] = buffer.getvalue()
    changed = [name for name, data in files.items() if (preprocess(data, fast) != preprocess(data, exact)).any()]
    assert changed == ["large.jpg", "large.mpo"]
    for name in changed:
        assert np.abs(preprocess(files[name], fast) - preprocess(files[name], exact)).mean() < 2
        opened = Image.open(io.BytesIO(files[name]))
        assert (preprocess(opened, fast) == preprocess(files[name], exact)).all()
        assert opened.size == large.size


def test_fast_on_a_truncated_file(photo: Image.Image) -> None:
    data = encode(photo.resize((2000, 1500)))
    with pytest.raises(ImageError, match="cannot be decoded"):
        preprocess(data[: len(data) // 2], FastPillowCodec())


@pytest.mark.parametrize(
    ("jpeg", "decode", "message"),
    [
        ("turbo", "exact", "jpeg='turbo': expected one of pillow, ijg9d"),
        ("pillow", "quick", "decode='quick': expected one of exact, fast"),
        ("ijg9d", "fast", "decode='fast' goes with jpeg='pillow'"),
    ],
)
def test_codecs_that_there_are_not(jpeg: Any, decode: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScoringOptions(jpeg=jpeg, decode=decode)
    with pytest.raises(ValueError, match=message):
        Classifier(jpeg=jpeg, decode=decode)


def test_what_9d_cannot_read_is_said_in_plain_words(capfd: pytest.CaptureFixture[str]) -> None:
    codec = create_codec("ijg9d", "exact")
    with Image.open(PHOTOS / "rocket.jpg") as picture, pytest.raises(OSError, match="IJG libjpeg 9d cannot decode it"):
        codec.decode_source(picture, b"no JPEG at all")
    capfd.readouterr()  # the C library's line
