"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import nsfw_caffe
from nsfw_caffe import evaluate
from tests.example_files import make_example_files
from tests.support import LINUX

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
    """A module's examples are run in a folder of their own, which has the files that examples name."""
    if not LINUX and name == "nsfw_caffe.networks.measuring":
        pytest.skip("networks are measured on Linux alone")
    make_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert attempted
    assert not failed, capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in evaluate.__all__ if inspect.isfunction(getattr(evaluate, name))])
def test_public_functions_have_examples(name: str) -> None:
    assert "Examples\n--------\n>>> " in (inspect.getdoc(getattr(evaluate, name)) or "")


@pytest.mark.parametrize("name", ["Classifier", "ImageError", "Limits", "Result", "classify", "classify_batch"])
def test_public_names_have_examples(name: str) -> None:
    assert "Examples\n--------\n>>> " in (inspect.getdoc(getattr(nsfw_caffe, name)) or "")
