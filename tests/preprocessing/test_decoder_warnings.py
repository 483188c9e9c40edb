from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from nsfw_caffe import Classifier
from tests.support import PHOTOS, needs_atlas, nsfw_caffe, run

TRANSPARENCY = "Palette images with Transparency expressed in bytes should be converted to RGBA images"


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return twenty damaged pictures about each of which libtiff has something else to say, and one of Pillow's."""
    folder = tmp_path_factory.mktemp("noisy")
    photo = Image.open(PHOTOS / "coffee.png").convert("RGB").resize((300, 200))
    random = np.random.default_rng(4)
    for number in range(20):
        stream = io.BytesIO()
        photo.rotate(number).convert("1").save(stream, "TIFF", compression="group4")
        data = bytearray(stream.getvalue())
        data[1000 + 20 * number : 1020 + 20 * number] = random.bytes(20)
        (folder / f"{number:02}.tif").write_bytes(data)
    photo.quantize(32).save(folder / "palette.png", transparency=bytes(range(0, 256, 8)))
    return sorted(folder.iterdir())


def warned(stderr: str) -> dict[str, list[str]]:
    """Return what was said, by the names of pictures; every line has to be of one."""
    found: dict[str, list[str]] = {}
    for line in stderr.splitlines():
        match = re.fullmatch(r"nsfw-caffe: (/\S+): warning: (.+)", line)
        assert match is not None, line
        found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("engine", ["caffe", "onnxruntime"])
def test_each_line_is_said_of_the_right_picture(engine: str, noisy: list[Path], tmp_path: Path) -> None:
    one_by_one = warned(nsfw_caffe("classify", "--verbose", "--engine", "onnxruntime", *noisy[:7], noisy[-1]).stderr)
    assert set(one_by_one) == {str(path) for path in (*noisy[:7], noisy[-1])}
    assert one_by_one[str(noisy[-1])] == [TRANSPARENCY]
    assert all(text.startswith("Fax4Decode: ") for text in one_by_one[str(noisy[0])][:-1])
    results = tmp_path / "results.csv"
    options: list[str | Path] = ["--engine", engine, "--workers", "4", "-o", results]
    together = warned(nsfw_caffe("scan", "--verbose", *options, noisy[0].parent).stderr)
    assert {path: texts for path, texts in together.items() if path in one_by_one} == one_by_one
    child = nsfw_caffe("scan", "--rescore", *options, noisy[0].parent)
    assert (child.returncode, child.stderr) == (0, "")


@pytest.mark.linux
@needs_atlas
def test_libjpeg_9d_is_heard(tmp_path: Path) -> None:
    data = bytearray((PHOTOS / "rocket.jpg").read_bytes())
    for place in np.random.default_rng(1).integers(len(data) // 2, len(data) - 10, 40):
        data[place] ^= 255
    path = tmp_path / "damaged.jpg"
    path.write_bytes(data)
    said = warned(nsfw_caffe("classify", "--verbose", "--published", path).stderr)
    assert said[str(path)][0].startswith("Corrupt JPEG data: ")


def test_workers_give_warnings_in_results(
    classifier: Classifier, noisy: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    results = list(classifier.scan([noisy[0], noisy[-1]], workers=2))
    assert "Fax4Decode: " in results[0].warnings[0]
    assert results[1].warnings == (TRANSPARENCY,)
    assert capfd.readouterr().err == ""


def test_a_users_program_keeps_its_filters_and_its_warnings(portable: Classifier, noisy: list[Path]) -> None:
    before, show = list(warnings.filters), warnings.showwarning
    with pytest.warns(UserWarning, match=TRANSPARENCY):
        (result,) = portable.scan([noisy[-1]])
    assert result.warnings == ()
    assert (warnings.filters, warnings.showwarning) == (before, show)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_scores_where_warnings_are_errors(workers: int, portable: Classifier, noisy: list[Path]) -> None:
    # Before Pillow 13, libtiff left what it could not decode as the memory was.
    pictures = noisy if int(PIL.__version__.split(".")[0]) >= 13 else noisy[-1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = portable.classify_batch(pictures)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        assert portable.classify_batch(pictures, workers=workers) == expected
        assert warnings.filters == before
        image = Image.open(noisy[-1])
        assert portable.classify(image) == expected[-1]
        with pytest.raises(UserWarning):
            warnings.warn("the user's own", stacklevel=1)


def test_what_is_said_of_no_picture_comes_through() -> None:
    code = """
import os, sys, threading, warnings
from nsfw_caffe.preprocessing import decoder_warnings as said
said.keep_apart()
os.write(2, b"C, before\\n")
with said.collected() as texts, said.written():
    thread = threading.Thread(target=lambda: (warnings.warn("another thread"), print("own line", file=sys.stderr)))
    thread.start(), thread.join()
    os.write(2, b"C, of a picture\\n" + b"x" * (1 << 17) + b"\\n")
    warnings.warn("of a picture")
assert texts == ["of a picture", "C, of a picture", 500 * "x"], texts
with said.written():
    os.write(2, b"C, of none\\n")
os.write(2, b"C, after\\n")
"""
    child = run("-c", code)
    assert child.returncode == 0, child.stderr
    lines = child.stderr.splitlines()
    assert [line for line in lines if line.startswith(("C", "own"))] == [
        "C, before",
        "own line",
        "C, of none",
        "C, after",
    ]
    assert "another thread" in child.stderr
    assert "picture" not in child.stderr


def test_a_crash_is_told() -> None:
    code = (
        "import faulthandler; from nsfw_caffe.preprocessing import decoder_warnings as said; said.keep_apart()\n"
        "with said.collected(), said.written(): faulthandler._sigsegv()"
    )
    child = run("-X", "faulthandler", "-c", code)
    assert child.returncode < 0
    assert "Fatal Python error: Segmentation fault" in child.stderr
