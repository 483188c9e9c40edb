from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from nsfw_caffe.system import files
from nsfw_caffe.system.files import (
    creating,
    file_sha256,
    file_size,
    force_to_disk,
    link,
    parts_below,
    points_to,
    replacing,
    take_room,
    user_cache,
    write_file,
)


class BrokenError(Exception):
    """What breaks a writer off."""


def content_of(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder with its content, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_size_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = bytes(range(256)) * 10_000
    path.write_bytes(content)
    assert (file_size(path), file_sha256(path)) == (len(content), hashlib.sha256(content).hexdigest())
    assert file_size(tmp_path / "missing") is file_size(path / "below a file") is None
    with pytest.raises(IsADirectoryError):
        file_size(tmp_path)
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "missing")


def test_a_file_is_written_and_replaced_with_the_umasks_mode(tmp_path: Path) -> None:
    path, umask = tmp_path / "a", os.umask(0o027)
    try:
        for mode, expected in ((0o666, 0o640), (0o644, 0o640), (0o600, 0o600)):
            write_file(path, b"%o" % mode, mode)
            assert (content_of(tmp_path), stat.S_IMODE(path.stat().st_mode)) == ({"a": b"%o" % mode}, expected)
    finally:
        os.umask(umask)


def test_what_is_broken_off_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    for name, writing in (("a", replacing), ("b", creating)):
        with contextlib.suppress(BrokenError), writing(tmp_path / name) as part:
            part.write_bytes(b"half")
            assert len(content_of(tmp_path)) == 2
            raise BrokenError
    assert content_of(tmp_path) == {"a": b"before"}


def test_the_name_comes_last(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as part:
        part.write_bytes(b"all")
        assert content_of(tmp_path) == {part.name: b"all"}
        assert part.name.startswith(".")
    assert content_of(tmp_path) == {"a": b"all"}


def test_what_a_killed_process_has_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.part").write_bytes(b"left by another")
    with replacing(tmp_path / "a", part=tmp_path / ".a.part") as part, part.open("xb") as file:
        file.write(b"all")
    assert content_of(tmp_path) == {"a": b"all"}


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_is_created_replaces_none(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with creating(tmp_path / "a") as part:
        part.write_bytes(b"first")
    with pytest.raises(FileExistsError), creating(tmp_path / "a") as part:
        part.write_bytes(b"second")
    assert content_of(tmp_path) == {"a": b"first"}


def test_a_link_is_linked_and_a_file_system_without_links_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "symbolic").symlink_to(tmp_path / "file")
    assert link(tmp_path / "symbolic", tmp_path / "another")
    assert points_to(tmp_path / "another", str(tmp_path / "file"))
    assert not points_to(tmp_path / "file", str(tmp_path / "file"))
    with pytest.raises(FileExistsError):
        link(tmp_path / "file", tmp_path / "another")

    def refuse(*_: object, **__: object) -> None:
        error = OSError(errno.EINVAL, "Incorrect function")
        error.winerror = 1  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(os, "link", refuse)
    assert not link(tmp_path / "file", tmp_path / "third")


def test_windows_reads_a_links_target_with_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "symbolic").symlink_to(tmp_path)
    monkeypatch.setattr(os, "readlink", lambda _: r"\\?\C:\photos\a.jpg")
    assert points_to(tmp_path / "symbolic", r"C:\photos\a.jpg")


def test_without_open_folders_a_file_that_can_be_written_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows; a folder's names cannot be, which is no error."""
    forced = []

    def fsync(descriptor: int) -> None:
        os.write(descriptor, b"")  # which one that is open for reading alone would refuse
        forced.append(descriptor)

    monkeypatch.setattr(files, "_FOLDERS_OPEN", False)
    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(tmp_path / "a", durable=True) as part:
        part.write_bytes(b"all")
    assert (content_of(tmp_path), len(forced)) == ({"a": b"all"}, 1)
    with pytest.raises(FileNotFoundError):
        force_to_disk(tmp_path / "missing")


@pytest.mark.parametrize("has", [True, False])
def test_room_is_taken_where_the_system_can(has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    take_room(tmp_path / "a", 4096)
    expected = hasattr(files.os, "posix_fallocate")
    assert (tmp_path / "a").exists() == expected
    assert not expected or (tmp_path / "a").stat().st_size == 4096


@pytest.mark.parametrize(
    ("path", "here", "on_windows"),
    [
        ("in/./a.jpg", ["in", "a.jpg"], ["in", "a.jpg"]),
        (r"C:\photos\in/a.jpg", [r"C:\photos\in", "a.jpg"], ["C_", "photos", "in", "a.jpg"]),
        (r"\\server\share\a.jpg", [r"\\server\share\a.jpg"], ["server", "share", "a.jpg"]),
        ("../a?.jpg:stream", ["..", "a?.jpg:stream"], ["..", "a_.jpg_stream"]),
        ("CON/aux.jpg/COM1", ["CON", "aux.jpg", "COM1"], ["CON_", "aux_.jpg", "COM1_"]),
        ("CONSUL/dot./space ", ["CONSUL", "dot.", "space "], ["CONSUL", "dot_", "space_"]),
        ("a\n.jpg", ["a\n.jpg"], ["a_.jpg"]),
    ],
)
def test_names_are_some_that_the_system_can_have(
    path: str, here: list[str], on_windows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WINDOWS_NAMES", False)
    assert parts_below(path) == here
    monkeypatch.setattr(files, "_WINDOWS_NAMES", True)
    assert parts_below(path) == on_windows


@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_users_cache_is_where_it_always_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, expected in (("", ".cache"), ("relative", ".cache"), (str(tmp_path / "named"), "named")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert user_cache() == tmp_path / expected / "nsfw_caffe"
