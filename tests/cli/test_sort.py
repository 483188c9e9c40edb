from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.cli import sort
from nsfw_caffe.results.formats import write_results
from tests.cli.running import run
from tests.records import failed, of_content, of_file
from tests.support import PHOTOS, REPOSITORY


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


def test_the_plan_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, state in (((), "ready"), (("--yes",), "done"), ((), "before")):
        capsys.readouterr()
        assert run(sort, "results.csv", "--threshold", "0.85", "--copy", "to", "--json", *options) == 0
        assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
            {"source": source, "target": f"to/{target}", "state": state, "reason": None}
            for source, target in (
                ("photos/a/rocket.jpg", "photos/a/rocket.jpg"),
                ("z.zip!in/rocket.jpg", "z.zip!/in/rocket.jpg"),
            )
        ]
    (folder / "photos/b/coffee.png").unlink()
    assert run(sort, "results.csv", "--threshold", "0.8", "--move", "there", "--json", "--yes") == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["state"], row["reason"]) for row in found[:2]] == [("done", None), ("skipped", "it has gone")]


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


@pytest.fixture(params=["one file system", "two file systems"])
def many(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Return results of many files, each of which has content of its own, and a folder for targets."""
    (tmp_path / "from").mkdir()
    for number in range(_MANY):
        (tmp_path / "from" / f"{number}.jpg").write_bytes(_content(number))
    rows = [of_file(tmp_path / "from" / f"{number}.jpg") for number in range(_MANY)]
    write_results(tmp_path / "results.csv", rows)
    if request.param == "one file system":
        yield tmp_path / "results.csv", tmp_path / "to"
        return
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    other = Path(tempfile.mkdtemp(dir=shared))
    yield tmp_path / "results.csv", other
    shutil.rmtree(other)


_MANY = 150


def _content(number: int) -> bytes:
    return number.to_bytes(4, "big") * 20_000


def start(results: Path, to: Path) -> subprocess.Popen[str]:
    code = "import sys; from nsfw_caffe.cli import sort; from tests.cli.running import run\n"
    code += "sys.exit(run(sort, *sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(results), "--threshold", "0.5", "--move", str(to), "--yes"]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(*folders: Path) -> list[bytes]:
    return sorted(path.read_bytes() for folder in folders for path in folder.rglob("*.jpg"))


@pytest.mark.linux
def test_a_move_that_is_killed_loses_nothing_and_goes_on(many: tuple[Path, Path]) -> None:
    results, to = many
    source = results.parent / "from"
    child = start(results, to)
    assert child.stdout is not None
    import fcntl

    # So little fits into the pipe that it cannot get to its end, and yet it is at work again when it is killed.
    fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, 4096)
    for _ in range(2):
        assert os.read(child.stdout.fileno(), 4096)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert set(contents(source, to)) == {_content(number) for number in range(_MANY)}
    assert contents(source)
    assert run(sort, results, "--threshold", "0.5", "--move", to, "--yes") == 0
    assert (contents(source), contents(to)) == ([], [_content(number) for number in range(_MANY)])


def test_two_moves_at_a_time_lose_nothing(many: tuple[Path, Path]) -> None:
    results, to = many
    children = [start(results, to) for _ in range(2)]
    for child in children:
        _, errors = child.communicate()
        assert "Traceback" not in errors
    assert contents(results.parent / "from", to) == [_content(number) for number in range(_MANY)]


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
