from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from benchmarks.mutated_pictures import watch
from nsfw_caffe.errors import ImageError
from nsfw_caffe.options import ENGINES
from nsfw_caffe.preprocessing.headers import count_jpeg_scans
from nsfw_caffe.preprocessing.jpeg import Ijg9dCodec, PillowCodec
from nsfw_caffe.preprocessing.limits import OPTIONS, Limits
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.preprocessing.steps import preprocess
from tests import bombs
from tests.bombs import BOMBS
from tests.support import PEAK_MEMORY

SECONDS, MEGABYTES = 2, 400


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_a_limit_is_a_whole_number_or_none(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name}=.*: expected a whole number of 1 or more, or None"):
        Limits(**{name: value})  # type: ignore[arg-type]
    assert getattr(Limits.none(), name) is None


@pytest.mark.parametrize("name", BOMBS)
def test_what_asks_for_too_much_is_an_error(name: str) -> None:
    make, message = BOMBS[name]
    with pytest.raises(ImageError) as raised:
        preprocess(make(), PillowCodec())
    assert message in str(raised.value)


CHILD = f"""
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
from nsfw_caffe import Classifier
engine, *paths = sys.argv[1:]
classifier = Classifier(engine=engine)
good = [__import__("PIL.Image").Image.new("RGB", (300, 200))] * 8
assert all(result.score for result in classifier.scan(good, workers=2))
before = {PEAK_MEMORY}
rows = [(str(result.source), result.error, result.seconds) for result in classifier.scan(paths, workers=2)]
workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
print(json.dumps([rows, {PEAK_MEMORY} - before, workers]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_it_costs_an_engine_next_to_nothing(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    for name, (make, _) in BOMBS.items():
        (tmp_path / name).write_bytes(make())
    paths = [str(tmp_path / name) for name in BOMBS] + [str(tmp_path / "webp")] * 4
    run = subprocess.run([sys.executable, "-c", CHILD, engine, *paths], capture_output=True, text=True, check=True)
    rows, grown, worker = json.loads(run.stdout)
    for source, error, _ in rows:
        assert BOMBS[Path(source).name][1] in error
    slow = {Path(source).name: seconds for source, _, seconds in rows if seconds > SECONDS}
    assert set(slow) <= {"png_chunks", "jpeg_segments"}, slow  # the most that is allowed of steps
    assert grown < 150e6  # of the process that has the engine, after good pictures: the files themselves are part of it
    assert worker < MEGABYTES * 1e6


def test_without_limits_it_is_as_in_the_original() -> None:
    narrow = bombs.png(1, 30_001, bytes(2 * 30_001))
    scans = bombs.jpeg_of_many_scans(70, 64)
    for data in (narrow, scans):
        with pytest.raises(ImageError, match=r"the limit is .*Limits\."):
            preprocess(data, PillowCodec())
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        assert (preprocess(data, PillowCodec(), Limits.none()) == preprocess(picture, PillowCodec())).all()


def test_a_limit_can_be_lower() -> None:
    data = bombs.jpeg(64, 48)
    assert preprocess(data, PillowCodec(), Limits(pixels=64 * 48, side=64, jpeg_scans=1, bytes=len(data))) is not None
    for limits in (Limits(pixels=64 * 48 - 1), Limits(side=63), Limits(bytes=len(data) - 1)):
        with pytest.raises(ImageError, match=r"the limit (is|of) .*--max-"):
            preprocess(data, PillowCodec(), limits)


def test_an_opened_picture_is_not_decoded_yet() -> None:
    opened = Image.open(io.BytesIO(bombs.png(1, 30_001)))
    with pytest.raises(ImageError, match="30001 pixels a side"):
        preprocess(opened, PillowCodec())
    many = Image.open(io.BytesIO(bombs.jpeg_of_many_scans(70, 64)))
    with pytest.raises(ImageError, match="scans of a JPEG"):
        preprocess(many, PillowCodec())
    many.load()
    assert preprocess(many, PillowCodec()).shape == (3, 224, 224)
    array = np.zeros((30_001, 2, 3), np.uint8)
    assert preprocess(array, PillowCodec()).shape == (3, 224, 224)  # it is in memory already


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("rows", [0, 1])
def test_counts_scans_as_the_decoder_does(progressive: bool, rows: int) -> None:
    data = bombs.jpeg(progressive=progressive, restart_marker_rows=rows, comment=b"\xff\xda" * 100)
    assert count_jpeg_scans(data) == (10 if progressive else 1)
    assert count_jpeg_scans(data + bombs.jpeg_of_many_scans()) == count_jpeg_scans(data)
    preprocess(data, PillowCodec())
    assert count_jpeg_scans(bombs.jpeg_of_many_scans(70, 64)) == 10 + 70 - 1
    assert count_jpeg_scans(b"") == count_jpeg_scans(b"\xff\xd8\xff\xda\xff") - 1 == 0


def test_both_codecs_have_the_limits() -> None:
    pytest.importorskip("jpeglib")
    with pytest.raises(ImageError, match="scans of a JPEG"):
        preprocess(bombs.jpeg_of_many_scans(70, 64), Ijg9dCodec())


class Toy(ImageFile.ImageFile):
    """A format of the user's own: a width, a height, and bytes of grey."""

    format = "TOY"
    format_description = "toy"

    def _open(self) -> None:
        assert self.fp is not None
        self.fp.read(4)
        vars(self).update(mode="L", _mode="L")  # as older Pillows name it, and newer ones
        self._size = (self.fp.read(1)[0], self.fp.read(1)[0])
        self.tile = [("raw", (0, 0, *self.size), 6, ("L", 0, 1))]  # type: ignore[list-item]  # older Pillows have no _Tile


@pytest.fixture
def toy() -> Iterator[bytes]:
    Image.register_open("TOY", Toy, lambda prefix: prefix.startswith(b"toy!"))
    yield b"toy!\x03\x02" + bytes([10, 20, 30, 40, 50, 60])
    Image.ID.remove("TOY")
    del Image.OPEN["TOY"]


def test_plugins_of_the_user_are_asked(toy: bytes) -> None:
    expected = preprocess(Image.open(io.BytesIO(toy)), PillowCodec())
    assert (preprocess(toy, PillowCodec()) == expected).all()
    with pytest.raises(ImageError, match="6 pixels: the limit is 5"):
        preprocess(toy, PillowCodec(), Limits(pixels=5))


def test_without_the_plugin_it_is_in_no_format() -> None:
    with pytest.raises(ImageError, match="not in any picture format that Pillow knows"):
        preprocess(b"toy!\x03\x02......", PillowCodec())


def test_refused_formats_are_named(tmp_path: Path) -> None:
    for name, data in {
        "EPS": b"\xc5\xd0\xd3\xc6" + bytes(100),
        "WMF": b"\xd7\xcd\xc6\x9a\0\0" + bytes(100),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "GRIB": b"GRIB\0\0\0\1" + bytes(100),
    }.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(data)
        with pytest.raises(ImageError, match=rf"{name}\.jpg: {name} is not read: it is "):
            preprocess(path, PillowCodec())


def test_mutated_pictures() -> None:
    outcome = watch(150, 7, 20, "benchmarks.mutated_pictures")
    assert (outcome.slow, outcome.escapes) == ([], [])
    assert outcome.scored.total() + outcome.errors.total() == 150
    assert min(outcome.scored.total(), outcome.errors.total()) > 20


def test_opens_what_pillow_opens() -> None:
    assert open_picture(bombs.jpeg(), Limits()).format == "JPEG"
