"""Bad pictures, each in a child process: an ImageError that names the source, no abort, and a Classifier that goes on.

Bad models are in tests/engines/test_caffe.py, in child processes too.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from nsfw_caffe import Classifier
from tests.support import PHOTOS, run

GOOD = PHOTOS / "coffee.png"

CHILD = """
import io, sys
import numpy as np
from PIL import Image
import nsfw_caffe

bad, good = {expression}, sys.argv[2]
classifier = nsfw_caffe.Classifier(engine="caffe")
try:
    classifier.classify(bad)
except nsfw_caffe.ImageError as error:
    print(error)
(result,) = classifier.scan([bad])
assert result.score is None and result.error, result
print(classifier.classify(good))
"""


def bomb() -> bytes:
    """Return a PNG of 60,000 x 60,000 black pixels in half a megabyte."""
    buffer = io.BytesIO()
    Image.new("1", (60_000, 60_000)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"this is not a picture\n",
    "truncated.jpg": lambda: (PHOTOS / "rocket.jpg").read_bytes()[:50_000],
    "truncated.png": lambda: GOOD.read_bytes()[:100_000],
    "header.gif": lambda: b"GIF89a",
    "bomb.png": bomb,
}

FILE_MESSAGES = {
    "empty.jpg": "the file is empty",
    "text.jpg": "not in any picture format",
    "truncated.jpg": "truncated",
    "truncated.png": "truncated",
    "header.gif": "not in any picture format",
    "bomb.png": "3600000000 pixels: the limit is 100000000",
}


def check(expression: str, argument: Path, source: str, message: str, classifier: Classifier) -> None:
    child = run("-c", CHILD.format(expression=expression), argument, GOOD)
    assert child.returncode == 0, child.stderr
    error, score = child.stdout.splitlines()
    assert error.startswith(f"{source}: ")
    assert message in error
    assert float(score) == classifier.classify(GOOD)


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, tmp_path: Path, classifier: Classifier) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    check("sys.argv[1]", path, str(path), FILE_MESSAGES[name], classifier)


def test_directory(tmp_path: Path, classifier: Classifier) -> None:
    check("sys.argv[1]", tmp_path, str(tmp_path), "Is a directory", classifier)


def test_missing_file(tmp_path: Path, classifier: Classifier) -> None:
    path = tmp_path / "missing.jpg"
    check("sys.argv[1]", path, str(path), "No such file or directory", classifier)


@pytest.mark.parametrize(
    ("expression", "source", "message"),
    [
        ("np.zeros((0, 0, 3), np.uint8)", "<array uint8 (0, 0, 3)>", "no pixels"),
        ("np.zeros((9, 9, 3))", "<array float64 (9, 9, 3)>", "must be uint8"),
        ("np.full((9, 9, 3), np.nan, np.float32)", "<array float32 (9, 9, 3)>", "must be uint8"),
        ("np.zeros((9, 9, 4), np.uint8)", "<array uint8 (9, 9, 4)>", "(height, width, 3)"),
        ("np.zeros((9, 9), np.uint8)", "<array uint8 (9, 9)>", "(height, width, 3)"),
        ("Image.new('RGB', (0, 9))", "<Image>", "no pixels"),
        ("b'nonsense'", "<8 bytes>", "not in any picture format"),
        ("io.BytesIO(b'')", "<BytesIO>", "the file is empty"),
    ],
)
def test_object(expression: str, source: str, message: str, classifier: Classifier) -> None:
    check(expression, Path("unused"), source, message, classifier)
