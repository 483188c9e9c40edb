from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from nsfw_caffe.commands import sort
from nsfw_caffe.results.formats import write_results
from tests.commands.running import run
from tests.records import failed, of_content, of_file
from tests.support import PHOTOS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder, the current one, with three photos in folders, an archive, and results of all of them."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for name, photo, score in (("a", "rocket.jpg", 0.9), ("b", "coffee.png", 0.8), ("c", "chelsea.png", 0.1)):
        path = Path("photos", name, photo)
        path.parent.mkdir(parents=True)
        path.write_bytes((PHOTOS / photo).read_bytes())
        rows.append(of_file(path, score))
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.write(PHOTOS / "rocket.jpg", "in/rocket.jpg")
    rows.append(of_content("z.zip!in/rocket.jpg", (PHOTOS / "rocket.jpg").read_bytes(), score=0.9))
    rows.append(failed("photos/bad.jpg", "the file is empty"))
    write_results(tmp_path / "results.csv", rows)
    return tmp_path


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


FILES = {"photos/a/rocket.jpg", "photos/b/coffee.png", "photos/c/chelsea.png", "z.zip", "results.csv"}


def test_without_yes_it_only_says_what_it_would_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sort, "results.csv", "--threshold", "0.8", "--move", "to") == 0
    out, err = capsys.readouterr()
    size = (folder / "photos/a/rocket.jpg").stat().st_size + (folder / "photos/b/coffee.png").stat().st_size
    assert out.splitlines() == [
        "photos/a/rocket.jpg -> to/photos/a/rocket.jpg",
        "photos/b/coffee.png -> to/photos/b/coffee.png",
        f"would move 2 pictures, {size / 1000:.1f} kB; 0 there already, 1 skipped;"
        " nothing has been done: add --yes to do it",
    ]
    assert err.startswith("nsfw-caffe: skipped z.zip!in/rocket.jpg: a member of an archive: copy it")
    assert tree(folder) == FILES


def test_a_move(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sort, "results.csv", "--threshold", "0.85", "--move", "to", "--yes") == 1
    assert tree(folder) == FILES - {"photos/a/rocket.jpg"} | {"to/photos/a/rocket.jpg"}
    assert capsys.readouterr().out.endswith("\nmoved 1 picture, 112.5 kB; 0 there already, 1 skipped\n")


def test_a_copy_and_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copies = {"to/photos/a/rocket.jpg", "to/photos/b/coffee.png", "to/z.zip!/in/rocket.jpg"}
    for number in range(2):
        assert run(sort, "results.csv", "--threshold", "0.8", "--copy", "to", "--yes") == 0
        assert tree(folder) == FILES | copies
        out, err = capsys.readouterr()
        assert err == ""
        assert len(out.splitlines()) == (4, 1)[number]
    assert out == "copied 0 pictures, 0 B; 3 there already, 0 skipped\n"


def test_links_to_those_below(folder: Path) -> None:
    assert run(sort, "results.csv", "--threshold", "0.8", "--below", "--link", "to", "--yes") == 0
    assert tree(folder) == FILES | {"to/photos/c/chelsea.png"}
    assert (folder / "to/photos/c/chelsea.png").readlink() == folder / "photos/c/chelsea.png"


def test_an_interrupted_move_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "to/photos/a").mkdir(parents=True)
    (folder / "photos/a/rocket.jpg").rename(folder / "to/photos/a/rocket.jpg")
    assert run(sort, "results.csv", "--threshold", "0.8", "--move", "to", "--yes") == 1  # for the archive's member
    assert "moved 1 picture" in (out := capsys.readouterr().out)
    assert "1 there already, 1 skipped" in out
    assert tree(folder) == FILES - {"photos/a/rocket.jpg", "photos/b/coffee.png"} | {
        "to/photos/a/rocket.jpg",
        "to/photos/b/coffee.png",
    }


@pytest.mark.parametrize(
    "options",
    [
        ["--threshold", "0.8"],
        ["--move", "to"],
        ["--threshold", "0.8", "--move", "to", "--copy", "to"],
        ["--threshold", "8", "--move", "to"],
        ["--threshold", "0.8", "--move", "results.csv"],
    ],
)
def test_wrong_usage(options: list[str], folder: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(sort, "results.csv", "--yes", *options)
    assert tree(folder) == FILES
