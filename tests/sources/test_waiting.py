"""A file that turns into a pipe, on which nobody writes, between the walk and the reading: nothing waits for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results
from nsfw_caffe.sources.reopening import Sources, SourceUnusable
from tests.cli.test_scan import ENDINGS, ENGINE
from tests.sources.support import PICTURES, pack
from tests.support import PHOTOS, nsfw_caffe

pytestmark = pytest.mark.linux

NOT_REGULAR = "cannot be read (not a regular file)"

SCAN = """
import os, sys
from pathlib import Path
from nsfw_caffe import Classifier
from nsfw_caffe.results.record import Provenance
from nsfw_caffe.sources import find
from nsfw_caffe.sources.find import find_items
from nsfw_caffe.scanning.state import scan_items
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.sources.walk import walk

folder, results, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]

def replacing(*arguments):
    for found in walk(*arguments):
        path = Path(getattr(found, "path", None) or found.source)
        if path.name in names:
            path.unlink()
            os.mkfifo(path)
        yield found

find.walk = replacing
scan_items(
    results,
    find_items([str(folder)], Selection()),
    Classifier(engine="onnxruntime").scan,
    Provenance("onnxruntime", "float32", "exact", 1, "ab" * 32),
)
"""


def test_a_file_that_turns_into_a_pipe_after_the_walk(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    archives = ("d.zip", "e.tar.gz", "f.warc.gz")
    for name in archives:
        pack(folder / name, {"moon.png": PICTURES["moon.png"]})
    for name in ("a.png", "b.png", "z.png"):
        shutil.copy(PHOTOS / "camera.png", folder / name)
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("pipe.png")
    results = tmp_path / "r.jsonl"
    subprocess.run([sys.executable, "-c", SCAN, folder, results, "b.png", *archives], check=True, timeout=120)
    errors = {Path(record.source).name: record.error for record in read_results(results)}
    expected = dict.fromkeys(("b.png", *archives), NOT_REGULAR)
    expected |= dict.fromkeys(("pipe.png", "link.png"), "not a regular file")
    assert errors == expected | dict.fromkeys(("a.png", "z.png"))


def test_pictures_lists_and_results_that_are_pipes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = nsfw_caffe("classify", pipe, "/dev/zero", *ENGINE)
    assert (child.returncode, child.stdout) == (1, "")
    assert child.stderr.splitlines() == [f"nsfw-caffe: {path}: {NOT_REGULAR}" for path in (pipe, "/dev/zero")]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", ["report", "rank", "scan", "evaluate"])
def test_results_that_are_a_pipe(ending: str, command: str, tmp_path: Path) -> None:
    pipe = tmp_path / f"r.{ending}"
    os.mkfifo(pipe)
    arguments = {"scan": (PHOTOS / "moon.png", "-o", pipe, *ENGINE)}.get(command, (pipe,))
    child = nsfw_caffe(command, *arguments)
    assert (child.returncode, child.stdout) == (2 if command == "scan" else 5, "")
    assert "not a regular file" in child.stderr
    with pytest.raises(ResultsError, match="not a regular file"):
        list(read_results(pipe))


def test_a_list_may_be_a_pipe(tmp_path: Path) -> None:
    """It is how a shell gives what a command writes: `--list <(find ...)`."""
    photo = PHOTOS / "moon.png"
    command = f"{sys.executable} -m nsfw_caffe scan --list <(echo {photo}) -o {tmp_path}/r.csv --engine onnxruntime"
    subprocess.run(["bash", "-c", command], check=True, timeout=120)
    assert [record.source for record in read_results(tmp_path / "r.csv")] == [str(photo)]


@pytest.mark.parametrize("name", ["a.png", "a.zip", "a.tar"])
def test_reopening(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    source = str(tmp_path / name) + ("" if name == "a.png" else "!a.png")
    with Sources() as sources, pytest.raises(SourceUnusable):
        next(sources.chunks(source))
