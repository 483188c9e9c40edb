from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe import Classifier, Result
from nsfw_caffe.errors import EngineUnavailable, ResultsError, ScanStopped
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.preprocessing.steps import Source
from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import Provenance, Record
from nsfw_caffe.scanning.locking import locked
from nsfw_caffe.scanning.state import scan_items
from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.selection import Selection
from tests import bombs
from tests.sources.test_item import animation
from tests.support import PHOTOS

SET_UP = Provenance("onnxruntime", "float32", "exact", 1, "ab" * 32, device="cpu")


class Scan:
    """Scans a folder with the real engine, and counts what is scored."""

    def __init__(self, results: Path, classifier: Classifier) -> None:
        self.results = results
        self.classifier = classifier
        self.scored = 0
        self.done: list[tuple[Record, bool]] = []
        self.stop: BaseException | None = None

    def score(self, sources: Iterable[Source]) -> Generator[Result, None, None]:
        for result in self.classifier.scan(sources, workers=2):
            if self.stop is not None and self.scored == 2:
                raise self.stop
            self.scored += 1
            yield result

    def stopped(self, *folders: Path, error: BaseException, set_up: Provenance = SET_UP, rescore: bool = False) -> None:
        """Scan until two pictures are scored."""
        self.stop = error
        with pytest.raises(type(error)):
            self(*folders, set_up=set_up, rescore=rescore)
        self.stop = None

    def __call__(
        self,
        *folders: Path,
        set_up: Provenance = SET_UP,
        rescore: bool = False,
        retry: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> list[Record]:
        self.scored, self.done = 0, []
        scan_items(
            self.results,
            find_items(map(str, folders), Selection()),
            self.score,
            set_up,
            rescore=rescore,
            retry=retry,
            limits=limits,
            done=lambda record, new: self.done.append((record, new)),
        )
        return self.records()

    def records(self) -> list[Record]:
        return list(read_results(self.results))

    @property
    def new(self) -> list[str]:
        return [Path(record.source).name for record, new in self.done if new]


@pytest.fixture
def do_scan(tmp_path: Path, portable: Classifier) -> Scan:
    return Scan(tmp_path / "results.jsonl", portable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        shutil.copy(PHOTOS / name, folder)
    shutil.copy(PHOTOS / "rocket.jpg", folder / "again.jpg")
    (folder / "broken.jpg").write_bytes(b"broken")
    (folder / "empty.jpg").write_bytes(b"")
    return folder


def left_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.name.startswith((".", "_")))


def test_scores_are_those_of_the_classifier_and_every_column_is_right(do_scan: Scan, folder: Path) -> None:
    records = {Path(record.source).name: record for record in do_scan(folder)}
    assert sorted(records) == sorted(path.name for path in folder.iterdir())
    rocket = records["rocket.jpg"]
    data = (folder / "rocket.jpg").read_bytes()
    assert rocket.score == do_scan.classifier.classify(data)
    assert (rocket.width, rocket.height, rocket.format, rocket.bytes) == (640, 427, "JPEG", len(data))
    assert rocket.mtime == (folder / "rocket.jpg").stat().st_mtime
    assert rocket.set_up == SET_UP
    assert rocket.seconds is not None
    assert 0 < rocket.seconds < 60
    assert records["broken.jpg"].error == "not in any picture format that Pillow knows"
    assert records["empty.jpg"].error == "the file is empty"
    assert records["empty.jpg"].sha256 is not None
    assert not left_in(folder.parent)


def test_identical_content_is_scored_once_in_a_run_and_over_runs(do_scan: Scan, folder: Path, tmp_path: Path) -> None:
    records = {Path(record.source).name: record for record in do_scan(folder)}
    assert do_scan.scored == 5
    assert records["again.jpg"].score == records["rocket.jpg"].score
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "more").mkdir()
    shutil.copy(folder / "broken.jpg", other / "more")
    assert len(do_scan(other)) == 13
    assert do_scan.scored == 0
    assert len(do_scan.new) == 7


def test_only_what_is_new_or_has_changed_is_read_again(do_scan: Scan, folder: Path) -> None:
    before = {record.source: record for record in do_scan(folder)}
    assert do_scan(folder) == list(before.values())
    assert do_scan.new == []
    shutil.copy(PHOTOS / "astronaut.png", folder / "rocket.jpg")
    shutil.copy(PHOTOS / "page.png", folder / "new.png")
    os.utime(folder / "coffee.png", (1, 1))
    after = {record.source: record for record in do_scan(folder)}
    assert sorted(do_scan.new) == ["coffee.png", "new.png", "rocket.jpg"]
    assert do_scan.scored == 2  # coffee.png has its old content
    changed = {Path(source).name for source in after if after[source] != before.get(source)}
    assert changed == {"coffee.png", "new.png", "rocket.jpg"}


