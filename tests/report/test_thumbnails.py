from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe import ScoreError
from nsfw_caffe.report.thumbnails import SIDE, shrink, thumbnails
from nsfw_caffe.sources.reopening import SourceUnusable
from tests import bombs
from tests.records import of_content, of_file, scored
from tests.support import PHOTOS

COFFEE, ROCKET = PHOTOS / "coffee.png", PHOTOS / "rocket.jpg"


def decode(uri: str | None) -> Image.Image:
    assert uri is not None
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_small_and_in_order() -> None:
    made = thumbnails([of_file(COFFEE), of_file(ROCKET)])
    for thumbnail, path in zip(made, (COFFEE, ROCKET), strict=True):
        picture = decode(thumbnail.uri)
        assert max(picture.size) == SIDE
        assert picture.size == (thumbnail.width, thumbnail.height)
        assert (thumbnail.source, thumbnail.missing) == (str(path), None)


@pytest.mark.parametrize("pattern", ["page.png", "text.png", "chessboard_GRAY.png", "astronaut.png", "brick.png"])
def test_blurred_nothing_fine_is_left(pattern: str) -> None:
    content = (PHOTOS / pattern).read_bytes()
    clear, blurred = (np.asarray(shrink(content, clear=clear).convert("L"), float) for clear in (True, False))
    assert clear.shape == blurred.shape
    assert _share_of_details(blurred) < 1e-3 * max(_share_of_details(clear), 0.01)


def _share_of_details(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Return how much of a picture's energy, but for its mean, is in waves shorter than an eighth of its side."""
    window = np.outer(np.hanning(pixels.shape[0]), np.hanning(pixels.shape[1]))
    power = np.abs(np.fft.fft2((pixels - pixels.mean()) * window)) ** 2
    rows, columns = (np.abs(np.fft.fftfreq(length)) * length for length in pixels.shape)
    fine = np.maximum(rows[:, np.newaxis], columns[np.newaxis]) > 8
    return float(power[fine].sum() / power.size)


def test_pictures_that_differ_in_details_alone_are_the_same_blurred() -> None:
    # Ten squares a side of the same mean, whatever is in them: not even their sum is left to compute from.
    flat = np.full((160, 160), 128, np.uint8)
    checks = np.where(np.indices((160, 160)).sum(axis=0) % 2, 255, 1).astype(np.uint8)
    assert shrink(_png(flat)).tobytes() == shrink(_png(checks)).tobytes()


def test_clear_on_demand() -> None:
    (thumbnail,) = thumbnails([of_file(ROCKET)], clear=True)
    with Image.open(ROCKET) as rocket:
        expected = np.asarray(rocket.resize((thumbnail.width, thumbnail.height)), float)
    assert np.abs(np.asarray(decode(thumbnail.uri), float) - expected).mean() < 5


def test_nothing_but_pixels_goes_along() -> None:
    output = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    with Image.open(ROCKET) as rocket:
        rocket.save(output, "JPEG", exif=exif, comment=b"SECRET comment", icc_profile=b"SECRET profile")
    assert output.getvalue().count(b"SECRET") == 3
    picture = shrink(output.getvalue(), clear=True)
    output = io.BytesIO()
    picture.save(output, "JPEG")
    assert b"SECRET" not in output.getvalue()


def test_a_member_of_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(ROCKET, "in/rocket.jpg")
    row = of_content(f"{archive}!in/rocket.jpg", ROCKET.read_bytes())
    (member,), (file_itself,) = thumbnails([row]), thumbnails([of_file(ROCKET)])
    assert member.uri == file_itself.uri


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it has changed since it was scored"), (ROCKET.read_bytes() + b"\0", "it has changed since it was scored")],
)
def test_what_has_changed_is_not_shown(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(ROCKET.read_bytes())
    row = of_file(path)
    path.write_bytes(content)
    (thumbnail,) = thumbnails([row])
    assert (thumbnail.uri, thumbnail.missing) == (None, why)


def test_what_is_gone_stops_nothing(tmp_path: Path) -> None:
    gone, there = thumbnails([scored(str(tmp_path / "gone.jpg"), 0.9), of_file(ROCKET)])
    assert (gone.uri, gone.missing) == (None, "it has gone")
    assert there.uri is not None


def test_what_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no picture")
    (thumbnail,) = thumbnails([of_file(path)])
    assert (thumbnail.uri, thumbnail.missing) == (None, "it cannot be decoded")


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2000, 1), (1, 2000)])
def test_odd_shapes(size: tuple[int, int]) -> None:
    picture = shrink(_png(np.zeros((size[1], size[0]), np.uint8)))
    assert max(picture.size) <= SIDE
    assert min(picture.size) >= 1


