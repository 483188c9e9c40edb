"""That what a scan has found survives a kill or a loss of power: the order of things, as the system is told of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe import Classifier
from nsfw_caffe.errors import ScanStopped
from nsfw_caffe.results.formats import read_results, sidecar, write_results
from nsfw_caffe.results.record import Record
from nsfw_caffe.scanning.journal import delete_journal
from nsfw_caffe.scanning.locking import locked
from nsfw_caffe.scanning.state import scan_items
from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.selection import Selection
from tests.records import scored
from tests.scanning.test_state import SET_UP
from tests.support import PHOTOS


class KilledError(Exception):
    """What stands for a kill."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return what the system has been told, in its order: it does it all the same."""
    calls: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def spied_fsync(descriptor: int) -> None:
        calls.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def spied_replace(source: str, target: str, **others: int) -> None:
        calls.append(("replace", os.fspath(target)))
        replace(source, target, **others)

    def spied_unlink(path: str, **others: int) -> None:
        calls.append(("unlink", os.fspath(path)))
        unlink(path, **others)

    monkeypatch.setattr(os, "fsync", spied_fsync)
    monkeypatch.setattr(os, "replace", spied_replace)
    monkeypatch.setattr(os, "unlink", spied_unlink)
    return calls


@pytest.mark.linux
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_results_are_on_the_disk_before_they_get_their_name_and_the_name_after(
    ending: str, tmp_path: Path, told: list[tuple[str, str]]
) -> None:
    results = tmp_path / f"r.{ending}"
    write_results(results, [scored("a")])
    part, folder = str(sidecar(results, "part")), str(tmp_path)
    ours = [call for call in told if call in (("fsync", part), ("replace", str(results)), ("fsync", folder))]
    assert ours == [("fsync", part), ("replace", str(results)), ("fsync", folder)]


def _scan(results: Path, portable: Classifier, done: Callable[[Record, bool], None], *, rescore: bool = False) -> None:
    sources = [str(PHOTOS / name) for name in ("camera.png", "moon.png", "rocket.jpg")]
    scan_items(
        results,
        find_items(sources, Selection()),
        lambda sources: portable.scan(sources, workers=1),
        SET_UP,
        rescore=rescore,
        done=done,
    )


@pytest.mark.linux
def test_the_journal_goes_when_results_are_on_the_disk(
    tmp_path: Path, portable: Classifier, told: list[tuple[str, str]]
) -> None:
    results = tmp_path / "r.csv"
    _scan(results, portable, lambda *_: None)
    kept = told.index(("fsync", str(tmp_path)))
    assert told.index(("replace", str(results))) < kept < told.index(("unlink", str(sidecar(results, "journal"))))


@pytest.mark.parametrize("rescore", [False, True])
def test_a_long_scan_shows_what_it_has_but_never_while_it_scores_anew(
    rescore: bool, tmp_path: Path, portable: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "r.csv"
    before = [scored("old", 0.25, **SET_UP._asdict())]
    write_results(results, before)
    monkeypatch.setattr("nsfw_caffe.scanning.state._COMMIT_EVERY", 0.0)
    monkeypatch.setattr("nsfw_caffe.scanning.state._PUBLISH_EVERY", 0.0)
    monkeypatch.setattr("nsfw_caffe.scanning.state._PUBLISH_SHARE", 1e9)
    seen: list[int] = []

    def done(record: Record, new: bool) -> None:  # noqa: ARG001
        rows = list(read_results(results))
        assert not rescore or rows == before
        seen.append(len(rows))

    _scan(results, portable, done, rescore=rescore)
    assert seen == ([1, 1, 1] if rescore else [1, 2, 3])
    assert len(list(read_results(results))) == (3 if rescore else 4)


@pytest.mark.parametrize("closed", [True, False])
def test_results_that_somebody_has_open_are_written_later(
    closed: bool, tmp_path: Path, portable: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows has it, which replaces no such file: in time for the end, or in the next scan."""
    results = tmp_path / "r.csv"
    monkeypatch.setattr("nsfw_caffe.scanning.state._COMMIT_EVERY", 0.0)
    monkeypatch.setattr("nsfw_caffe.scanning.state._PUBLISH_EVERY", 0.0)
    monkeypatch.setattr("nsfw_caffe.scanning.state._PUBLISH_SHARE", 1e9)
    replace, refused = Path.replace, 0

    def refuse(path: Path, target: Path) -> Path:
        nonlocal refused
        if closed and refused == 3:
            return replace(path, target)
        refused += 1
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        if closed:
            _scan(results, portable, lambda *_: None)
        else:
            with pytest.raises(ScanStopped, match="what was scored is kept"):
                _scan(results, portable, lambda *_: None)
    assert refused == (3 if closed else 5)
    assert results.exists() == closed
    known: list[bool] = []
    _scan(results, portable, lambda _, new: known.append(not new))
    assert known == [True] * 3
    assert [record.error for record in read_results(results)] == [None] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_journal_is_never_left_without_its_log(kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the log it would go for a whole one; so it goes first, wherever the deletion is broken off."""
    journal = tmp_path / ".r.csv.journal"
    names = [journal.name, f"{journal.name}-wal", f"{journal.name}-shm"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    unlink, count = Path.unlink, 0

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal count
        if count == kept:
            raise KilledError
        count += 1
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        if kept < len(names):
            with pytest.raises(KilledError):
                delete_journal(journal)
        else:
            delete_journal(journal)
    left = {entry.name for entry in tmp_path.iterdir()}
    assert len(left) == len(names) - kept
    assert journal.name not in left or left == set(names)


@pytest.mark.linux
@pytest.mark.parametrize("another", [False, True])
def test_a_lock_on_a_deleted_file_keeps_nobody_out(
    another: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last holder deletes the file between this one's opening and locking it, and a third one may make it anew."""
    import fcntl

    results = tmp_path / "r.csv"
    path = sidecar(results, "lock")
    flock, tries = fcntl.flock, 0

    def overtaken(descriptor: int, operation: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            path.unlink()
            if another:
                path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with locked(results):
        assert tries == 2
        with pytest.raises(ScanStopped), locked(results):
            pass
