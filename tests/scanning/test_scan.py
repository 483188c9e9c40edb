"""Scanning in one call from Python."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import nsfw_caffe
from nsfw_caffe import Classifier, Record
from nsfw_caffe.errors import ResultsError, ScanStopped
from tests.sources.support import PICTURES, pack
from tests.support import PHOTOS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(PHOTOS / "rocket.jpg", folder)
    shutil.copy(PHOTOS / "coffee.png", folder)
    (folder / "broken.jpg").write_bytes(b"broken")
    pack(folder / "x.tar.gz", {"moon.png": PICTURES["moon.png"]})
    return folder


def test_a_folder_is_scored_once_and_its_own_file_is_no_source(folder: Path, portable: Classifier) -> None:
    results = folder / "r.csv"  # among its sources
    first = nsfw_caffe.scan(folder, results, classifier=portable)
    assert (first.output, first.sources, first.scored, first.errors, first.known) == (results, 4, 3, 1, 0)
    assert str(first) == "4 sources, 3 scored, 1 errors"
    records = list(first.records())
    assert records == list(nsfw_caffe.read_results(str(results)))
    assert [record.source.removeprefix(f"{folder}/") for record in records] == [
        "broken.jpg", "coffee.png", "rocket.jpg", "x.tar.gz!moon.png"
    ]  # fmt: skip
    assert records[2].score == portable.classify(folder / "rocket.jpg")
    assert records[3].score == portable.classify(PICTURES["moon.png"])
    shutil.copy(PHOTOS / "horse.png", folder)
    again = nsfw_caffe.scan(str(folder), str(results), classifier=portable, workers=1)
    assert str(again) == "5 sources, 4 scored, 1 errors, 4 of them known before"
    assert [record for record in again.records() if "horse" not in record.source] == records


def test_progress_is_told_with_how_many_there_will_be(folder: Path, tmp_path: Path, portable: Classifier) -> None:
    (folder / "x.tar.gz").unlink()  # which would have to be read to know
    told: list[tuple[Record, int | None]] = []
    result = nsfw_caffe.scan(
        [folder], tmp_path / "r.jsonl", classifier=portable, progress=lambda record, total: told.append((record, total))
    )
    assert [record for record, _ in told] == list(result.records())
    assert {total for _, total in told} <= {None, 3}
    assert told[-1][1] == 3


def test_scores_of_other_frames_are_not_mixed_but_replaced(folder: Path, tmp_path: Path, portable: Classifier) -> None:
    results = tmp_path / "r.csv"
    nsfw_caffe.scan(folder, results, classifier=portable, include="*.png")
    with pytest.raises(ResultsError, match=r"frames=1, and this scan is with frames=2: .*resume=False"):
        nsfw_caffe.scan(folder, results, classifier=portable, frames=2)
    anew = nsfw_caffe.scan(folder, results, classifier=portable, frames=2, resume=False, exclude=["*.tar.gz", "b*"])
    assert anew.known == 0
    assert {Path(record.source).name: record.frames for record in anew.records()} == {"coffee.png": 2, "rocket.jpg": 2}


@pytest.mark.parametrize(("ending", "module"), [("zip", "zips"), ("tar.gz", "tars")])
def test_members_that_are_known_are_not_read(
    ending: str, module: str, tmp_path: Path, portable: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    read = importlib.import_module(f"nsfw_caffe.sources.{module}")._read_member

    def spied(opened: Any, member: Any) -> bytes:
        names.append(getattr(member, "filename", None) or member.name)
        content: bytes = read(opened, member)
        return content

    monkeypatch.setattr(f"nsfw_caffe.sources.{module}._read_member", spied)
    archive = pack(tmp_path / f"x.{ending}", {name: PICTURES[name] for name in ("moon.png", "horse.png")})
    assert nsfw_caffe.scan(archive, tmp_path / "r.csv", classifier=portable).scored == 2
    assert names == ["moon.png", "horse.png"]
    assert nsfw_caffe.scan(archive, tmp_path / "r.csv", classifier=portable).known == 2
    assert names == ["moon.png", "horse.png"]


def test_errors_are_scored_again_where_that_is_asked(folder: Path, tmp_path: Path, portable: Classifier) -> None:
    options: dict[str, Any] = {"classifier": portable, "include": "*.jpg", "exclude": "*.gz"}
    assert nsfw_caffe.scan(folder, tmp_path / "r.csv", **options).known == 0
    assert nsfw_caffe.scan(folder, tmp_path / "r.csv", **options).known == 2
    assert nsfw_caffe.scan(folder, tmp_path / "r.csv", retry=True, **options).known == 1


def test_one_path_that_is_not_there_is_refused_and_one_of_many_is_a_row(tmp_path: Path, portable: Classifier) -> None:
    with pytest.raises(ScanStopped, match=r"missing: cannot be read \(no such file or folder\)"):
        nsfw_caffe.scan(tmp_path / "missing", tmp_path / "r.csv", classifier=portable)
    assert not list(tmp_path.iterdir())
    sources = (path for path in (tmp_path / "missing", PHOTOS / "rocket.jpg"))
    result = nsfw_caffe.scan(sources, tmp_path / "r.csv", classifier=portable)
    assert [record.error for record in result.records()] == ["cannot be read (No such file or directory)", None]


@pytest.mark.parametrize(
    ("sources", "options", "error", "message"),
    [
        ([b"a picture"], {}, TypeError, "expected paths, found bytes"),
        ([], {"frames": 0}, ValueError, "frames=0"),
        ([], {"workers": 0}, ValueError, "workers=0"),
    ],
)
def test_wrong_arguments(
    sources: Any, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path, portable: Classifier
) -> None:
    with pytest.raises(error, match=message):
        nsfw_caffe.scan(sources, tmp_path / "r.csv", classifier=portable, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["r.txt", "missing/r.csv"])
def test_output_is_looked_at_before_a_model_is_loaded(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsfw_caffe.scanning.scan.default_classifier", lambda: pytest.fail("a model was loaded"))
    with pytest.raises(ResultsError):
        nsfw_caffe.scan(folder, tmp_path / name)


def test_the_default_classifier_scores_where_none_is_given(
    folder: Path, tmp_path: Path, portable: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsfw_caffe.scanning.scan.default_classifier", lambda: portable)
    assert nsfw_caffe.scan(folder, tmp_path / "r.csv").scored == 3
