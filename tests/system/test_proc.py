from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.system import proc, processes


def test_lines_of_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "ROOT", tmp_path)
    (tmp_path / "maps").write_bytes(b"one\n/caf\xe9\n")
    assert (proc.lines("maps"), proc.lines("missing")) == (["one", "/caf\udce9"], [])


def test_elsewhere_than_on_linux_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "ROOT", tmp_path)
    with pytest.raises(EngineUnavailable, match=r"^serving works on Linux alone: .*docs/docker\.md$"):
        proc.require_linux("serving")
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").touch()
    proc.require_linux("serving")


def test_there_are_cores_everywhere() -> None:
    assert 1 <= processes.available_cores() <= len(processes.own_cores())