def test_no_picture_is_said_so() -> None:
    with pytest.raises(SourceUnusable, match="it cannot be decoded"):
        shrink(b"GIF89a")
    with pytest.raises(SourceUnusable, match="it is too large: 268402689 pixels: the limit is"):
        shrink(bombs.webp())


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    output = io.BytesIO()
    Image.fromarray(pixels).save(output, "PNG")
    return output.getvalue()


def test_by_name_alone(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(COFFEE, "coffee.png")
    text = tmp_path / "secret.txt"
    text.write_text("no picture")
    names = [str(ROCKET), f"{archive}!coffee.png", str(text), str(tmp_path / "gone.jpg"), "http://127.0.0.1/a.jpg"]
    made = thumbnails(names)
    assert [thumbnail.source for thumbnail in made] == names
    assert [thumbnail.missing for thumbnail in made] == [
        None,
        None,
        "it cannot be decoded",
        "it has gone",
        "it has gone",
    ]
    assert made[0].uri == thumbnails([of_file(ROCKET)])[0].uri
    assert thumbnails(names[:1], clear=True)[0].uri == thumbnails([of_file(ROCKET)], clear=True)[0].uri


def test_what_a_gallery_shows() -> None:
    there, gone = thumbnails([str(ROCKET), "gone.jpg"])
    assert f"<strong>0.5</strong><bdi>{ROCKET}</bdi>" in there.to_html("0.5")
    assert there.uri is not None
    assert f'<img src="{there.uri}"' in there.to_html("0.5")
    assert gone.uri is None
    assert "<strong>0.5</strong><bdi>gone.jpg (it has gone)</bdi>" in gone.to_html("0.5")


def test_heat_maps_lie_over_what_is_shown_and_no_more() -> None:
    """The file is explained, and the blurred thumbnail is coloured: the page must not hold the picture that way."""
    given = []

    def colour(content: bytes, picture: Image.Image) -> tuple[Image.Image, float]:
        given.append((content, picture.copy()))
        return Image.new("RGB", picture.size, "red"), 0.5

    for clear in (True, False):
        (made,) = thumbnails([str(COFFEE)], clear=clear, colour=colour)
        content, picture = given.pop()
        assert content == COFFEE.read_bytes()
        assert picture == shrink(content, clear=clear)
        assert made.heat_map is not None
        assert np.asarray(decode(made.heat_map.uri))[:, :, 0].min() > 240
        assert made.heat_map.text == "heat map of 0.5000"
        assert made.to_html("0.5").count("<img") == 2


def test_a_picture_that_cannot_be_explained_says_why() -> None:
    def colour(content: bytes, picture: Image.Image) -> tuple[Image.Image, float]:  # noqa: ARG001
        raise ScoreError("photo.jpg", "the <model> is at fault")

    (made,) = thumbnails([str(COFFEE)], colour=colour)
    html = made.to_html("0.5")
    assert "no heat map" in html
    assert "the &lt;model&gt; is at fault" in html
    (missing,) = thumbnails(["missing.jpg"], colour=colour)
    assert missing.heat_map is None