def test_a_result_of_content_outlives_the_source_that_it_was_found_in(do_scan: Scan, folder: Path) -> None:
    """One source loses a content in the same run in which another one gets it."""
    do_scan(folder)
    rocket = (folder / "rocket.jpg").read_bytes()
    for name in ("again.jpg", "rocket.jpg"):
        shutil.copy(PHOTOS / "astronaut.png", folder / name)
    (folder / "z.jpg").write_bytes(rocket)
    records = {Path(record.source).name: record for record in do_scan(folder)}
    assert records["z.jpg"].score == do_scan.classifier.classify(rocket)
    assert records["rocket.jpg"].score == do_scan.classifier.classify(PHOTOS / "astronaut.png")


def test_what_could_not_be_read_is_tried_again(do_scan: Scan, folder: Path) -> None:
    (folder / "dangling.jpg").symlink_to(folder / "later.jpg")
    first = {Path(record.source).name: record for record in do_scan(folder)}
    assert first["dangling.jpg"].error is not None
    assert "No such file" in first["dangling.jpg"].error
    shutil.copy(PHOTOS / "page.png", folder / "later.jpg")
    second = {Path(record.source).name: record for record in do_scan(folder)}
    assert second["dangling.jpg"].score == second["later.jpg"].score is not None


def test_errors_are_retried_where_that_is_asked_for(do_scan: Scan, folder: Path) -> None:
    shutil.copy(folder / "broken.jpg", folder / "broken too.jpg")
    do_scan(folder)
    records = do_scan.records()
    out_of_memory = [row if row.score is None else dataclasses.replace(row, score=None, error="x") for row in records]
    write_results(do_scan.results, out_of_memory)
    assert do_scan(folder) == out_of_memory
    again = do_scan(folder, retry=True)
    assert [(row.source, row.score, row.error) for row in again] == [
        (row.source, row.score, row.error) for row in records
    ]
    assert do_scan.scored == 5
    do_scan(folder, retry=True)
    assert sorted(do_scan.new) == ["broken too.jpg", "broken.jpg", "empty.jpg"]


def test_a_picture_that_vanishes_between_finding_and_reading(do_scan: Scan, folder: Path) -> None:
    items = list(find_items([str(folder)], Selection()))
    (folder / "rocket.jpg").unlink()
    scan_items(do_scan.results, items, do_scan.score, SET_UP)
    errors = {Path(record.source).name: record.error for record in do_scan.records()}
    assert errors["rocket.jpg"] == "cannot be read (No such file or directory)"
    assert errors["again.jpg"] is None
    assert len(errors) == 6


@pytest.mark.parametrize("change", Provenance._fields)
def test_another_set_up_is_refused_or_scored_anew(do_scan: Scan, folder: Path, change: str) -> None:
    before = do_scan(folder)
    content = do_scan.results.read_bytes()
    value: Any = {"frames": 4, "every": 0.5}.get(change, "other")
    other = SET_UP._replace(**{change: value})
    with pytest.raises(
        ResultsError, match=rf"results\.jsonl was made with {change}=.* is with {change}={value}: .*--rescore"
    ):
        do_scan(folder, set_up=other)
    assert do_scan.results.read_bytes() == content
    assert not left_in(folder.parent)
    after = do_scan(folder, set_up=other, rescore=True)
    assert [record.source for record in after] == [record.source for record in before]
    assert {record.set_up for record in after} == {other}
    assert do_scan.scored == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineUnavailable("the workers are gone")], ids=repr)
def test_stopped_it_leaves_results_and_goes_on(do_scan: Scan, folder: Path, error: BaseException) -> None:
    do_scan.stopped(folder, error=error)
    assert len(do_scan.records()) == 2
    do_scan(folder)
    assert len(do_scan.records()) == 6
    assert do_scan.scored == 3
    assert not left_in(folder.parent)


def test_stopped_while_it_scores_anew_the_old_results_stay(do_scan: Scan, folder: Path) -> None:
    before = do_scan(folder)
    other = SET_UP._replace(engine="caffe")
    do_scan.stopped(folder, error=KeyboardInterrupt(), set_up=other, rescore=True)
    assert do_scan.records() == before
    with pytest.raises(ResultsError, match=r"the scan of it that was broken off was made with engine=caffe"):
        do_scan(folder)
    do_scan(folder, set_up=other, rescore=True)
    assert do_scan.scored == 3
    assert {record.engine for record in do_scan.records()} == {"caffe"}


class Killed(BaseException):
    """What stands for a kill: nothing in the scan is made to expect it."""


