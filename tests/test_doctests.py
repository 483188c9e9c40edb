"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

import nsfw_caffe
from tests.support import PHOTOS

ROOT = Path(nsfw_caffe.__file__).parent


def with_examples() -> list[str]:
    """Return the names of the modules that have examples."""
    found = [path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in found]
    return sorted(name.removesuffix(".__init__") for name in names)


@pytest.mark.parametrize("name", with_examples())
def test_examples(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each runs in a folder of its own, which has the photo that examples call photo.jpg."""
    shutil.copy(PHOTOS / "astronaut.png", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert attempted
    assert not failed, capsys.readouterr().out


@pytest.mark.parametrize("name", ["Classifier", "ImageError", "Limits", "Result", "classify", "classify_batch"])
def test_public_names_have_examples(name: str) -> None:
    assert "    Examples\n    --------\n    >>> " in (getattr(nsfw_caffe, name).__doc__ or "")
