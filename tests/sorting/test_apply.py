from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.results.record import Record
from nsfw_caffe.sorting.apply import apply
from nsfw_caffe.sorting.plan import Action
from nsfw_caffe.sorting.preview import Outcome, preview
from nsfw_caffe.sources.reopening import Sources
from tests.records import of_content, of_file

DONE, BEFORE, READY = Outcome("done"), Outcome("before"), Outcome("ready")
TAKEN = Outcome("skipped", "there is another file at the target")
CHANGED = Outcome("skipped", "it has changed since it was scored")
GONE = Outcome("skipped", "it has gone")

ACTIONS: list[Action] = ["move", "copy", "link"]


def put(path: Path, content: bytes = b"a picture") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1.5e9, 1_500_000_000.123456789))
    return path


def do(record: Record, target: Path, action: Action) -> Outcome:
    with Sources() as sources:
        return apply(record, target, action, sources)


def everything(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writing beyond this size fail, as it does on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["one file system", "two file systems"])
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Return a folder for sources and one for targets."""
    if request.param == "one file system":
        yield tmp_path / "from", tmp_path / "to"
        return
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    other = Path(tempfile.mkdtemp(dir=shared))
    yield tmp_path / "from", other / "to"
    shutil.rmtree(other)


def test_a_move(folders: tuple[Path, Path]) -> None:
    source, target = put(folders[0] / "a.jpg"), folders[1] / "in" / "a.jpg"
    source.chmod(0o640)
    record, before = of_file(source), source.stat()
    assert preview(record, target, "move") == READY
    assert not target.exists()
    assert do(record, target, "move") == DONE
    assert everything(folders[0]) == {}
    assert everything(folders[1]) == {"in/a.jpg": b"a picture"}
    assert (target.stat().st_mtime_ns, target.stat().st_mode) == (before.st_mtime_ns, before.st_mode)
    assert do(record, target, "move") == BEFORE


def test_a_copy(folders: tuple[Path, Path]) -> None:
    source, target = put(folders[0] / "a.jpg"), folders[1] / "a.jpg"
    record = of_file(source)
    assert do(record, target, "copy") == DONE
    assert (everything(folders[0]), everything(folders[1])) == ({"a.jpg": b"a picture"}, {"a.jpg": b"a picture"})
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert not source.samefile(target)
    assert do(record, target, "copy") == BEFORE
    source.unlink()
    assert do(record, target, "copy") == BEFORE


def test_a_link(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    put(folders[0] / "a.jpg")
    monkeypatch.chdir(folders[0])
    record, target = of_file(Path("a.jpg")), folders[1] / "a.jpg"
    assert do(record, target, "link") == DONE
    assert str(target.readlink()) == str(folders[0] / "a.jpg")
    assert do(record, target, "link") == BEFORE


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_overwritten(action: Action, folders: tuple[Path, Path]) -> None:
    source, target = put(folders[0] / "a.jpg"), put(folders[1] / "a.jpg", b"an older ")
    record = of_file(source)
    assert preview(record, target, action) == TAKEN
    assert do(record, target, action) == TAKEN
    assert (source.read_bytes(), target.read_bytes()) == (b"a picture", b"an older ")
    assert list(everything(folders[1])) == ["a.jpg"]


@pytest.mark.linux
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", ["folder", "dangling link", "pipe"])
def test_whatever_is_at_the_target_stays(kind: str, action: Action, tmp_path: Path) -> None:
    source, target = put(tmp_path / "a.jpg"), tmp_path / "target"
    if kind == "folder":
        target.mkdir()
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.symlink_to("nowhere")
    before = target.lstat()
    assert do(of_file(source), target, action) == TAKEN
    assert os.path.samestat(before, target.lstat())
    assert source.read_bytes() == b"a picture"


@pytest.mark.parametrize("action", ACTIONS)
def test_what_has_changed_is_left_alone(action: Action, folders: tuple[Path, Path]) -> None:
    source, target = put(folders[0] / "a.jpg"), folders[1] / "a.jpg"
    record = of_file(source)
    source.write_bytes(b"a picturf")  # of the same length, but of another time
    assert preview(record, target, action) == CHANGED
    assert do(record, target, action) == CHANGED
    put(source, b"longer than it was")
    assert do(record, target, action) == CHANGED
    assert everything(folders[1]) == {}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_has_gone(action: Action, tmp_path: Path) -> None:
    record = of_file(put(tmp_path / "a.jpg"))
    (tmp_path / "a.jpg").unlink()
    assert preview(record, tmp_path / "to", action) == GONE
    assert do(record, tmp_path / "to", action) == GONE


@pytest.mark.parametrize("action", ["copy", "move"])
def test_content_that_changed_behind_its_times_is_left_alone(action: Action, folders: tuple[Path, Path]) -> None:
    source, target = put(folders[0] / "a.jpg"), folders[1] / "a.jpg"
    record = of_file(source)
    put(source, b"a pictura")
    assert preview(record, target, action) == READY
    assert do(record, target, action) == CHANGED
    assert (everything(folders[0]), everything(folders[1])) == ({"a.jpg": b"a pictura"}, {})


def test_a_move_that_was_interrupted_goes_on(folders: tuple[Path, Path]) -> None:
    """Between two file systems: the copy is whole, and the source still there."""
    source, target = put(folders[0] / "a.jpg"), put(folders[1] / "a.jpg")
    record = of_file(source)
    assert preview(record, target, "move") == READY
    assert do(record, target, "move") == DONE
    assert (everything(folders[0]), everything(folders[1])) == ({}, {"a.jpg": b"a picture"})


def test_a_move_that_was_interrupted_between_its_two_names(tmp_path: Path) -> None:
    source, target = put(tmp_path / "a.jpg"), tmp_path / "b.jpg"
    record = of_file(source)
    os.link(source, target)
    assert do(record, target, "move") == DONE
    assert everything(tmp_path) == {"b.jpg": b"a picture"}


def test_what_an_interrupted_copy_left_does_not_matter(folders: tuple[Path, Path]) -> None:
    source = put(folders[0] / "a.jpg")
    put(folders[1] / ".0123456789abcdef.part", b"a pic")
    assert do(of_file(source), folders[1] / "a.jpg", "copy") == DONE


def test_a_target_that_is_a_link_to_the_source_is_no_copy_of_it(tmp_path: Path) -> None:
    source, target = put(tmp_path / "a.jpg"), tmp_path / "to.jpg"
    target.symlink_to(source)
    assert do(of_file(source), target, "move") == TAKEN
    assert source.read_bytes() == b"a picture"


@pytest.mark.parametrize("links", [1, 2])
def test_a_source_that_is_its_own_target_is_not_removed(links: int, tmp_path: Path) -> None:
    source = put(tmp_path / "in" / "a.jpg")
    if links == 2:
        os.link(source, tmp_path / "another name")
    (tmp_path / "also in").symlink_to("in")
    for target in (source, tmp_path / "also in" / "a.jpg", tmp_path / "in" / ".." / "in" / "a.jpg"):
        outcome = Outcome("skipped", "the target is the source itself")
        assert preview(of_file(source), target, "move") == outcome
        assert do(of_file(source), target, "move") == outcome
        assert source.read_bytes() == b"a picture"


def test_a_symbolic_link_is_not_moved(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    link = tmp_path / "link.jpg"
    link.symlink_to("a.jpg")
    outcome = do(of_file(link), tmp_path / "to" / "link.jpg", "move")
    assert outcome == Outcome("skipped", "a symbolic link: copy or link it, moved it could point nowhere")
    assert do(of_file(link), tmp_path / "to" / "link.jpg", "copy") == DONE
    assert everything(tmp_path / "to") == {"link.jpg": b"a picture"}
    assert not (tmp_path / "to" / "link.jpg").is_symlink()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    source, blocked = put(tmp_path / "a.jpg"), put(tmp_path / "file") / "a.jpg"
    assert do(of_file(source), blocked, "move").state == "skipped"
    assert source.exists()


@pytest.mark.parametrize("name", ["x" * 256, "a\0b"])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    source = put(tmp_path / "a.jpg")
    record = dataclasses.replace(of_file(source), source=name)
    assert preview(record, tmp_path / name, "copy").state == "skipped"
    assert do(record, tmp_path / name, "copy").state == "skipped"
    assert list(everything(tmp_path)) == ["a.jpg"]


def test_a_member_of_an_archive_is_copied(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/b.jpg", b"a member")
    record = of_content(f"{tmp_path}/a.zip!in/b.jpg", b"a member", 1.4e9)
    target = tmp_path / "to" / "b.jpg"
    for action in ("move", "link"):
        outcome = do(record, target, action)
        assert outcome.state == "skipped"
        assert str(outcome.reason).startswith("a member of an archive: copy it")
    assert do(record, target, "copy") == DONE
    assert (target.read_bytes(), target.stat().st_mtime) == (b"a member", 1.4e9)
    assert do(record, target, "copy") == BEFORE
    other = dataclasses.replace(record, sha256="0" * 64)
    assert do(other, tmp_path / "other.jpg", "copy") == CHANGED
    assert do(dataclasses.replace(record, mtime=1e300), tmp_path / "later.jpg", "copy") == DONE


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_in_a_members_place_fills_no_disk(compression: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as archive:
        archive.writestr("b.jpg", bytes(20_000_000))
    record = of_content(f"{tmp_path}/a.zip!b.jpg", b"a member")
    with largest_file(2_000_000):  # more would be another outcome
        assert do(record, tmp_path / "to" / "b.jpg", "copy") == CHANGED
    assert everything(tmp_path / "to") == {}


def test_a_target_that_cannot_be_written_whole_is_not_there(folders: tuple[Path, Path]) -> None:
    source = put(folders[0] / "a.jpg", bytes(5000))
    record = of_file(source)
    with largest_file(1000):
        outcome = do(record, folders[1] / "a.jpg", "copy")
    assert outcome == Outcome("skipped", f"{folders[1] / 'a.jpg'}: File too large")
    assert everything(folders[1]) == {}
    assert source.read_bytes() == bytes(5000)


@pytest.mark.linux
def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What FAT answers; as there is none to mount here, the call is made to answer like it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    source, target = put(tmp_path / "a.jpg"), tmp_path / "to" / "a.jpg"
    record = of_file(source)
    assert do(record, target, "copy") == DONE
    assert do(record, target, "move") == DONE
    assert everything(tmp_path) == {"to/a.jpg": b"a picture"}
    source, target = put(tmp_path / "b.jpg"), tmp_path / "to" / "b.jpg"
    assert do(of_file(source), target, "move") == DONE
    assert everything(tmp_path) == {"to/a.jpg": b"a picture", "to/b.jpg": b"a picture"}