@pytest.mark.parametrize("rescore", [False, True])
def test_killed_before_results_are_written_anew(
    do_scan: Scan, folder: Path, rescore: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is in the journal, and RESULTS is an older one."""
    do_scan(folder)
    shutil.copy(PHOTOS / "page.png", folder / "new.png")
    set_up = SET_UP._replace(engine="caffe") if rescore else SET_UP

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("nsfw_caffe.scanning.state.write_results", killed)
        with pytest.raises(Killed):
            do_scan(folder, set_up=set_up, rescore=rescore)
    assert len(do_scan.records()) == 6
    assert len(do_scan(folder, set_up=set_up)) == 7
    assert do_scan.scored == 0
    assert {record.set_up for record in do_scan.records()} == {set_up}
    assert not left_in(folder.parent)


def test_results_that_others_changed_meanwhile(do_scan: Scan, folder: Path) -> None:
    do_scan.stopped(folder, error=KeyboardInterrupt())
    write_results(do_scan.results, do_scan.records()[:1])
    with pytest.raises(ResultsError, match=r"has been changed since .* delete .*\.results\.jsonl\.journal to go on"):
        do_scan(folder)
    (do_scan.results.parent / ".results.jsonl.journal").unlink()
    assert len(do_scan(folder)) == 6


def test_results_deleted_after_a_stop_come_back(do_scan: Scan, folder: Path) -> None:
    do_scan.stopped(folder, error=KeyboardInterrupt())
    do_scan.results.unlink()
    assert len(do_scan(folder)) == 6
    assert do_scan.scored == 3


def test_results_that_cannot_be_read_are_left_alone(do_scan: Scan, folder: Path) -> None:
    do_scan.results.write_text("my diary\n")
    with pytest.raises(ResultsError, match=r"results\.jsonl"):
        do_scan(folder)
    assert do_scan.results.read_text() == "my diary\n"
    assert not left_in(folder.parent)


def test_one_scan_at_a_time(do_scan: Scan, folder: Path) -> None:
    with locked(do_scan.results), pytest.raises(ScanStopped, match="another scan is at work"):
        do_scan(folder)
    assert len(do_scan(folder)) == 6


def test_long_scans_publish_between(do_scan: Scan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def score(sources: Iterable[Source]) -> Iterator[Result]:
        for result in do_scan.classifier.scan(sources, workers=1):
            seen.append(len(do_scan.records()) if do_scan.results.exists() else 0)
            yield result

    monkeypatch.setattr("nsfw_caffe.scanning.state._COMMIT_EVERY", 0)
    monkeypatch.setattr("nsfw_caffe.scanning.state._PUBLISH_EVERY", 0)
    monkeypatch.setattr("nsfw_caffe.scanning.state._PUBLISH_SHARE", 1e9)
    monkeypatch.setattr(do_scan, "score", score)
    do_scan(folder)
    assert seen == [0, 1, 2, 3, 4]


def test_frames_take_the_highest_score(tmp_path: Path, do_scan: Scan, portable: Classifier) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    levels = [0, 40, 250, 90]
    (folder / "a.gif").write_bytes(animation(levels))
    (folder / "b.gif").write_bytes(animation([levels[0]]))
    (folder / "c.gif").write_bytes(b"broken")
    shutil.copy(PHOTOS / "rocket.jpg", folder / "d.jpg")
    scores = [portable.classify(animation([level])) for level in levels]
    assert max(scores) > scores[0]
    first = do_scan(folder)
    assert [record.score for record in first[:2]] == [scores[0], scores[0]]
    records = do_scan(folder, set_up=SET_UP._replace(frames=4), rescore=True)
    assert [record.score for record in records[:2]] == [max(scores), scores[0]]
    assert [record.error for record in records] == [None, None, "not in any picture format that Pillow knows", None]
    assert [dataclasses.replace(record, frames=1, seconds=0, scored_at="") for record in records[1:]] == [
        dataclasses.replace(record, seconds=0, scored_at="") for record in first[1:]
    ]


def test_what_asks_for_too_much_is_an_error_until_the_limit_is_raised(tmp_path: Path, do_scan: Scan) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.gif").write_bytes(animation([0, 40, 250, 90]))
    (folder / "b.webp").write_bytes(bombs.webp())
    set_up = SET_UP._replace(frames=4)
    errors = [record.error for record in do_scan(folder, set_up=set_up, limits=Limits(animation_pixels=4799))]
    assert errors == [
        "4800 pixels in 4 frames: the limit is 4799 (Limits.animation_pixels, --max-animation-pixels)",
        "268402689 pixels: the limit is 100000000 (Limits.pixels, --max-pixels)",
    ]
    assert [record.error for record in do_scan(folder, set_up=set_up)] == errors
    assert [record.error for record in do_scan(folder, set_up=set_up, retry=True)] == [None, errors[1]]


def test_more_known_content_than_the_queue_takes(
    tmp_path: Path, do_scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsfw_caffe.scanning.score._LONGEST_QUEUE", 5)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(40):
        source = PHOTOS / ("rocket.jpg" if number % 13 else "page.png")
        shutil.copy(source, folder / f"{number:02}.jpg")
    records = do_scan(folder)
    assert do_scan.scored == 2
    assert [record.source for record in records] == sorted(str(path) for path in folder.iterdir())
    expected = [do_scan.classifier.classify(path) for path in sorted(folder.iterdir())]
    assert [record.score for record in records] == expected


def test_no_sources_at_all_is_an_empty_file(do_scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert do_scan(tmp_path / "folder") == []
    assert do_scan.results.exists()
