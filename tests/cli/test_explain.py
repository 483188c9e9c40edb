"""`nsfw-caffe explain`, with the real network."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe import Classifier
from nsfw_caffe.explain import overlay
from tests.cli.running import call
from tests.explain.networks import OWN, write
from tests.support import PHOTOS, nsfw_caffe

COFFEE = PHOTOS / "coffee.png"
ENGINE = ("--engine", "onnxruntime")


def same(path: Path, drawn: Image.Image) -> bool:
    """Tell whether a file has the pixels of a picture."""
    return np.array_equal(np.asarray(Image.open(path)), np.asarray(drawn))


def test_score_and_places(capsys: pytest.CaptureFixture[str], portable: Classifier, tmp_path: Path) -> None:
    found = portable.explain(COFFEE)
    child = call(capsys, "explain", COFFEE, *ENGINE, "-o", tmp_path / "heat.png")
    assert (child.returncode, child.stderr) == (0, "")
    first, second, *rows = child.stdout.splitlines()
    assert first == f"{found.score!r}\t{COFFEE}"
    assert second.startswith(f"log-odds of nsfw against sfw: {found.log_odds:.2f}; ")
    places = np.array([[float(word) for word in row.split()] for row in rows])
    assert np.abs(places - found.heat_map - found.bias).max() <= 0.051
    assert same(tmp_path / "heat.png", overlay(COFFEE, found))


def test_fine_places_are_put_together(capsys: pytest.CaptureFixture[str], portable: Classifier) -> None:
    found = portable.explain(COFFEE, detail="fine")
    child = call(capsys, "explain", "--fine", COFFEE, *ENGINE)
    _, second, _, *rows = child.stdout.splitlines()
    assert found.score_range is not None
    assert second == "of shifted crops: {:.4f} to {:.4f}".format(*found.score_range)
    places = np.array([[float(word) for word in row.split()] for row in rows])
    assert places.shape == (8, 8)
    assert places[0, 0] == pytest.approx(found.heat_map[:4, :4].mean() + found.bias, abs=0.051)


def test_standard_input_as_json(portable: Classifier, tmp_path: Path) -> None:
    drawn = tmp_path / "heat.png"
    child = nsfw_caffe("explain", "-", "--json", "-o", drawn, *ENGINE, stdin=COFFEE.read_bytes())
    assert child.returncode == 0, child.stderr
    assert json.loads(child.stdout) == {"source": "-", **portable.explain(COFFEE).to_json()}
    assert same(drawn, overlay(COFFEE, portable.explain(COFFEE)))
    child = nsfw_caffe("explain", "-", "--max-size", "1", *ENGINE, stdin=bytes(2 << 20))
    assert (child.returncode, child.stdout) == (1, "")
    assert child.stderr.startswith("nsfw-caffe: -: ")


def test_nothing_is_replaced_by_a_slip(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    content = COFFEE.read_bytes()
    photo.write_bytes(content)
    for options, message in (
        (("-o", photo), "is there already; --force replaces it"),
        (("-o", tmp_path / "heat.jpg"), "the picture's name has to end in .png"),
        (("-o", tmp_path / "none/heat.png"), "there is no folder"),
        (("--force",), "--force goes with -o"),
    ):
        child = call(capsys, "explain", photo, *options, *ENGINE)
        assert child.returncode == 2
        assert message in child.stderr
    assert photo.read_bytes() == content
    assert call(capsys, "explain", photo, "-o", photo, "--force", *ENGINE).returncode == 0
    assert photo.read_bytes() != content


def test_what_is_no_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    child = call(capsys, "explain", tmp_path / "missing.jpg", "-o", tmp_path / "heat.png", *ENGINE)
    assert (child.returncode, child.stdout) == (1, "")
    assert "missing.jpg: cannot be read" in child.stderr
    assert not (tmp_path / "heat.png").exists()


def test_a_model_without_a_map(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = write(tmp_path, OWN.replace("pool: AVE", "pool: MAX").replace("num_output: 3", "num_output: 2"))
    arguments = ("--prototxt", files.prototxt, "--caffemodel", files.caffemodel)
    child = call(capsys, "explain", COFFEE, *ENGINE, *arguments)
    assert (child.returncode, child.stdout) == (3, "")
    assert "it does not average" in child.stderr


def test_limits_are_those_of_the_score(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (400, 300)).save(file, "PNG")
    (tmp_path / "photo.png").write_bytes(file.getvalue())
    child = call(capsys, "explain", tmp_path / "photo.png", "--max-pixels", "1000", *ENGINE)
    assert child.returncode == 1
    assert "120000 pixels: the limit is 1000" in child.stderr
