from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from nsfw_caffe.system.files import creating, file_sha256, file_size, replacing, write_file


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
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        file_size(tmp_path / "pipe")
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
